"""The configurations of a hyper-parameter search, composed before the first trial: are trials comparable?"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

from omegaconf import DictConfig

from facerec.config.compose import compose, refuse_missing_root, resolved
from facerec.config.search_space import Space
from facerec.errors import InputError
from facerec.runs.run_names import settings_of

_DEFAULTS = {"data.held_out_identities": "0.1", "data.benchmarks": "[]", "trainer.devices": "1"}
# What decides how long a trial trains and what it is judged on. Other settings of the data may be searched.
_SAME = ("seed", "protocol", "data", *(f"trainer.{key}" for key in ("devices", "num_nodes", "min_epochs")))
_SAME += tuple(f"trainer.{key}" for key in ("max_epochs", "max_steps", "max_time", "limit_train_batches"))
_SAME += tuple(f"trainer.{key}" for key in ("overfit_batches", "check_val_every_n_epoch", "val_check_interval"))
_OF_TRAINING = ("global_batch_size", "sampling", "horizontal_flip", "train_augmentation", "image_size")
_MAY_DIFFER = tuple(f"data.{key}" for key in _OF_TRAINING)


class Cell(NamedTuple):
    """A configuration of the search.

    Attributes:
        argument: what to name if the configuration is refused; empty for the first of a compared value.
        overrides: from which it was composed.
        cfg: the configuration.
    """

    argument: str
    overrides: list[str]
    cfg: DictConfig


def completed(space: Space) -> Space:
    """Return ``space`` with the defaults of a search: identities are held out, and nothing else is verified.

    Raises `InputError` for settings with which there could be no search.
    """
    (_, overrides), *_ = space.cells(space.compared[0])
    cfg = compose(overrides)
    refuse_missing_root(cfg)
    typed = {argument.partition("=")[0].lstrip("+") for argument in space.fixed}
    added = [f"{key}={value}" for key, value in _DEFAULTS.items() if key not in typed]
    if cfg.data.get("held_out_identities"):
        added = [argument for argument in added if not argument.startswith("data.held_out")]
    elif "data.held_out_identities" in typed:
        raise InputError("data.held_out_identities=0 leaves nothing to judge a trial by: give 20 or more, or 0.1")
    for key, value in ("devices", cfg.trainer.get("devices")), ("num_nodes", cfg.trainer.get("num_nodes", 1)):
        if value != 1 and (key == "num_nodes" or f"trainer.{key}" in typed):
            raise InputError(f"trainer.{key}={value}, and a trial trains on one device: give trainer.{key}=1")
    epochs = cfg.trainer.get("max_epochs")
    if not isinstance(epochs, int) or epochs < 1:
        raise InputError(f"trainer.max_epochs={epochs} gives trials no equal end: give a number of epochs")
    return replace(space, added=tuple(added))


def composed_cells(space: Space) -> dict[str, list[Cell]]:
    """Return the configurations with every choice and both ends of every range, per compared value.

    Raises `InputError` for one that is wrong, and for settings by which trials would differ in their length or in what
    they are judged on.
    """
    found: dict[str, list[Cell]] = {}
    reference: dict[str, str] = {}
    for value in space.compared:
        cells = []
        for argument, overrides in space.cells(value):
            with naming(space, argument):
                cells.append(Cell(argument, overrides, compose(overrides)))
                settings = _settings(cells[-1].cfg)
            reference = reference or settings
            _refuse_incomparable(reference, settings, argument or space.label(value))
        found[value] = cells
    return found


@contextmanager
def naming(space: Space, argument: str) -> Iterator[None]:
    """A block whose `InputError` names the ``argument`` at fault, or the searched one whose key it names itself."""
    try:
        yield
    except InputError as error:
        searched = [f"{key}={variable}" for key, variable in space.searched.items() if key in str(error)]
        at_fault = argument or next(iter(searched), "")
        if not at_fault:
            raise
        is_of_numbers = ".." in at_fault and ":int" not in at_fault and "must be an integer" in str(error)
        remedy = f": write {at_fault}:int for integers" if is_of_numbers else ""
        raise InputError(f"{at_fault} cannot be searched, {error}{remedy}") from error


def _refuse_incomparable(reference: dict[str, str], settings: dict[str, str], argument: str) -> None:
    for key in sorted(reference.keys() | settings.keys()):
        theirs, ours = reference.get(key, "nothing"), settings.get(key, "nothing")
        if theirs != ours and _is_of(key, _SAME) and not _is_of(key, _MAY_DIFFER):
            raise InputError(
                f"{argument} changes {key} from {theirs} to {ours}, and all trials must have the same: leave it out, "
                f"or add {key}={theirs}"
            )


def identity(space: Space, cell: Cell) -> dict[str, str]:
    """Return the settings that a continued search must share with the one that was begun, as they are typed."""
    return _settings(cell.cfg) | {key: str(variable) for key, variable in space.searched.items()}


def _settings(cfg: DictConfig) -> dict[str, str]:
    """Return the settings that determine a result, by dotted key."""
    return settings_of(resolved(cfg)) | {"seed": str(cfg.seed)}


def _is_of(key: str, nodes: tuple[str, ...]) -> bool:
    return any(key == node or key.startswith(f"{node}.") for node in nodes)
