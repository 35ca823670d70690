"""Write a trained network as a file: python scripts/export.py checkpoint=outputs/NAME/RUN/best.ckpt format=onnx

Beside checkpoint=, it takes
    format=onnx|torchscript|pt2   default onnx; pt2 is compiled for this machine's kind of processor, by a C++ compiler
    output=FILE                   default: beside the checkpoint, ending in .onnx, .pt or .pt2
    int8=true                     ONNX alone: eight-bit weights and activations, with ranges from training images
    tolerance=...                 how far weights that change with the position may be off; 0: exact, slower in ONNX;
                                  default: 0.002 (pt2: 0), and exact where that is too far off
    protocol=... data=... data.KEY=... trainer=... trainer.KEY=...
                                  what it is checked on; default: the checkpoint's, on the CPU
The file reads uint8 RGB images (batch, height, width, 3) and gives embeddings. It is kept when its embeddings are the
checkpoint's on the benchmarks' images (cosine above 0.9999) and it verifies as well; in eight bits both accuracies are
shown. Prints a table on stderr and, last, one JSON object.
"""

import json
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from facerec.program import run

import numpy as np
import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table
from torch import nn

from facerec.config.build import build_data, build_trained, build_trainer, build_verifier
from facerec.config.settings import split_arguments
from facerec.console import log
from facerec.data.datamodule import FaceDataModule
from facerec.data.loading import ImageDataset
from facerec.errors import InputError
from facerec.exporting import formats as files
from facerec.exporting.deployed_network import export_form
from facerec.exporting.formats import ModelBackbone
from facerec.exporting.parity import Parity, Results, compare
from facerec.files import replacing
from facerec.process import prepare_process
from facerec.runs.provenance import code_and_environment

_OWN_KEYS = {"checkpoint": None, "format": "onnx", "output": None, "int8": "false", "tolerance": None}
_CALIBRATION_IMAGES = 256


def main(arguments: list[str]) -> int:
    if not arguments or {"-h", "--help"} & set(arguments):
        print(__doc__)
        return 0 if arguments else 1
    prepare_process()
    try:
        own, overrides = split(arguments)
        summary, parity = export(own, overrides)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: no file was written, and what was there is as it was", file=sys.stderr)
        return 130
    show(parity)
    print(json.dumps(summary))
    return 0


def split(arguments: list[str]) -> tuple[dict[str, Any], list[str]]:
    """This program's own settings, and the overrides for the configuration."""
    own, overrides = split_arguments(arguments, "export.py", _OWN_KEYS)
    if own["checkpoint"] is None:
        raise InputError("no checkpoint given: add checkpoint=FILE")
    check(own)
    return own, overrides


def check(own: dict[str, Any]) -> None:
    """Refuse values before anything is read, and fill in the defaults that depend on others."""
    if own["format"] not in files.SUFFIXES:
        raise InputError(f"format must be one of {', '.join(files.SUFFIXES)}, got {own['format']!r}")
    if own["int8"] not in ("true", "false"):
        raise InputError(f"int8 must be true or false, got {own['int8']!r}")
    own["int8"] = own["int8"] == "true"
    if own["int8"] and own["format"] != "onnx":
        raise InputError(f"int8=true needs format=onnx, got format={own['format']}: leave one of them out")
    try:
        tolerance = files.TOLERANCES[own["format"]] if own["tolerance"] is None else float(own["tolerance"])
    except ValueError:
        tolerance = math.nan
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise InputError(f"tolerance must be a number of at least 0, got {own['tolerance']!r}")
    # Where nobody chose one, what is too far off is written exactly.
    own["tolerances"] = [tolerance] if own["tolerance"] is not None or tolerance == 0 else [tolerance, 0.0]
    suffix = files.SUFFIXES[own["format"]]
    default = Path(own["checkpoint"]).with_suffix(".int8.onnx" if own["int8"] else suffix)
    own["output"] = Path(own["output"] or default)
    if own["output"].suffix != suffix:
        raise InputError(f"output {own['output']} must end in {suffix} for format={own['format']}")
    if own["output"].resolve() == Path(own["checkpoint"]).resolve():
        raise InputError(f"output {own['output']} is the checkpoint itself: give another output=FILE")


