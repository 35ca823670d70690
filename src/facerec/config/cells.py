"""The cells of a sweep, each as a run of its own that any process on any machine can be told to do."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig
from tqdm import tqdm

from facerec.config.compose import texts
from facerec.config.options import CONFIG_FOLDER
from facerec.config.overrides import parsed_overrides
from facerec.config.sentences import in_one_sentence
from facerec.errors import InputError
from facerec.runs.folder import NOT_OF_A_CELL

HOW = ("run", "print", "claim")
_OF_A_SWEEP = ("hydra.mode", "hydra/launcher", "hydra.launcher", "hydra/sweeper", "hydra.sweeper", "hydra.sweep")
_SECONDS = {"s": 1, "min": 60, "h": 3600}


class SweepCell(NamedTuple):
    """A cell: its ``folder``, relative to that in which the sweep was started, and the ``arguments`` of its run."""

    folder: Path
    arguments: list[str]


def how_to_run(arguments: Sequence[str]) -> tuple[str, float]:
    """Return what ``cells`` says about the cells of a sweep, one of `HOW`, and the seconds of ``claim_stale``.

    Raises `InputError` for another value, and without ``-m``.
    """
    given = get_args_parser().parse_args(list(arguments))
    parsed = parsed_overrides(given.overrides)
    values = {o.key_or_group: (o.input_line or "").partition("=")[2].strip("'\"") for o in parsed}
    how, stale = values.get("cells", HOW[0]), values.get("claim_stale", "10min")
    if how not in HOW:
        raise InputError(f"cells={how} is not known: write cells={' or cells='.join(HOW)}")
    if not given.multirun and how != HOW[0]:
        raise InputError(f"cells={how} is about the cells of a sweep, and this is one run: add -m, or leave it out")
    if "claim_stale" in values and how != "claim":
        raise InputError(f"claim_stale={stale} has no effect without cells=claim: leave it out")
    return how, _seconds(stale)


def _seconds(time: str) -> float:
    found = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)(s|min|h)", time)
    if found is None or not float(found[1]):
        raise InputError(f"claim_stale={time} is no time: write a number above 0 and s, min or h, such as 10min")
    return float(found[1]) * _SECONDS[found[2]]


def cells_in(arguments: Sequence[str], check: Callable[[DictConfig], None] = lambda cfg: None) -> list[SweepCell]:
    """Return the cells of a sweep in the order in which ``-m`` trains them; ``check`` may refuse their configurations.

    Raises `InputError` for another sweeper than Hydra's own, and for a launcher, which would have nothing to do.
    """
    given = get_args_parser().parse_args(list(arguments))
    with in_one_sentence(), _hydra(given.config_dir) as hydra:
        loader, name = hydra.config_loader, given.config_name or "train"
        cfg = loader.load_configuration(name, given.overrides, run_mode=RunMode.MULTIRUN)
        for plugin, known in ("sweeper", ".BasicSweeper"), ("launcher", ".BasicLauncher"):
            target = cfg.hydra[plugin]._target_
            if not target.endswith(known):
                raise InputError(f"cells=print and cells=claim know no hydra/{plugin} ({target}): leave it out")
        params = [f"{key}={value}" for key, value in (cfg.hydra.sweeper.params or {}).items()]
        overrides = parsed_overrides([*params, *texts(cfg.hydra.overrides.task)], loader)
        (batch,) = BasicSweeper.split_arguments(overrides, None)
        found = []
        for chosen in tqdm(batch, "naming the cells", unit=" cells", delay=2, leave=False):
            of_cell = loader.load_sweep_config(cfg, chosen)
            check(of_cell)
            folder = Path(of_cell.hydra.sweep.dir, of_cell.hydra.sweep.subdir)
            single = single_run(arguments, texts(of_cell.hydra.overrides.task), texts(of_cell.hydra.overrides.hydra))
            ours = ["skip_finished=true", "resume=auto", f"hydra.run.dir='{folder}'"]
            found.append(SweepCell(folder, [*single, *ours]))
        return found


def single_run(arguments: Sequence[str], task: Sequence[str], of_hydra: Sequence[str]) -> list[str]:
    """Return the command line of one run, with the options of the sweep's ``arguments``, but for what names its folder.

    ``task`` and ``of_hydra`` are the overrides that Hydra has recorded for the cell.
    """
    count = len(get_args_parser().parse_args(list(arguments)).overrides)
    options = [a for a in arguments[: len(arguments) - count] if a not in ("-m", "--multirun")]
    kept = [o for o in of_hydra if not o.partition("=")[0].lstrip("+~").startswith(_OF_A_SWEEP)]
    named = [o for o in task if o.partition("=")[0] not in NOT_OF_A_CELL or o.startswith("name=")]
    return [*options, *named, *kept]


@contextmanager
def _hydra(config_dir: str | None) -> Iterator[Hydra]:
    """Yield Hydra with the configurations of the project, and with those of the user's folder before them."""
    search = create_config_search_path(str(CONFIG_FOLDER))
    if config_dir is not None:
        own = f"file://{os.path.abspath(config_dir)}"
        search.prepend("command-line", own, SearchPathQuery(provider="schema", path=None))
    try:
        yield Hydra.create_main_hydra2("train", search)
    finally:
        GlobalHydra.instance().clear()
