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
from facerec.exporting.formats import Model

INPUT, OUTPUT = "images", "embeddings"
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
            output_names=[OUTPUT],
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


def read_onnx(path: Path) -> Model:
    """Read an ONNX file; errors of ONNX Runtime are passed on. Raises `InputError` if it was changed afterwards."""
    content = path.read_bytes()
    _refuse_damaged(content, path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Otherwise its threads spin between calls and starve other work.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def embed(pixels: np.ndarray) -> np.ndarray:
        return np.asarray(session.run([OUTPUT], {INPUT: pixels})[0])

    return Model(session.get_modelmeta().custom_metadata_map, embed)


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
