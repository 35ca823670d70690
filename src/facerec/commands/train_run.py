"""Train a face recogniser, or every cell of a sweep.

PyTorch is imported only after the configuration is checked, so that mistakes are reported at once.
"""

import os
import shlex
import sys
import traceback
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig

from facerec.commands.claimed_cells import ClaimedCells, Failed
from facerec.config.cells import SweepCell, cells_in, how_to_run, single_run
from facerec.config.compose import (
    check_command_line,
    options_first,
    refuse_missing_root,
    refuse_without_effect,
    register,
    texts,
)
from facerec.config.options import CONFIG_FOLDER
from facerec.config.sentences import in_one_sentence
from facerec.config.settings import as_typed, quoted
from facerec.console import log
from facerec.errors import InputError, of_system
from facerec.files import LAST
from facerec.handlers import INTERRUPTED, TERMINATED
from facerec.process import importing, is_first_to_fail, reader_is_gone
from facerec.runs.folder import is_finished, remove_empty_run
from facerec.runs.run_results import RunResults
from facerec.training.companions import COMPANIONS

_PATIENCE = 1.5  # seconds that the processes of other devices have to end by themselves when a run has failed


class RunFailed(Exception):
    """A run failed, and the failure has been recorded."""


class Cell:
    """The task that Hydra calls for a single run or for each cell of a sweep.

    Args:
        arguments: of the command line.
        is_copy: whether a launcher has sent the task to another process.

    Attributes:
        failures: the reason per failed run of this process.
        of_settings: whether the last of them would be on any machine.
    """

    def __init__(self, arguments: list[str], is_copy: bool = False) -> None:
        self.arguments, self.is_copy = arguments, is_copy
        self.failures: dict[str, str] = {}
        self.of_settings = False
        register(arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the arguments only, so that a launcher's worker process registers the configuration itself."""
        return _copy, (self.arguments,)

    def __call__(self, cfg: DictConfig) -> float | None:
        """Train and return the mean accuracy, which Hydra's sweepers may maximise.

        A failure is noted for `program`; where others than it must know, `RunFailed` is raised as well, which Hydra
        announces in a line of its own.
        """
        job = HydraConfig.get()
        folder, in_sweep = Path(job.runtime.output_dir), job.mode == RunMode.MULTIRUN
        COMPANIONS.begin(partial(stopped, folder))
        patience, typed = _PATIENCE, sys.argv[1:]
        try:
            if self.is_copy:
                one_device(cfg)
            elif in_sweep:  # the processes of other devices run this command line
                sys.argv[1:] = single_run(self.arguments, texts(job.overrides.task), texts(job.overrides.hydra))
            if cfg.skip_finished and is_finished(folder):
                objective = RunResults.read(folder).objective()
                log(f"skipped, already finished: {folder}")
                return objective
            results = self._trained(cfg, folder, texts(job.overrides.task))
            patience = 5 * _PATIENCE
            return None if results is None else results.objective()
        except (KeyboardInterrupt, SystemExit) as ended:  # Lightning turns the former into the latter
            COMPANIONS.say("")
            # None: Lightning's, where the exception of SIGTERM was lost, at the next batch
            sys.exit(TERMINATED if getattr(ended, "code", INTERRUPTED) in (TERMINATED, None) else INTERRUPTED)
        except Exception as error:
            if isinstance(error, BrokenPipeError) and reader_is_gone():
                sys.exit(1)
            if not isinstance(error, InputError | OSError) and (status := _told_to_end(error)) is not None:
                COMPANIONS.say("")
                sys.exit(status)
            if (lost := COMPANIONS.lost(error)) is not None:
                if lost.why is not None:
                    COMPANIONS.say(lost.why)
                sys.exit(lost.status)
            remove_empty_run(folder)
            is_first = is_first_to_fail(str(folder))
            if is_first:
                named = folder.exists() or in_sweep or self.arguments != sys.argv[1:]
                self._note(str(folder) if named else "train.py", error)
            if not is_first or self.is_copy or (in_sweep and not job.sweeper._target_.endswith(".BasicSweeper")):
                raise RunFailed from error
            return None
        finally:
            sys.argv[1:] = typed
            COMPANIONS.end(patience)

    def _trained(self, cfg: DictConfig, folder: Path, overrides: list[str]) -> RunResults | None:
        refuse_without_effect(cfg, overrides)
        refuse_missing_root(cfg)
        with importing(at_interrupt=lambda: remove_empty_run(folder)):
            from facerec.commands.one_run import train
        return train(cfg, folder, overrides)

    def _note(self, where: str, error: Exception) -> None:
        why, self.of_settings = reason(error), isinstance(error, InputError)
        if self.is_copy:  # the program does not see these failures
            log(f"failed: {where}: {why}")
        self.failures[where] = why


def _told_to_end(error: BaseException) -> int | None:
    """Return the exit status if ``error`` was raised on the way out after a signal, as in Lightning's teardown of a run
    that has not begun; else None."""
    while (before := error.__context__) is not None:
        if isinstance(before, KeyboardInterrupt):
            return INTERRUPTED
        if isinstance(before, SystemExit) and before.code in (INTERRUPTED, TERMINATED):
            return before.code
        error = before
    return None


def _copy(arguments: list[str]) -> Cell:
    return Cell(arguments, is_copy=True)


def one_device(cfg: DictConfig) -> None:
    """Let a job of a launcher train on one device; raise `InputError` if it is to train on several."""
    for key in ("devices", "num_nodes"):
        value = cfg.trainer.get(key, 1)
        if value == "auto":
            cfg.trainer[key] = 1
        elif str(value) != "1" and not (isinstance(value, ListConfig) and len(value) == 1):
            raise InputError(
                f"trainer.{key}={value}, and a job of a launcher trains on one device: give trainer.{key}=1, or leave "
                "hydra/launcher out and add cells=claim"
            )


def stopped(folder: Path, why: str = "") -> str:
    """Return what a stopped run leaves, in one sentence; ``why`` is empty or ", since REASON"."""
    if is_finished(folder):
        return f"stopped{why} when the training had ended: the results are in {folder}, and nothing is left to resume"
    if not (folder / LAST).is_file():
        return f"stopped before the first checkpoint{why}, so that there is nothing to resume in {folder}"
    return f"stopped{why}: the last checkpoint is in {folder}; continue with resume=auto and the same settings"


def reason(error: Exception) -> str:
    """Return why a run failed; print the traceback of a defect, so that the other cells of a sweep still run."""
    known = of_system(error) if isinstance(error, OSError) else error
    if isinstance(known, InputError):
        return str(known)
    traceback.print_exception(error)
    return f"{type(error).__name__}: {error}"


def program(arguments: list[str]) -> int:
    """Train with the ``arguments`` of the command line, list the failures last, and return the exit status."""
    try:
        sys.argv[1:] = arguments = quoted(options_first(arguments))  # Hydra reads them there
    except InputError as error:
        log(f"failed: train.py: {error}")
        return 1
    COMPANIONS.watch_parent()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let errors through; they are explained here
    cell = Cell(arguments)
    try:
        check_command_line(arguments)
        how, stale = how_to_run(arguments)
        if how == "print":
            print_cells(cells_in(arguments))
        elif how == "claim":
            cells = cells_in(arguments, refuse_missing_root)
            return ClaimedCells(cells, partial(claimed, cell), stale).run() | _status(cell)
        else:
            start(cell)
    except (InputError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        cell.failures["train.py"] = reason(error)
    except RunFailed:
        return _status(cell) or 1  # of a launcher's worker process, which has said why
    return _status(cell)


def start(cell: Cell) -> None:
    """Let Hydra call ``cell`` with the command line in ``sys.argv``."""
    with in_one_sentence():
        hydra.main(version_base="1.3", config_path=str(CONFIG_FOLDER), config_name="train")(cell)()


def print_cells(cells: Sequence[SweepCell]) -> None:
    """Print one command a cell, as this program was started."""
    name = Path(sys.argv[0]).name
    program = f"python {shlex.quote(sys.argv[0])}" if name.endswith(".py") else f"{shlex.quote(name)} train"
    for cell in cells:
        print(" ".join([program, *as_typed(cell.arguments)]))


def claimed(cell: Cell, one: SweepCell) -> Failed | None:
    """Train ``one`` cell of a sweep as its command would, and return why it failed, if it did."""
    known, typed = set(cell.failures), sys.argv[1:]
    sys.argv[1:] = one.arguments
    try:
        start(cell)
    except RunFailed:
        pass  # it is in the failures
    except (InputError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        cell.failures[str(one.folder)], cell.of_settings = reason(error), isinstance(error, InputError)
    finally:
        sys.argv[1:] = typed
    why = next((why for where, why in cell.failures.items() if where not in known), None)
    return None if why is None else (why, cell.of_settings)


def _status(cell: Cell) -> int:
    for where, why in cell.failures.items():
        log(f"failed: {where}: {why}")
    return int(bool(cell.failures))
