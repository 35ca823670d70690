"""Export a trained network to a file: facerec export checkpoint=outputs/NAME/RUN/best.ckpt format=onnx

The file maps uint8 RGB images (batch, height, width, 3) to embeddings. It is kept only if its embeddings match the
checkpoint's on the benchmark images (cosine above 0.9999) and it verifies as well; with int8=true, both accuracies are
shown instead. Position-dependent weights are approximated within a tolerance, 0.002 (pt2: 0); if the file then differs
too much, the exact form is written, which is slower in ONNX. pt2 needs a C++ compiler and is compiled for the processor
of this machine. With operators=native, an ONNX file has exact weights and operators of facerec, which are built as a
library beside it, by a C compiler or pip install ziglang. Prints a table on stderr and, last, one JSON object.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from facerec.config.build import build_data, build_trained, verify
from facerec.config.settings import command, run_settings, setting
from facerec.console import log, terminal
from facerec.data.datamodule import FaceDataModule
from facerec.data.loading import ImageDataset
from facerec.errors import InputError
from facerec.exporting import formats as files
from facerec.exporting.deployed_network import export_form
from facerec.exporting.formats import ModelBackbone
from facerec.exporting.native.operator_library import find_compiler, library_name, provide
from facerec.exporting.parity import Parity, compare, rounding
from facerec.files import check_output_file, replacing
from facerec.process import prepare_process
from facerec.runs.provenance import code_and_environment
from facerec.runs.table_formats import terminal_table

_CALIBRATION_IMAGES = 256


@dataclass
class Settings:
    """Settings:"""

    interrupted = "interrupted: no file was written, and an existing one is unchanged"

    checkpoint: Path = setting("of a run")
    format: Literal["onnx", "torchscript", "pt2"] = setting("of the file to write", "onnx")
    output: Path | None = setting(
        "the file; by default beside the checkpoint, ending in .onnx, .pt or .pt2", None, written=True
    )
    int8: bool = setting("ONNX only: eight-bit weights and activations, calibrated on training images", False)
    tolerance: float | None = setting("relative error allowed for position-dependent weights", None, least=0)
    operators: Literal["standard", "native"] = setting(
        "ONNX only: the runtime's, or facerec's own, which are faster and in a library beside the file", "standard"
    )
    weights: Literal["float32", "float16"] = setting("with operators=native, of position-dependent weights", "float32")
    target: Literal["linux-aarch64", "linux-x86_64", "windows-x86_64", "macos-arm64"] | None = setting(
        "with operators=native, the machine that the library is for, if not this one", None
    )
    trust: bool = setting("also build classes that are not facerec's: only if you trust the checkpoint", False)
    overrides: tuple[str, ...] = run_settings(
        "for the check, as for train: protocol=, data=, trainer=; by default the checkpoint's, on the CPU",
        *("data", "trainer", "protocol"),
    )

    def file(self) -> Path:
        """Return the path to write to."""
        suffix = ".int8.onnx" if self.int8 else files.SUFFIXES[self.format]
        return self.output or self.checkpoint.with_suffix(suffix)

    def library(self) -> Path | None:
        """Return the path to write the operator library to, or None if the file needs none."""
        return None if self.operators == "standard" else self.file().with_name(library_name(self.target))

    def tolerances(self) -> list[float]:
        """Return the tolerances to try in turn: the chosen one, or the format's default and then 0, which is exact."""
        if self.tolerance is not None:
            return [self.tolerance]
        if self.operators == "native":
            return [0.0]
        return list(dict.fromkeys([files.TOLERANCES[self.format], 0.0]))


def refuse_early(settings: Settings) -> None:
    """Raise `InputError` for wrong settings before anything is read."""
    if settings.int8 and settings.format != "onnx":
        raise InputError(f"int8=true needs format=onnx, got format={settings.format}: leave one of them out")
    refuse_no_library(settings)
    file, suffix = settings.file(), files.SUFFIXES[settings.format]
    if file.suffix != suffix:
        raise InputError(f"output {file} must end in {suffix} for format={settings.format}")
    if file.resolve() == settings.checkpoint.resolve():
        raise InputError(f"output {file} is the checkpoint itself: give another output=FILE")
    check_output_file(file, f"output={file}")


def refuse_no_library(settings: Settings) -> None:
    """Raise `InputError` for settings of the operator library that do not go together, or if none can be built."""
    if settings.operators == "standard":
        for key in ("weights", "target"):
            if getattr(settings, key) != getattr(Settings, key):
                raise InputError(f"{key}={getattr(settings, key)} needs operators=native: add it, or leave {key}= out")
        return
    for key, value in {"format": "onnx", "int8": False, "tolerance": None}.items():
        if getattr(settings, key) != value:
            raise InputError(f"operators=native has no {key}={getattr(settings, key)}: leave one of them out")
    find_compiler(None)
    find_compiler(settings.target)