def export(own: dict[str, Any], overrides: list[str]) -> tuple[dict[str, Any], Parity]:
    """What is printed, and how the file compares with its checkpoint."""
    path = own["checkpoint"]
    backbone, cfg, checkpoint = build_trained(path, [*files.ON_CPU, *overrides])
    backbone.eval()
    data = build_data(cfg)
    data.setup("validate")
    height, width = (int(side) for side in data.image_size)
    metadata = files.describe(checkpoint, path, (height, width), cfg.embedding_dim)
    metadata["git_commit"] = str(code_and_environment()["git_commit"])
    with replacing(own["output"]) as partial:
        for tolerance in own["tolerances"]:
            write(own, export_form(backbone, tolerance), metadata, data, partial)
            parity = compare(backbone, ModelBackbone(files.read(partial)), verifying(cfg, data))
            if own["int8"] or is_kept(parity, tolerance, own["tolerances"]):
                break
    said = {"file": str(own["output"]), "bytes": own["output"].stat().st_size, "int8": own["int8"]}
    return {**said, "tolerance": tolerance, **parity.summary()}, parity


def is_kept(parity: Parity, tolerance: float, tolerances: list[float]) -> bool:
    """False where the file is too far off and the next tolerance is to be tried; `InputError` where there is none."""
    try:
        parity.refuse_difference("give tolerance=0, which is exact" if tolerance > 0 else "take another format")
    except InputError as error:
        if tolerance == tolerances[-1]:
            raise
        log(f"{error.args[0].split(':')[0]}: written exactly instead, which runs slower")
        return False
    return True


def write(own: dict[str, Any], network: nn.Module, metadata: dict[str, str], data: FaceDataModule, path: Path) -> None:
    """The file in the format that is asked for."""
    example = torch.randint(0, 256, (2, *data.image_size, 3), dtype=torch.uint8)
    files.write(own["format"], network, example, metadata, path)
    if own["int8"]:
        from facerec.exporting.onnx_format import quantise  # needs ONNX Runtime, which most formats do not

        quantise(path, calibration_batches(data), metadata, path)


def calibration_batches(data: FaceDataModule) -> Iterator[np.ndarray]:
    """Training images, evenly from the whole set; of a benchmark where there is no training set."""
    try:
        source = data.open_train()  # not set up: what would be decoded for a cache is not needed
    except InputError as error:
        log(f"{error}; the ranges are taken from images of {data.opened_benchmarks[0].name}")
        source = data.opened_benchmarks[0].images
    size = (int(data.image_size[0]), int(data.image_size[1]))
    images = ImageDataset(source, np.zeros(len(source), np.int64), size)
    chosen = np.linspace(0, len(source) - 1, min(_CALIBRATION_IMAGES, len(source))).astype(int)
    for places in np.array_split(chosen, -(-len(chosen) // 16)):
        yield images.__getitems__(places.tolist())[0].numpy()


def show(parity: Parity) -> None:
    """A row for each benchmark, in percent."""
    table = Table(title=f"least cosine of an image's two embeddings: {parity.least_cosine:.6f}")
    for column in ("accuracy in percent", "checkpoint", "file"):
        table.add_column(column, justify="left" if column.startswith("accuracy") else "right")
    for name, ours in parity.checkpoint.items():
        table.add_row(name, f"{100 * ours.accuracy:.2f}", f"{100 * parity.exported[name].accuracy:.2f}")
    Console(stderr=True, width=None if sys.stderr.isatty() else 120).print(table)


def verifying(cfg: DictConfig, data: FaceDataModule) -> Callable[[nn.Module], Results]:
    def verify(network: nn.Module) -> Results:
        verifier = build_verifier(cfg, network)
        build_trainer(cfg).validate(verifier, datamodule=data, verbose=False)
        return verifier.results

    return verify


if __name__ == "__main__":
    run(main)
