"""The file formats, and writing and reading them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from facerec.errors import InputError
from facerec.files import refuse_no_regular_file
from facerec.kernels.dispatch import exporting
from facerec.segmentation.mask_protocols import PROTOCOLS as MASK_PROTOCOLS
from facerec.verification.protocols import PROTOCOLS

# Makes the network of a stored configuration, with these weights.
Build = Callable[[dict[str, Any], dict[str, Tensor]], nn.Module]


@dataclass(frozen=True)
class Model:
    """A model read from a file.

    Attributes:
        metadata: as it was written.
        embed: maps uint8 RGB images ``(B, H, W, 3)`` to float32 embeddings ``(B, D)``, or to the logits
            ``(B, classes, H, W)`` of a file of segmentation.
    """

    metadata: dict[str, str]
    embed: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Network:
    """An ONNX network of any origin.

    Attributes:
        image_size: (height, width) of its images; None: any.
        takes_pixels: whether ``run`` takes uint8 RGB ``(B, H, W, 3)``, as the project's files do, or else float32
            ``(B, 3, H, W)``, whose colour order and normalisation the file does not say.
        run: returns the first output, for any B.
    """

    image_size: tuple[int, int] | None
    takes_pixels: bool
    run: Callable[[np.ndarray], np.ndarray]


class ModelBackbone(nn.Module):
    """A `Model` as a backbone: normalised images ``(B, 3, H, W)`` to embeddings ``(B, D)``."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        pixels = (images * 127.5 + 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
        return torch.from_numpy(self.model.embed(pixels.cpu().numpy())).to(images.device)


# Exported files run on the CPU in float32, independent of the device of the training.
ON_CPU = ["trainer.accelerator=cpu", "trainer.devices=1", "trainer.strategy=auto", "trainer.precision=32-true"]
SUFFIXES = {"onnx": ".onnx", "torchscript": ".pt", "pt2": ".pt2", "safetensors": ".safetensors"}
# Default relative error of the low-rank approximation; 0 (exact) where PyTorch or a compiler does not need it.
TOLERANCES = {"onnx": 0.002, "torchscript": 0.002, "pt2": 0.0, "safetensors": 0.0}


def write(format: str, network: nn.Module, pixels: torch.Tensor, metadata: dict[str, str], path: Path) -> None:
    """Write ``network`` to ``path``; `InputError` if the format does not support one of its operators."""
    writer = _function(format, "write")
    try:
        with exporting():
            writer(network, pixels, metadata, path)
    except (InputError, OSError):
        raise
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"this network cannot be written as {format} ({type(error).__name__}: {reason}): take another format"
        ) from error


def read(path: Path, library: Path | None = None, build: Build | None = None) -> Model:
    """Read a file that `write` wrote; `InputError` if it is something else.

    TorchScript and pt2 files contain code: read only files you trust. A safetensors file has weights alone.

    Args:
        library: of an ONNX file with operators of facerec: the library to load, whose code runs; None: one that is
            built from this version's sources.
        build: makes the network of a safetensors file; `facerec.config.trained.read_model` knows how.
    """
    by_suffix = {suffix: format for format, suffix in SUFFIXES.items()}
    if path.suffix not in by_suffix:
        raise InputError(f"model {path} has an unknown ending: it must be one of {', '.join(by_suffix)}")
    refuse_no_regular_file(path)
    if not path.is_file():
        raise InputError(f"model {path} does not exist: check the path")
    format = by_suffix[path.suffix]
    reader = _function(format, "read")
    if library is not None:
        if format != "onnx":
            raise InputError(f"library={library} has no effect on {path}: leave it out")
        reader = partial(reader, library=library)
    if format == "safetensors":
        if build is None:
            raise InputError(f"model {path} has weights and no network: take the file of another format")
        reader = partial(reader, build=build)
    model = _read(reader, path, format)
    if "config" not in model.metadata:
        raise InputError(f"model {path} holds no configuration: use a file that facerec export wrote")
    return model


def open_network(path: Path) -> Network:
    """Read an ONNX file of any origin; `InputError` if it is damaged or takes no images."""
    return _read(_function("onnx", "open"), path, "onnx")


def _read(reader: Callable[[Path], Any], path: Path, format: str) -> Any:
    try:
        return reader(path)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"model {path} cannot be read as {format}: export it again") from error


def describe(checkpoint: dict[str, Any], path: str, image_size: tuple[int, int], embedding_dim: int) -> dict[str, str]:
    """Return what every file says about itself."""
    config = checkpoint["config"]
    both = PROTOCOLS[config["protocol"]].sums_flip
    return {
        **_input(image_size),
        "output": f"float32 (batch, {embedding_dim}), not of unit length",
        "embedding": "the sum of the outputs for the image and its mirror image"
        if both
        else "the output for the image",
        **_origin(checkpoint, path),
    }


def describe_segmentation(checkpoint: dict[str, Any], path: str, image_size: tuple[int, int]) -> dict[str, str]:
    """Return what every file of segmentation says about itself."""
    protocol = MASK_PROTOCOLS[checkpoint["config"]["protocol"]]
    return {
        "task": "segmentation",
        **_input(image_size),
        "output": f"float32 (batch, 2, {image_size[0]}, {image_size[1]}), logits of cup and disc",
        "mask": "sigmoid of the logits above the threshold, after they are enlarged to the photograph, bilinearly",
        "threshold": f"{protocol.threshold:g}",
        **_origin(checkpoint, path),
    }


def _input(image_size: tuple[int, int]) -> dict[str, str]:
    return {
        "input": f"uint8 (batch, {image_size[0]}, {image_size[1]}, 3)",
        "colour_order": "RGB",
        "normalisation": "inside: (x - 127.5) / 127.5",
    }


def _origin(checkpoint: dict[str, Any], path: str) -> dict[str, str]:
    config = checkpoint["config"]
    return {
        "protocol": str(config["protocol"]),
        "checkpoint": path,
        "epoch": str(checkpoint["epoch"]),
        "config": json.dumps(config),
    }


def _function(format: str, verb: str) -> Callable[..., Any]:
    """Return the format's function, importing only the runtime that is used."""
    try:
        return getattr(import_module(f"facerec.exporting.{format}_format"), f"{verb}_{format}")
    except ModuleNotFoundError as error:
        raise InputError(
            f"{format} needs the package {error.name}: add it with pip install -e '.[export]' in a checkout of facerec"
        ) from error
