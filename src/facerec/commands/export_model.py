"""Export a trained network to a file: facerec export checkpoint=outputs/NAME/RUN/best.ckpt format=onnx

The file maps uint8 RGB images (batch, height, width, 3) to embeddings. It is kept only if its embeddings match the
checkpoint's on the benchmark images (cosine above 0.9999) and it verifies as well; with int8=true, both accuracies are
shown instead. Position-dependent weights are approximated within a tolerance, 0.002 (pt2: 0); if the file then differs
too much, the exact form is written, which is slower in ONNX. pt2 needs a C++ compiler and is compiled for the processor
of this machine. With operators=native, an ONNX file has exact weights and operators of facerec, which are built as a
library beside it, by a C compiler or pip install ziglang. safetensors has weights and metadata, for PyTorch programs.

The metadata of each file names alignment, protocol, training images, commit, licence, accuracies, and the thresholds at
false match rates of 1e-2 to 1e-6 with the error rates at every other one; card=true writes all of it in Markdown,
beside the file. A network that segments is written as onnx or pt2, with the logits of cup and disc, and kept only if
more than 0.999 of the pixels of its masks are the checkpoint's. Prints a table on stderr and, last, one JSON object.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
import torch
from omegaconf import DictConfig
from torch import nn

from facerec.alignment.placement import alignment
from facerec.commands.export_masks import export_masks
from facerec.config.build import build_faces, learner_class, verify
from facerec.config.settings import command, run_settings, setting
from facerec.config.trained import build_trained, read_model
from facerec.console import log, terminal
from facerec.cost import measure_cost
from facerec.data.datamodule import FaceDataModule
from facerec.data.loading import ImageDataset
from facerec.errors import InputError
from facerec.exporting import formats as files
from facerec.exporting.deployed_network import EmbedsPixels, export_form
from facerec.exporting.formats import ModelBackbone
from facerec.exporting.measured import choose_benchmark, measured, read_rates
from facerec.exporting.model_card import INTENDED_USE, NO_LICENCE, model_card
from facerec.exporting.native.operator_library import cached, find_compiler, library_name, provide
from facerec.exporting.parity import Parity, compare, recorded, rounding
from facerec.files import check_output_file, replacing
from facerec.process import prepare_process
from facerec.runs.provenance import code_and_environment
from facerec.runs.table_formats import terminal_table
from facerec.runs.training_overlap import found_by_run
from facerec.training.checkpoints import network_digest, training_fingerprint
from facerec.training.evaluator import Evaluator
from facerec.training.mask_evaluator import MaskEvaluator
from facerec.training.verifier import Verifier

_CALIBRATION_IMAGES = 256


@dataclass
class Settings:
    """Settings:"""

    interrupted = "interrupted: no file was written, and an existing one is unchanged"

    checkpoint: Path = setting("of a run")
    format: Literal["onnx", "torchscript", "pt2", "safetensors"] = setting("of the file to write", "onnx")
    output: Path | None = setting(
        "the file; by default beside the checkpoint, with the ending of its format", None, written=True
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
    thresholds: str | None = setting("benchmark for the thresholds; by default the one with the most pairs", None)
    licence: str | None = setting("of the weights, for the metadata, such as CC-BY-4.0", None)
    intended_use: str | None = setting("a clause for the metadata, beginning with to", None)
    card: bool = setting("also write a model card, in Markdown, beside the file", False)
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

    def card_file(self) -> Path | None:
        """Return the path of the model card, if one is asked for."""
        return self.file().with_suffix(".md") if self.card else None

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
    if (card := settings.card_file()) is not None:
        check_output_file(card, f"card={card}")


def refuse_no_library(settings: Settings) -> None:
    """Raise `InputError` for settings of the operator library that do not go together, or if none can be built."""
    if settings.operators == "standard":
        for key in ("weights", "target"):
            if getattr(settings, key) != getattr(Settings, key):
                raise InputError(f"{key}={getattr(settings, key)} needs operators=native: add it, or leave {key}= out")
        return
    for key, value in {"format": "onnx", "int8": False, "tolerance": None}.items():
        if getattr(settings, key) != value:
            given = str(getattr(settings, key)).replace("True", "true")
            raise InputError(f"operators=native cannot be used with {key}={given}: leave one of them out")
    cached()  # built now, since the check needs it
    if settings.target:
        find_compiler(settings.target)


def export(settings: Settings) -> dict[str, Any]:
    """Write the file, print how it compares with its checkpoint, and return the summary to print."""
    prepare_process()
    refuse_early(settings)
    path = str(settings.checkpoint)
    backbone, cfg, checkpoint = build_trained(path, [*files.ON_CPU, *settings.overrides], settings.trust)
    backbone.eval()
    return _EXPORTS[learner_class(cfg).evaluator](settings, backbone, cfg, checkpoint)


def _masks(settings: Settings, backbone: nn.Module, cfg: DictConfig, checkpoint: dict[str, Any]) -> dict[str, Any]:
    for key in _OF_FACES:
        if getattr(settings, key) != getattr(Settings, key):
            raise InputError(f"{key}={getattr(settings, key)} has no effect on a network that segments: leave it out")
    file, tolerances = settings.file(), settings.tolerances()
    where = settings.checkpoint, file, settings.format
    return export_masks(backbone, cfg, checkpoint, *where, tolerances, settings.licence, settings.trust)


_OF_FACES = ("int8", "operators", "weights", "target", "thresholds", "intended_use", "card")


def _faces(settings: Settings, backbone: nn.Module, cfg: DictConfig, checkpoint: dict[str, Any]) -> dict[str, Any]:
    output, tolerances = settings.file(), settings.tolerances()
    data = build_faces(cfg)
    data.setup("validate")
    chosen, kept = choose_benchmark(data.opened_benchmarks, settings.thresholds), {}
    shared = found_by_run(settings.checkpoint.parent, data.opened_benchmarks)
    ours = recorded(backbone, partial(verify, cfg, data, embeddings=kept))
    metadata = described(settings, backbone, data, checkpoint, cfg.embedding_dim)
    metadata |= measured(ours.results, kept, chosen, "the checkpoint", shared)
    with replacing(output) as temporary:
        for tolerance in tolerances:
            write(settings, to_write(settings, backbone, tolerance), metadata, data, temporary)
            exported = ModelBackbone(read_model(temporary, settings.trust))
            parity = compare(ours, exported, partial(verify, cfg, data, embeddings=kept))
            if settings.int8 or is_kept(parity, tolerance, tolerances):
                break
        else:
            own = rounding(ours, backbone, partial(verify, cfg, data))
            parity.refuse_difference(remedy(parity, own, tolerance, settings.weights))
        if settings.int8:
            metadata |= measured(parity.exported, kept, chosen, "the file itself", shared)
            onnx_format().describe_again(temporary, metadata)
        if library := settings.library():
            provide(library, settings.target)
    show(parity)
    found = {"file": str(output), "bytes": output.stat().st_size, "int8": settings.int8, "tolerance": tolerance}
    found |= {"library": str(settings.library()), "weights": settings.weights} if settings.library() else {}
    if (card := settings.card_file()) is not None:
        with replacing(card) as temporary:
            temporary.write_text(model_card(output.name, metadata), encoding="utf-8")
        found["card"] = str(card)
    return {**found, **parity.summary(), "thresholds": at_fmr(metadata)}


_EXPORTS: dict[type[Evaluator], Callable[..., dict[str, Any]]] = {Verifier: _faces, MaskEvaluator: _masks}


def described(
    settings: Settings, backbone: nn.Module, data: FaceDataModule, checkpoint: dict[str, Any], embedding_dim: int
) -> dict[str, str]:
    """Return the metadata that is known before anything is measured."""
    size = (int(data.image_size[0]), int(data.image_size[1]))
    return {
        **files.describe(checkpoint, str(settings.checkpoint), size, embedding_dim),
        "alignment": json.dumps(alignment(size)),
        "network": network_digest(checkpoint) + ("-int8" if settings.int8 else ""),
        "training_data": training_fingerprint(checkpoint) or "not known",
        "git_commit": str(code_and_environment()["git_commit"]),
        "cost": json.dumps(asdict(measure_cost(backbone, size))),
        "licence": settings.licence or NO_LICENCE,
        "intended_use": settings.intended_use or INTENDED_USE,
    }


def at_fmr(metadata: dict[str, str]) -> dict[str, float] | str:
    """Return the cosine that is the threshold at each FMR, or why there is none."""
    rates = read_rates(metadata)
    return rates if isinstance(rates, str) else {fmr: rates.threshold(fmr) for fmr in rates.at_fmr}


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
    """Return the network in the form that is written; safetensors takes the weights as trained."""
    if settings.format == "safetensors":
        return EmbedsPixels(backbone)
    if settings.operators == "standard":
        return export_form(backbone, tolerance)
    from facerec.exporting.native.rewrite import native_form  # which imports timm, and that is slow

    network = native_form(backbone, half=settings.weights == "float16")
    if settings.weights == "float16" and not any(buffer.dtype == torch.float16 for buffer in network.buffers()):
        raise InputError(
            "weights=float16 rounds weights that each position has of its own, and this network has none: leave it out"
        )
    return network


def write(settings: Settings, network: nn.Module, metadata: dict[str, str], data: FaceDataModule, path: Path) -> None:
    """Write the file in the chosen format."""
    example = torch.randint(0, 256, (2, *data.image_size, 3), dtype=torch.uint8)
    files.write(settings.format, network, example, metadata, path)
    if settings.int8:
        onnx_format().quantise(path, calibration_batches(data), metadata, path)


def onnx_format() -> ModuleType:
    """Return the module, which needs ONNX Runtime; most formats do not."""
    from facerec.exporting import onnx_format as module

    return module


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
