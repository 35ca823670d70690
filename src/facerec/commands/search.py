"""Search hyper-parameters: facerec search optimizer.lr=0.01..0.3:log operator=depthwise,tvconv data.root=FACES

    KEY=LOW..HIGH        a range; LOW..HIGH:log in the logarithm, LOW..HIGH:int of integers, LOW..HIGH:log:int both
    KEY=A,B,...          one of these values
    KEY=VALUE            a setting of every trial

Each trial is a run in out=. It is judged by the accuracy of its last epoch on held-out identities, never on a
benchmark: data.held_out_identities is 0.1, and data.benchmarks=[], unless they are given. The values of operator=, or
of the setting compare=, have a search each, with the same number of trials and epochs. The budget is printed first.

The same command continues a search that was stopped, and a larger trials= extends it. It writes search.json and
search.png, and prints the best trial per compared value and the command that trains the best of all with other seeds.
It needs Optuna.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from facerec.config.search_cells import completed, composed_cells
from facerec.config.search_space import parse_space
from facerec.config.settings import command, run_settings, setting
from facerec.errors import InputError
from facerec.process import importing, is_first_process


@dataclass
class Settings:
    """Settings:"""

    out: Path = setting("folder of the search", Path("outputs/search"), written="folder")
    trials: int = setting("of each compared value", 20, least=1, most=100_000)
    compare: str | None = setting("setting whose values are compared; operator, if it has several", None)
    pruning: bool = setting("stop a trial that is below the median of the finished ones", True)
    overrides: tuple[str, ...] = run_settings("as for train, also with ranges and several values")


def search(settings: Settings) -> None:
    """Search, and print and write what was found."""
    if not is_first_process():
        raise InputError("a search is one process that trains on one device: start it without torchrun or srun")
    space = completed(parse_space(settings.overrides, settings.compare, settings.trials))
    cells = composed_cells(space)
    if find_spec("optuna") is None:
        raise InputError(
            "the search needs the package optuna: add it with pip install -e '.[search]' in a checkout of facerec"
        )
    with importing():
        from facerec.commands.search_trials import run_search
    run_search(space, cells, settings.out, settings.trials, settings.pruning)


main = command(Settings, search)
