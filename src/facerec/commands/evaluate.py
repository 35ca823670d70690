"""Verify a checkpoint: python scripts/evaluate.py checkpoint=outputs/NAME/RUN/best.ckpt

Beside checkpoint=, it takes
    model=FILE                in place of checkpoint=: what scripts/export.py wrote, .onnx, .pt or .pt2, run on the CPU
                              as it is; .pt and .pt2 files are programs: run those that you trust
    form=training|deployed    the network as it was trained (default), or with position-dependent weights cached
    image_size=...            pixels, another size than it was trained at; position-dependent maps are resampled
    protocol=...              tvconv, tvconv_reference or insightface; default: the checkpoint's
    data=... data.KEY=...     other data than the checkpoint's, as for train.py
    augmentation@data.test_augmentation=...
                              transforms of the verified images: none, rotation, [shear,jitter] and so on, as for
                              train.py; default: the checkpoint's
    affine_strength=...       multiplies the ranges of rotation, shear, scale and translation that are chosen here;
                              default: the checkpoint's
    trainer=... trainer.KEY=...
    roc=FILE.png              where to draw the ROC curves
Prints a table on stderr and, last, one JSON object. Epochs count from 1 in the table, as in report.py's, and from 0 in
the JSON object, as in results.json and in checkpoints.
"""

import json
import sys
from pathlib import Path
from typing import Any

from facerec.program import run

from lightning_utilities.core.rank_zero import rank_zero_only
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table
from torch import nn

from facerec.config.build import build_data, build_trained, build_trainer, build_verifier
from facerec.config.compose import compose_trained
from facerec.config.settings import split_arguments
from facerec.deploy import reparameterize
from facerec.errors import InputError
from facerec.exporting import formats as files
from facerec.exporting.formats import ModelBackbone
from facerec.plots.network import roc_figure, save_figure
from facerec.process import prepare_process
from facerec.runs.provenance import code_and_environment
from facerec.runs.results import benchmark_fingerprints
from facerec.verification.verify import VerificationResult

_OWN_KEYS = {"checkpoint": None, "model": None, "form": "training", "image_size": None, "roc": None}
_OTHER_KEYS = ("augmentation@data.test_augmentation", "affine_strength")


def main(arguments: list[str]) -> int:
    if not arguments or {"-h", "--help"} & set(arguments):
        print(__doc__)
        return 0 if arguments else 1
    prepare_process()
    try:
        own, overrides = split(arguments)
        if own["model"] is not None:
            found = evaluate_model(own["model"], overrides)
        else:
            found = evaluate(own["checkpoint"], own["form"], overrides + at_size(own["image_size"]))
        publish(*found, own["roc"])
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def split(arguments: list[str]) -> tuple[dict[str, Any], list[str]]:
    """This program's own settings, and the overrides for the configuration."""
    own, overrides = split_arguments(arguments, "evaluate.py", _OWN_KEYS, _OTHER_KEYS)
    if own["model"] is not None:
        refuse_with_model(own)
    elif own["checkpoint"] is None:
        raise InputError("no checkpoint given: add checkpoint=FILE, or model=FILE for an exported one")
    if own["form"] not in ("training", "deployed"):
        raise InputError(f"form must be training or deployed, got {own['form']!r}")
    return own, overrides


def refuse_with_model(own: dict[str, Any]) -> None:
    """An exported file is what it is."""
    for key in ("checkpoint", "form", "image_size"):
        if own[key] != _OWN_KEYS[key]:
            raise InputError(f"{key} has no effect on an exported file: leave {key}= or model= out")


def at_size(pixels: str | None) -> list[str]:
    """The overrides for square images of another size."""
    if pixels is None:
        return []
    if not pixels.isdecimal():
        raise InputError(f"image_size must be a number of pixels, got {pixels!r}")
    sides = f"[{pixels},{pixels}]"
    return [f"image_size={pixels}", f"backbone.image_size={sides}", f"data.image_size={sides}"]


