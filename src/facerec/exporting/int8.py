"""Eight-bit weights and activations in ONNX Runtime, with ranges from real images: post-training static quantisation.

Convolutions with constant filters, linear layers and products of matrices; what is multiplied position by position
stays in float32.
"""

import logging
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from facerec.exporting.onnx_format import INPUT, describe

_QUANTISED = ["Conv", "Gemm", "MatMul"]


def quantise(path: Path, batches: Iterable[np.ndarray], metadata: dict[str, str], target: Path) -> None:
    """The ONNX file ``path`` in eight bits as ``target``; ``batches`` of uint8 images ``(B, H, W, 3)`` are what the
    ranges of the activations are taken from."""
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)
    try:
        with TemporaryDirectory() as folder:
            prepared, quantised = Path(folder, "prepared.onnx"), Path(folder, "quantised.onnx")
            quant_pre_process(path, prepared, skip_symbolic_shape=True)
            quantize_static(
                prepared,
                quantised,
                _Batches(batches),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=_QUANTISED,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
            describe(onnx.load(quantised), metadata, target)
    finally:
        logging.getLogger().setLevel(level)


class _Batches(CalibrationDataReader):
    def __init__(self, batches: Iterable[np.ndarray]) -> None:
        self._batches = iter(batches)

    def get_next(self) -> dict[str, Any] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}
