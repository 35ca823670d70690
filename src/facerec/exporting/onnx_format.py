"""The ONNX format, run by ONNX Runtime on the CPU."""

import hashlib
import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

from facerec.errors import InputError
from facerec.exporting.formats import Model, Network
from facerec.exporting.native.load_operators import load_operators, saying_what_is_wrong

INPUT = "images"
_OUTPUTS = {"recognition": "embeddings", "segmentation": "logits"}  # by task
_DIGEST = "facerec.sha256"  # of everything before this entry of the metadata, which is the last in the file


def write_onnx(network: nn.Module, pixels: torch.Tensor, metadata: dict[str, str], path: Path) -> None:
    """Write ``network`` with a dynamic batch size; ``pixels`` is an example batch of two or more images."""
    batch = ({0: torch.export.Dim("batch")},)
    with _quiet():
        program = torch.onnx.export(
            network,
            (pixels,),
            dynamo=True,
            dynamic_shapes=batch,
            input_names=[INPUT],
            output_names=[_OUTPUTS[metadata.get("task", "recognition")]],
            verbose=False,
        )
    assert program is not None
    describe(program.model_proto, metadata, path)


def describe(model: onnx.ModelProto, metadata: dict[str, str], path: Path) -> None:
    """Write ``model`` with ``metadata`` and a digest, without the source paths that the exporter adds."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.helper.set_model_props(model, metadata)
    content = model.SerializeToString()
    path.write_bytes(content + _digest_entry(content))


def describe_again(path: Path, metadata: dict[str, str]) -> None:
    """Give the file ``path`` other ``metadata``."""
    model = onnx.load(path)
    del model.metadata_props[:]  # with the digest, which is the last entry
    describe(model, metadata, path)


def _digest_entry(content: bytes) -> bytes:
    """Return the serialised metadata with the digest of ``content``: messages are merged by writing them in a row."""
    entry = onnx.ModelProto()
    entry.metadata_props.add(key=_DIGEST, value=hashlib.sha256(content).hexdigest())
    return entry.SerializeToString()


def _refuse_damaged(content: bytes, path: Path) -> None:
    """Raise `InputError` if the file has a digest, as all but those of older versions do, and differs from it."""
    before = content[: -len(_digest_entry(b""))]
    if _DIGEST.encode() in content and content != before + _digest_entry(before):
        raise InputError(f"model {path} differs from the digest in its metadata, so it is damaged: export it again")


def read_onnx(path: Path, library: Path | None = None) -> Model:
    """Read an ONNX file; errors of ONNX Runtime are passed on. Raises `InputError` if it was changed afterwards.

    Args:
        library: as in `facerec.exporting.native.load_operators.load_operators`.
    """
    session = _session(path, library)

    def embed(pixels: np.ndarray) -> np.ndarray:
        return _run(session, path, None, {INPUT: pixels})

    return Model(session.get_modelmeta().custom_metadata_map, embed)


def open_onnx(path: Path) -> Network:
    """Read an ONNX file of any origin, as `read_onnx` does. Raises `InputError` if it takes no images."""
    session = _session(path)
    inputs = session.get_inputs()
    shape, kind = list(inputs[0].shape), inputs[0].type
    takes_pixels = kind == "tensor(uint8)"
    colours, sides = (shape[3:], shape[1:3]) if takes_pixels else (shape[1:2], shape[2:])
    if len(inputs) != 1 or len(shape) != 4 or colours != [3] or kind not in ("tensor(uint8)", "tensor(float)"):
        found = ", ".join(f"{one.type} {one.shape}" for one in inputs)
        raise InputError(
            f"model {path} takes {found}, not one batch of images, float (batch, 3, height, width): take a network "
            "for aligned faces"
        )

    def run(images: np.ndarray) -> np.ndarray:
        number = len(images)
        size = shape[0] if isinstance(shape[0], int) else number  # some files are for batches of one size only
        filled = images[np.minimum(np.arange(-(-number // size) * size), number - 1)]
        batches = filled.reshape(-1, size, *images.shape[1:])
        return np.concatenate([_run(session, path, None, {inputs[0].name: batch}) for batch in batches])[:number]

    known = all(isinstance(side, int) for side in sides)
    return Network((sides[0], sides[1]) if known else None, takes_pixels, run)


def _session(path: Path, library: Path | None = None) -> onnxruntime.InferenceSession:
    content = path.read_bytes()
    _refuse_damaged(content, path)
    options = onnxruntime.SessionOptions()
    load_operators(options, content, path, library)
    options.log_severity_level = 3
    # Otherwise its threads spin between calls and starve other work.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    with saying_what_is_wrong(path):
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _run(
    session: onnxruntime.InferenceSession, path: Path, outputs: list[str] | None, inputs: dict[str, np.ndarray]
) -> np.ndarray:
    with saying_what_is_wrong(path):
        return np.asarray(session.run(outputs, inputs)[0])


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the exporter and the quantiser tell their own developers."""
    loggers = [logging.getLogger(name) for name in (None, "torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def quantise(path: Path, batches: Iterable[np.ndarray], metadata: dict[str, str], target: Path) -> None:
    """Quantise the ONNX file ``path`` to eight bits as ``target``.

    The ranges of the activations are measured on ``batches`` of uint8 images ``(B, H, W, 3)``.
    """
    with _quiet(), TemporaryDirectory() as folder:
        prepared, quantised = Path(folder, "prepared.onnx"), Path(folder, "quantised.onnx")
        quant_pre_process(path, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            quantised,
            _Batches(batches),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Gemm", "MatMul"],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        describe(onnx.load(quantised), metadata, target)


class _Batches(CalibrationDataReader):
    def __init__(self, batches: Iterable[np.ndarray]) -> None:
        self._batches = iter(batches)

    def get_next(self) -> dict[str, Any] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}
