"""The TorchScript format, run by PyTorch from C++ or Python, also by later versions."""

import json
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import nn

from facerec.exporting.formats import Model
from facerec.files import check_zip

_METADATA = "metadata.json"


def write_torchscript(network: nn.Module, pixels: torch.Tensor, metadata: dict[str, str], path: Path) -> None:
    """Write ``network`` with a dynamic batch size, traced with ``pixels``, a batch of two or more images."""
    with warnings.catch_warnings(), torch.no_grad():
        # Silence the deprecation warning, and those about compared sizes, for which the file is made.
        warnings.simplefilter("ignore")
        scripted = torch.jit.freeze(torch.jit.trace(network, pixels, check_trace=False))
        content = BytesIO()  # PyTorch's own writer of files aborts the process when the disk is full
        torch.jit.save(scripted, content, _extra_files={_METADATA: json.dumps(metadata)})
    path.write_bytes(content.getbuffer())


def read_torchscript(path: Path) -> Model:
    """Read a TorchScript file; errors of PyTorch are passed on, and `BadZipFile` for a damaged one."""
    check_zip(path, compressed=True)
    files = {_METADATA: ""}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.load(path, map_location="cpu", _extra_files=files)

    @torch.inference_mode()
    def embed(pixels: np.ndarray) -> np.ndarray:
        return scripted(torch.from_numpy(pixels)).numpy()

    return Model(json.loads(files[_METADATA] or "{}"), embed)
