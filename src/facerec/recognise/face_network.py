"""A trained network, from a checkpoint or an exported file, as a function from aligned faces to unit vectors."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from facerec.config.build import size_of
from facerec.config.trained import build_trained, read_model
from facerec.deploy import reparameterize
from facerec.errors import InputError
from facerec.exporting.deployed_network import EmbedsPixels
from facerec.exporting.folding import fold_batch_norms
from facerec.exporting.measured import read_rates
from facerec.files import digest_of_file
from facerec.training.checkpoints import network_digest
from facerec.verification.all_pairs import unit_rows
from facerec.verification.error_rates import ErrorRates
from facerec.verification.protocols import PROTOCOLS

_BATCH = 32
_LARGEST = 2048  # pixels of a face's side: a file may say anything
_NO_RATES = "a checkpoint holds no error rates, which facerec export measures"
_FOREIGN = "use a file that facerec export wrote"
Embed = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class FaceNetwork:
    """A network that embeds aligned faces.

    Attributes:
        name: its file.
        digest: the same for all files of the same weights; embeddings of different ones cannot be compared.
        image_size: (height, width) of an aligned face.
        sums_flip: whether an embedding is the sum over the image and its mirror image, as the protocol says.
        run: maps uint8 RGB images ``(B, H, W, 3)`` to the network's outputs ``(B, D)``.
        rates: the error rates that were measured, or the reason why there are none.
    """

    name: str
    digest: str
    image_size: tuple[int, int]
    sums_flip: bool
    run: Embed
    rates: ErrorRates | str

    def embed(self, faces: np.ndarray) -> np.ndarray:
        """Return the embeddings of aligned faces, uint8 RGB ``(N, H, W, 3)``, float32 ``(N, D)`` of length 1.

        Raises `InputError` for an embedding without a direction.
        """
        batches = [self._outputs(faces[start : start + _BATCH]) for start in range(0, len(faces), _BATCH)]
        try:
            return unit_rows(np.concatenate(batches))
        except ValueError as error:
            raise InputError(f"model {self.name} cannot be used, since {error}") from error

    def _outputs(self, faces: np.ndarray) -> np.ndarray:
        outputs = self.run(np.ascontiguousarray(faces))
        return outputs + self.run(np.ascontiguousarray(faces[:, :, ::-1])) if self.sums_flip else outputs


def open_face_network(path: Path, trust: bool = False) -> FaceNetwork:
    """Open a checkpoint (.ckpt) or an exported file; raise `InputError` if it is neither.

    With ``trust``, classes that are not facerec's are built too.
    """
    return _of_checkpoint(path, trust) if path.suffix == ".ckpt" else _of_file(path, trust)


def _of_checkpoint(path: Path, trust: bool) -> FaceNetwork:
    backbone, cfg, checkpoint = build_trained(path, [], trust)
    network = EmbedsPixels(fold_batch_norms(reparameterize(backbone))).eval()
    size = size_of(cfg.backbone) or size_of(cfg.data) or [cfg.image_size] * 2

    @torch.inference_mode()
    def run(faces: np.ndarray) -> np.ndarray:
        return network(torch.from_numpy(faces)).numpy()

    return FaceNetwork(
        str(path), network_digest(checkpoint), (size[0], size[1]), _sums_flip(path, cfg.protocol), run, _NO_RATES
    )


def _of_file(path: Path, trust: bool) -> FaceNetwork:
    model = read_model(path, trust)
    height, width = _stated_size(path, model.metadata)
    digest = model.metadata.get("network") or digest_of_file(path)[:32]
    rates = read_rates(model.metadata)
    sums_flip = _sums_flip(path, model.metadata.get("protocol"))
    return FaceNetwork(str(path), digest, (height, width), sums_flip, model.embed, rates)


def _stated_size(path: Path, metadata: Mapping[str, str]) -> tuple[int, int]:
    try:
        sides = json.loads(metadata["config"])["data"]["image_size"]
    except (KeyError, TypeError, ValueError, RecursionError):
        sides = None
    if not isinstance(sides, list) or [type(side) for side in sides] != [int, int]:
        raise InputError(f"model {path} does not say which images it takes: {_FOREIGN}")
    if not 1 <= min(sides) <= max(sides) <= _LARGEST:
        raise InputError(f"model {path} says that its images are {sides[0]}x{sides[1]} pixels: {_FOREIGN}")
    return sides[0], sides[1]


def _sums_flip(path: Path, protocol: str | None) -> bool:
    if protocol not in PROTOCOLS:
        raise InputError(f"model {path} is for protocol {protocol!r}, which is not known: {_FOREIGN}")
    return PROTOCOLS[protocol].sums_flip
