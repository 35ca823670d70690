"""The safetensors format: the weights as trained, and the metadata, for PyTorch programs. It holds no code."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from facerec.deploy import reparameterize
from facerec.errors import InputError
from facerec.exporting.deployed_network import EmbedsPixels
from facerec.exporting.formats import Model

_DIGEST = "facerec.sha256"  # of everything else


def write_safetensors(network: EmbedsPixels, pixels: Tensor, metadata: dict[str, str], path: Path) -> None:
    """Write the weights of the backbone in ``network``; ``pixels`` are not needed."""
    weights = {
        name: weight.detach().cpu().contiguous().clone() for name, weight in network.backbone.state_dict().items()
    }
    path.write_bytes(save(weights, {**metadata, _DIGEST: _digest(weights, metadata)}))


def read_safetensors(path: Path, build: Callable[[dict[str, Any], dict[str, Tensor]], nn.Module]) -> Model:
    """Read the weights into the network that ``build`` makes of the configuration and the weights, in its fast form.

    Errors of safetensors are passed on. Raises `InputError` if the file was changed afterwards.
    """
    with safe_open(path, "pt") as file:
        metadata: dict[str, str] = dict(file.metadata() or {})
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dictionary
    if metadata.pop(_DIGEST, None) != _digest(weights, metadata):
        raise InputError(f"model {path} differs from the digest in its metadata, so it is damaged: export it again")
    network = EmbedsPixels(reparameterize(build(json.loads(metadata["config"]), weights))).eval()

    @torch.inference_mode()
    def embed(images: np.ndarray) -> np.ndarray:
        return network(torch.from_numpy(images)).numpy()

    return Model(metadata, embed)


def _digest(weights: dict[str, Tensor], metadata: dict[str, str]) -> str:
    sha = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name, weight in sorted(weights.items()):
        sha.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        sha.update(weight.reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()