def export(settings: Settings) -> dict[str, Any]:
    """Write the file, print how it compares with its checkpoint, and return the summary to print."""
    prepare_process()
    refuse_early(settings)
    path, output, tolerances = str(settings.checkpoint), settings.file(), settings.tolerances()
    backbone, cfg, checkpoint = build_trained(path, [*files.ON_CPU, *settings.overrides], settings.trust)
    backbone.eval()
    data = build_data(cfg)
    data.setup("validate")
    height, width = (int(side) for side in data.image_size)
    metadata = files.describe(checkpoint, path, (height, width), cfg.embedding_dim)
    metadata["git_commit"] = str(code_and_environment()["git_commit"])
    with replacing(output) as temporary:
        for tolerance in tolerances:
            write(settings, to_write(settings, backbone, tolerance), metadata, data, temporary)
            parity = compare(backbone, ModelBackbone(files.read(temporary)), partial(verify, cfg, data))
            if settings.int8 or is_kept(parity, tolerance, tolerances):
                break
        else:
            own = rounding(backbone, partial(verify, cfg, data))
            parity.refuse_difference(remedy(parity, own, tolerance, settings.weights))
        if library := settings.library():
            provide(library, settings.target)
    show(parity)
    described = {"file": str(output), "bytes": output.stat().st_size, "int8": settings.int8}
    described |= {"library": str(settings.library()), "weights": settings.weights} if settings.library() else {}
    return {**described, "tolerance": tolerance, **parity.summary()}


def is_kept(parity: Parity, tolerance: float, tolerances: list[float]) -> bool:
    """Return whether the file differs little enough; say so if another tolerance is tried."""
    try:
        parity.refuse_difference("")
    except InputError as error:
        if tolerance != tolerances[-1]:
            log(f"{error.args[0].split(':')[0]}: written exactly instead, which runs slower")
        return False
    return True


def remedy(parity: Parity, own: Parity, tolerance: float, weights: str = "float32") -> str:
    """Return what helps against a difference; ``own`` compares the checkpoint with itself in double precision."""
    if parity.is_rounding(own):
        return (
            "the checkpoint's own differ as much between float32 and float64 (least cosine "
            f"{own.least_cosine:.6f}), as in a network that has hardly learned, so no format helps; train longer"
        )
    if weights == "float16":
        return "leave weights=float16 out"
    return "give tolerance=0, which is exact" if tolerance > 0 else "take another format"


def to_write(settings: Settings, backbone: nn.Module, tolerance: float) -> nn.Module:
    """Return the network in the form that is written."""
    if settings.operators == "standard":
        return export_form(backbone, tolerance)
    from facerec.exporting.native.rewrite import native_form  # which imports timm, and that is slow

    return native_form(backbone, half=settings.weights == "float16")


def write(settings: Settings, network: nn.Module, metadata: dict[str, str], data: FaceDataModule, path: Path) -> None:
    """Write the file in the chosen format."""
    example = torch.randint(0, 256, (2, *data.image_size, 3), dtype=torch.uint8)
    files.write(settings.format, network, example, metadata, path)
    if settings.int8:
        from facerec.exporting.onnx_format import quantise  # needs ONNX Runtime, which most formats do not

        quantise(path, calibration_batches(data), metadata, path)


def calibration_batches(data: FaceDataModule) -> Iterator[np.ndarray]:
    """Yield batches of training images, evenly spaced, or of benchmark images if there is no training set."""
    try:
        source = data.open_train()  # without setup, which might decode the whole set for a cache
    except InputError as error:
        log(f"{error}; calibrating on images of {data.opened_benchmarks[0].name}")
        source = data.opened_benchmarks[0].images
    size = (int(data.image_size[0]), int(data.image_size[1]))
    images = ImageDataset(source, np.zeros(len(source), np.int64), size)
    chosen = np.linspace(0, len(source) - 1, min(_CALIBRATION_IMAGES, len(source))).astype(int)
    for indices in np.array_split(chosen, -(-len(chosen) // 16)):
        yield images.__getitems__(indices.tolist())[0].numpy()


def show(parity: Parity) -> None:
    """Print one row per benchmark, in percent."""
    title = f"accuracy in percent; least cosine between the two embeddings of an image: {parity.least_cosine:.6f}"
    sides = {"checkpoint": parity.checkpoint, "file": parity.exported}
    rows = [
        {"benchmark": name} | {side: f"{100 * found[name].accuracy:.2f}" for side, found in sides.items()}
        for name in parity.exported
    ]
    terminal(120).print(terminal_table(rows, title=title))


main = command(Settings, export)
