"""Images far from the dominant centre of their identity, found by a network that was trained with several centres.

Deng et al., "Sub-center ArcFace", ECCV 2020: the dominant centre of an identity is the one that most of its images are
nearest to; wrong labels gather at the others, and images at more than 75 degrees from the dominant one are left out of
the next training.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import get_object
from torch import Tensor
from torch.nn.functional import normalize

from facerec.config.trained import build_trained
from facerec.data.datamodule import FaceDataModule
from facerec.data.held_out import split_identities
from facerec.data.source import LabelledSource
from facerec.doctor.cleaned_list import CleanedList
from facerec.doctor.faces import Embedder, Faces
from facerec.doctor.findings import LISTED, SHOWN, Example, Finding, report
from facerec.doctor.survey import Part
from facerec.errors import InputError
from facerec.heads import SubCentreArcFace
from facerec.training.checkpoints import training_fingerprint

_MANY = 0.2  # of the images
_UNDERTRAINED = (
    "they are so many that the network has probably not learned these people: train it longer before the list is used"
)
_SETTINGS = "give the settings of data with which it was trained"


@dataclass(frozen=True, eq=False)
class SubCentres:
    """A trained network, and the centres of its head.

    Attributes:
        checkpoint: its file.
        embedder: the network.
        centres: ``(N, K, D)``, of length 1.
        fingerprint: of the images that it was trained on; None if the checkpoint has none.
        limit: angle to the dominant centre, in degrees, beyond which an image is left out.
    """

    checkpoint: Path
    embedder: Embedder
    centres: Tensor
    fingerprint: str | None
    limit: float

    def rows(self, module: FaceDataModule, train: LabelledSource) -> np.ndarray:
        """Return each image's row of the centres, int64 ``(N,)``; -1 for those of held-out identities.

        Raises `InputError` if the network was trained on other images than those of ``module``, or if a list cannot
        name one.
        """
        trained, positions = train, np.arange(len(train))
        if module.held_out_identities:
            trained, _ = split_identities(train, module.held_out_identities, module.held_out_seed)
            positions = trained.positions
        self._refuse_others(trained)
        for index in range(len(train)):
            train.reference(index)
        rows = np.full(len(train), -1)
        rows[positions] = trained.labels
        return rows

    def _refuse_others(self, trained: LabelledSource) -> None:
        theirs, ours = len(self.centres), trained.num_identities
        if theirs != ours:
            raise InputError(
                f"checkpoint {self.checkpoint} was trained on {theirs} identities, and the training set has {ours}: "
                f"{_SETTINGS}, also data.train_list and data.held_out_identities"
            )
        if self.fingerprint != (found := trained.fingerprint()):
            raise InputError(
                f"checkpoint {self.checkpoint} was trained on other images or in another order (fingerprint "
                f"{self.fingerprint}, that of the training set is {found}): {_SETTINGS}"
            )

    def clean(self, part: Part, rows: np.ndarray, num_workers: int) -> tuple[CleanedList, list[Finding]]:
        """Compare the training images with the dominant centres; ``rows`` are those that `rows` returns.

        Unreadable images are left out too; those of held-out identities are kept.
        """
        assert part.train is not None
        faces = Faces(part, self.embedder.embed(part, num_workers), torch.zeros(()))
        readable = part.features["readable"]
        angle = dominant_angles(_cosines(faces, rows, self.centres), rows, readable & (rows >= 0), len(self.centres))
        is_far = np.nan_to_num(angle) > self.limit
        return CleanedList(part.train, np.flatnonzero(readable & ~is_far)), self._report(part, angle, is_far)

    def _report(self, part: Part, angle: np.ndarray, is_far: np.ndarray) -> list[Finding]:
        far = np.flatnonzero(is_far)
        far = far[np.argsort(-angle[far], kind="stable")].tolist()
        name = part.source.name
        details = [
            {"image": name(i), "identity": part.identity(i), "angle": round(float(angle[i]), 1)} for i in far[:LISTED]
        ]
        examples: list[Example] = []
        for i in far[: SHOWN // 2]:
            examples.append(Example(part.source, i, f"{name(i)}\n{angle[i]:.0f} degrees, {part.identity(i)}"))
            examples.append(_typical(part, angle, i))
        sentence = (
            f"these images are more than {self.limit:g} degrees from the centre that most images of their identity are "
            "nearest to, the farthest first: "
        )
        many = len(far) > _MANY * len(part.source)
        sentence += _UNDERTRAINED if many else "inspect them, and train on the list without them"
        return report("far_from_centre", part.title, sentence, details, examples, count=len(far))


def _typical(part: Part, angle: np.ndarray, index: int) -> Example:
    """Return the image of the same identity that is nearest to the dominant centre."""
    assert part.train is not None
    same = np.flatnonzero(part.train.labels == part.train.labels[index])
    nearest = int(same[np.nanargmin(angle[same])])
    return Example(part.source, nearest, f"nearest: {part.source.name(nearest)}\n{angle[nearest]:.0f} degrees")


def _cosines(faces: Faces, rows: np.ndarray, centres: Tensor) -> np.ndarray:
    """Return the cosines of the images to the centres of their own identities, ``(N, K)``."""
    cosines, own = torch.empty(len(rows), centres.shape[1]), torch.from_numpy(rows)
    for block, embeddings in faces.blocks(centres[0].numel(), "comparing with the centres"):
        cosines[block] = torch.einsum("bd,bkd->bk", embeddings, centres[own[block]])
    return cosines.numpy()


def dominant_angles(cosines: np.ndarray, rows: np.ndarray, used: np.ndarray, identities: int) -> np.ndarray:
    """Return the angle of each image to the dominant centre of its identity in degrees, ``(N,)``; NaN if not ``used``.

    ``cosines`` ``(N, K)`` are those to the centres of the image's identity, its number in ``rows`` ``(N,)``.
    """
    nearest, centres = cosines.argmax(1), cosines.shape[1]
    counts = np.bincount(rows[used] * centres + nearest[used], minlength=identities * centres)
    dominant = counts.reshape(identities, centres).argmax(1)
    cosine = cosines[np.arange(len(rows)), dominant[rows]]
    return np.where(used, np.degrees(np.arccos(cosine.clip(-1, 1))), np.nan)


def load_subcentres(checkpoint: Path, limit: float, trust: bool = False) -> SubCentres:
    """Load a checkpoint that was trained with several centres; ``trust``: as in `build_trained`.

    Raises `InputError` for one with another head.
    """
    backbone, cfg, content = build_trained(checkpoint, trust=trust)
    head, weight = cfg.head._target_, content["state_dict"].get("head.weight")
    if not _is_subcentre(head):
        raise InputError(
            f"checkpoint {checkpoint} was trained with {head}, which has one centre for each identity: train one with "
            "head=subcentre_arcface"
        )
    if weight is None or weight.ndim != 3 or weight.shape[2] != backbone.embedding_dim:
        shape = None if weight is None else tuple(weight.shape)
        raise InputError(
            f"checkpoint {checkpoint} has centres of shape {shape}, not (identities, centres, "
            f"{backbone.embedding_dim}): use one of facerec train"
        )
    embedder = Embedder(backbone, (cfg.data.image_size[0], cfg.data.image_size[1]))
    return SubCentres(checkpoint, embedder, normalize(weight.float(), dim=2), training_fingerprint(content), limit)


def _is_subcentre(target: Any) -> bool:
    found = get_object(str(target))
    return isinstance(found, type) and issubclass(found, SubCentreArcFace)