def evaluate(path: str, form: str, overrides: list[str]) -> tuple[dict[str, VerificationResult], dict[str, Any]]:
    """The results by benchmark, and what is printed of them."""
    backbone, cfg, checkpoint = build_trained(path, overrides)
    network = reparameterize(backbone) if form == "deployed" else backbone
    said = {"checkpoint": str(Path(path)), "epoch": checkpoint["epoch"], "form": form}
    return verify(cfg, network, said)


def evaluate_model(path: str, overrides: list[str]) -> tuple[dict[str, VerificationResult], dict[str, Any]]:
    """As `evaluate`, of an exported file."""
    model = files.read(Path(path))
    try:
        config, epoch = json.loads(model.metadata["config"]), int(model.metadata["epoch"])
        said = {"model": str(Path(path)), "checkpoint": model.metadata["checkpoint"], "epoch": epoch}
    except (KeyError, ValueError) as error:
        raise InputError(f"model {path} holds no configuration: use a file that scripts/export.py wrote") from error
    cfg = compose_trained({**config, "logger": {}, "callbacks": {}}, [*files.ON_CPU, *overrides])
    if list(cfg.data.image_size) != list(config["data"]["image_size"]):
        height, width = config["data"]["image_size"]
        raise InputError(f"model {path} takes images of {height}x{width}: leave data.image_size out")
    return verify(cfg, ModelBackbone(model), said)


def verify(
    cfg: DictConfig, network: nn.Module, said: dict[str, Any]
) -> tuple[dict[str, VerificationResult], dict[str, Any]]:
    """The results of ``network``, and what is printed of them after what is ``said`` of it."""
    data = build_data(cfg)
    data.setup("validate")
    verifier = build_verifier(cfg, network)
    build_trainer(cfg).validate(verifier, datamodule=data, verbose=False)
    summary = {
        **said,
        "image_size": cfg.image_size,
        "protocol": cfg.protocol,
        "test_augmentation": OmegaConf.to_container(cfg.data.get("test_augmentation", OmegaConf.create())),
        **code_and_environment(),
        "data": benchmark_fingerprints(data),
        "benchmarks": {name: result.summary() for name, result in verifier.results.items()},
    }
    return verifier.results, summary


@rank_zero_only
def publish(results: dict[str, VerificationResult], summary: dict[str, Any], roc: str | None) -> None:
    """For people on stderr and as a picture, for programs on stdout; once, however many devices there are."""
    show(results, summary)
    if roc is not None:
        save_figure(roc_figure(results), Path(roc))
    print(json.dumps(summary))


def show(results: dict[str, VerificationResult], summary: dict[str, Any]) -> None:
    """A row for each benchmark, in percent; the title says what the numbers depend on."""
    table = Table(
        title=f"verification in percent, protocol {next(iter(results.values())).protocol}, "
        f"epoch {summary['epoch'] + 1} (counted from 1), test images {transforms(summary['test_augmentation'])}"
    )
    fars = sorted({far for result in results.values() for far in result.tar_at_far}, reverse=True)
    columns = ("benchmark", "pairs", "accuracy", "AUC", "EER", *(f"TAR at FAR {far:g}" for far in fars))
    for column in columns:
        table.add_column(column, justify="left" if column == "benchmark" else "right")
    for name, result in results.items():
        rates = [f"{100 * result.tar_at_far[far]:.2f}" if far in result.tar_at_far else "too few" for far in fars]
        accuracy = f"{100 * result.accuracy:.2f} ± {100 * result.std:.2f}"
        shown = (accuracy, f"{100 * result.auc:.2f}", f"{100 * result.eer:.2f}", *rates)
        table.add_row(name, str(result.num_pairs), *shown)
    Console(stderr=True, width=None if sys.stderr.isatty() else 120).print(table)


def transforms(nodes: dict[str, dict[str, Any]]) -> str:
    """The test transforms with their settings: ``under rotation(degrees=15, strength=2.0)``."""
    shown = []
    for name, node in nodes.items():
        settings = ", ".join(f"{key}={value}" for key, value in node.items() if key != "_target_")
        shown.append(f"{name}({settings})")
    return f"under {', '.join(shown)}" if shown else "unchanged"


if __name__ == "__main__":
    run(main)
