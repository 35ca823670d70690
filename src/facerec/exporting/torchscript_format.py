"""TorchScript: one file for PyTorch in C++ or Python, of any version since."""

import json
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

from facerec.exporting.formats import Model

_METADATA = "metadata.json"


def write_torchscript(network: nn.Module, pixels: torch.Tensor, metadata: dict[str, str], path: Path) -> None:
    """Write ``network`` as it runs on ``pixels``, a batch of two or more; of any number in the file."""
    with warnings.catch_warnings(), torch.no_grad():
        # PyTorch would rather have torch.export; a size that is compared is one that the file is made for.
        warnings.simplefilter("ignore")
        scripted = torch.jit.freeze(torch.jit.trace(network, pixels, check_trace=False))
        torch.jit.save(scripted, path, _extra_files={_METADATA: json.dumps(metadata)})


def read_torchscript(path: Path) -> Model:
    """Whatever PyTorch raises is raised."""
    files = {_METADATA: ""}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.load(path, map_location="cpu", _extra_files=files)

    @torch.inference_mode()
    def embed(pixels: np.ndarray) -> np.ndarray:
        return scripted(torch.from_numpy(pixels)).numpy()

    return Model(json.loads(files[_METADATA] or "{}"), embed)
