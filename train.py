"""Train a face recogniser: python train.py operator=tvconv backbone=mbv2 width=0.2

Reads as the table of contents of a run: compose and check the configuration, build, fit, verify, report.
"""

import sys
import traceback
from pathlib import Path
from typing import Any

from facerec.program import INTERRUPTED, TERMINATED, reader_is_gone, run

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from facerec.config import build
from facerec.config import compose as composition
from facerec.config.settings import quoted
from facerec.console import log
from facerec.errors import InputError
from facerec.files import LAST, OUTPUTS, RESULTS, write_json
from facerec.process import prepare_process
from facerec.runs.folder import checkpoint_to_resume, is_finished, remove_empty_run
from facerec.runs.provenance import provenance, write_settings
from facerec.runs.report import show, table_rows
from facerec.runs.results import run_results
from facerec.training.checkpoints import refuse_other_data, refuse_other_model
from facerec.training.maps import initialise_from_data

# Cells of a sweep that did not finish, and why.
failures: dict[str, str] = {}


def train(cfg: DictConfig, folder: Path, overrides: list[str]) -> None:
    """One run in ``folder``, from configuration to results."""
    composition.refuse_without_effect(cfg, overrides)
    checkpoint = checkpoint_to_resume(cfg.resume, folder)
    if checkpoint is not None:
        refuse_other_model(checkpoint, composition.resolved(cfg))
    build.seed_everything(cfg)
    backbone = build.build_backbone(cfg)
    data = build.build_data(cfg)
    data.setup("fit")
    if checkpoint is not None:
        refuse_other_data(checkpoint, data)
        log(f"resuming from {checkpoint}")
    else:
        initialise_from_data(backbone, data, OUTPUTS / "cache")
    recognizer = build.build_recognizer(cfg, backbone, data.train_source.num_identities)
    trainer = build.build_trainer(cfg)
    made_by = provenance(overrides, recognizer.config)
    if trainer.is_global_zero:
        write_settings(folder, cfg, made_by)
    trainer.fit(recognizer, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    results = run_results(trainer, recognizer, data, folder)
    if trainer.is_global_zero:
        report(folder, made_by | results)


def report(folder: Path, results: dict[str, Any]) -> None:
    """Write the results and show them."""
    write_json(folder / RESULTS, results)
    show(table_rows([folder]))
    log(f"done: {folder}")


@hydra.main(version_base="1.3", config_path="configs", config_name="train")
def main(cfg: DictConfig) -> None:
    job = HydraConfig.get()
    folder, in_sweep = Path(job.runtime.output_dir), job.mode == RunMode.MULTIRUN
    if cfg.skip_finished and is_finished(folder):
        return log(f"skipped, finished before: {folder}")
    try:
        train(cfg, folder, list(job.overrides.task))
    except (KeyboardInterrupt, SystemExit) as ended:  # Lightning makes the one into the other
        log(stopped(folder))
        sys.exit(TERMINATED if getattr(ended, "code", None) == TERMINATED else INTERRUPTED)
    except Exception as error:
        if isinstance(error, BrokenPipeError) and reader_is_gone():
            sys.exit(1)
        remove_empty_run(folder)
        if not in_sweep and not isinstance(error, InputError):
            raise
        failures[str(folder) if folder.exists() or in_sweep else "train.py"] = reason(error)


def stopped(folder: Path) -> str:
    """What a run that was stopped leaves."""
    if not (folder / LAST).is_file():
        return f"stopped before the first checkpoint: there is nothing to go on from in {folder}"
    return f"stopped: what was saved until then is in {folder}; go on with resume=auto and the same settings"


def reason(error: Exception) -> str:
    """Why a run failed. A defect shows its traceback, but the other cells of a sweep do not suffer for it."""
    if isinstance(error, InputError):
        return str(error)
    traceback.print_exception(error)
    return f"{type(error).__name__}: {error}"


def program(arguments: list[str]) -> int:
    """The exit status; what failed is said at the end."""
    prepare_process()
    sys.argv[1:] = arguments = quoted(arguments)  # Hydra reads them there
    try:
        composition.check_command_line(arguments)
        main()
    except InputError as error:
        failures["train.py"] = str(error)
    for where, why in failures.items():
        log(f"failed: {where}: {why}")
    return 1 if failures else 0


if __name__ == "__main__":
    run(program)
