"""Train a face recogniser, or every cell of a sweep.

PyTorch is imported only after the configuration is checked, so that mistakes are reported at once.
"""

import os
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from facerec.companions import COMPANIONS
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
from facerec.config.settings import quoted
from facerec.console import log
from facerec.errors import InputError, of_system
from facerec.files import LAST
from facerec.process import INTERRUPTED, TERMINATED, importing, is_first_to_fail, reader_is_gone
from facerec.runs.folder import is_finished, remove_empty_run
from facerec.runs.run_results import RunResults

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
    """

    def __init__(self, arguments: list[str], is_copy: bool = False) -> None:
        self.arguments, self.is_copy = arguments, is_copy
        self.failures: dict[str, str] = {}
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
        COMPANIONS.explain, patience = partial(stopped, folder), _PATIENCE
        try:
            if cfg.skip_finished and is_finished(folder):
                objective = RunResults.read(folder).objective()
                log(f"skipped, already finished: {folder}")
                return objective
            results = self._trained(cfg, folder, texts(job.overrides.task))
            patience = 5 * _PATIENCE
            return None if results is None else results.objective()
        except (KeyboardInterrupt, SystemExit) as ended:  # Lightning turns the former into the latter
            COMPANIONS.say("")
            sys.exit(TERMINATED if getattr(ended, "code", None) == TERMINATED else INTERRUPTED)
        except Exception as error:
            if isinstance(error, BrokenPipeError) and reader_is_gone():
                sys.exit(1)
            if (lost := COMPANIONS.lost(error)) is not None:
                if lost.why is not None:
                    COMPANIONS.say(lost.why)
                sys.exit(lost.status)
            remove_empty_run(folder)
            is_first = is_first_to_fail(str(folder))
            if is_first:
                self._note(str(folder) if folder.exists() or in_sweep else "train.py", reason(error))
            if not is_first or self.is_copy or (in_sweep and not job.sweeper._target_.endswith(".BasicSweeper")):
                raise RunFailed from error
            return None
        finally:
            COMPANIONS.end(patience)

    def _trained(self, cfg: DictConfig, folder: Path, overrides: list[str]) -> RunResults | None:
        refuse_without_effect(cfg, overrides)
        refuse_missing_root(cfg)
        with importing(at_interrupt=lambda: remove_empty_run(folder)):
            from facerec.commands.one_run import train
        return train(cfg, folder, overrides)

    def _note(self, where: str, why: str) -> None:
        if self.is_copy:  # the program does not see these failures
            log(f"failed: {where}: {why}")
        self.failures[where] = why


def _copy(arguments: list[str]) -> Cell:
    return Cell(arguments, is_copy=True)


def stopped(folder: Path, why: str = "") -> str:
    """Return what a stopped run leaves, in one sentence; ``why`` is empty or ", since REASON"."""
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
        with in_one_sentence():
            hydra.main(version_base="1.3", config_path=str(CONFIG_FOLDER), config_name="train")(cell)()
    except (InputError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        cell.failures["train.py"] = reason(error)
    except RunFailed:
        return _status(cell) or 1  # of a launcher's worker process, which has said why
    return _status(cell)


def _status(cell: Cell) -> int:
    for where, why in cell.failures.items():
        log(f"failed: {where}: {why}")
    return int(bool(cell.failures))
