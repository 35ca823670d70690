"""Train a face recogniser: python train.py operator=tvconv backbone=mbv2 width=0.2

Reads as the table of contents of a run: compose and check the configuration, build, fit, verify, report.
"""

import sys
import traceback
from pathlib import Path
from typing import Any

from facerec.program import run

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from facerec import build, composition
from facerec.checkpoints import refuse_other_data, refuse_other_model
from facerec.errors import InputError
from facerec.initialisation import initialise_from_data
from facerec.process import prepare_process
from facerec.report import show, table_rows
from facerec.results import run_results
from facerec.runs import (
    OUTPUTS,
    checkpoint_to_resume,
    is_finished,
    log,
    provenance,
    remove_empty_run,
    replacing,
    write_json,
)

# Cells of a sweep that did not finish, and why.
failures: dict[str, str] = {}


def train(cfg: DictConfig, folder: Path, overrides: list[str]) -> dict[str, Any]:
    """One run in ``folder``, from configuration to results."""
    composition.refuse_without_effect(cfg, overrides)
    checkpoint = checkpoint_to_resume(cfg.resume, folder)
    if checkpoint is not None:
        refuse_other_model(checkpoint, composition.resolved(cfg))
        log(f"resuming from {checkpoint}")
    build.seed_everything(cfg)
    backbone = build.build_backbone(cfg)
    data = build.build_data(cfg)
    data.setup("fit")
    if checkpoint is not None:
        refuse_other_data(checkpoint, data)
    else:
        initialise_from_data(backbone, data, OUTPUTS / "cache")
    recognizer = build.build_recognizer(cfg, backbone, data.train_source.num_identities)
    trainer = build.build_trainer(cfg)
    if trainer.is_global_zero:
        with replacing(folder / "config.yaml") as partial:
            OmegaConf.save(cfg, partial, resolve=True)
        write_json(folder / "run.json", made_by := provenance(overrides, recognizer.config))
    trainer.fit(recognizer, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    results = run_results(trainer, recognizer, data, folder)
    if trainer.is_global_zero:
        write_json(folder / "results.json", {**made_by, **results})
        show(table_rows([folder]))
        log(f"done: {folder}")
    return results


@hydra.main(version_base="1.3", config_path="configs", config_name="train")
def main(cfg: DictConfig) -> None:
    job = HydraConfig.get()
    folder = Path(job.runtime.output_dir)
    if cfg.skip_finished and is_finished(folder):
        return log(f"skipped, finished before: {folder}")
    try:
        train(cfg, folder, list(job.overrides.task))
    except (KeyboardInterrupt, SystemExit):  # Lightning makes the one into the other
        log(f"stopped: what was saved until then is in {folder}; go on with resume=auto and the same settings")
        sys.exit(130)
    except Exception as error:
        why = str(error)
        remove_empty_run(folder)
        where = str(folder) if folder.exists() or job.mode == RunMode.MULTIRUN else "train.py"
        if not isinstance(error, InputError):  # a defect of the program: its traceback is shown
            if job.mode != RunMode.MULTIRUN:
                raise
            traceback.print_exc()  # and the other cells of a sweep do not suffer for this one
            why = f"{type(error).__name__}: {error}"
        failures[where] = why


def program(arguments: list[str]) -> int:
    """The exit status; what failed is said at the end."""
    prepare_process()
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
