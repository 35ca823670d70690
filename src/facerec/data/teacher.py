"""Teachers: embeddings of the training images by another network, or read from a file."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from facerec.checks import check_choice, check_counts, check_number
from facerec.data.loading import ImageDataset, image_loader
from facerec.data.source import ImageSource, digest
from facerec.data.teacher_cache import BLOCK, EmbeddingTable, cached_rows
from facerec.errors import InputError

_VERSION = 1  # raise it when a teacher's embeddings are computed otherwise, which invalidates caches
COLOURS = ("rgb", "bgr")


@dataclass(frozen=True)
class TeacherInput:
    """What a network takes; None: not known.

    Attributes:
        image_size: (height, width).
        colours: order of the colours, one of `COLOURS`.
        mean: subtracted from the pixels of 0 to 255, per channel in the order of ``colours``.
        std: what the difference is divided by, per channel.
    """

    image_size: tuple[int, ...] | None = None
    colours: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    @classmethod
    def stated(
        cls,
        image_size: Sequence[int] | None,
        colours: str | None,
        mean: float | Sequence[float] | None,
        std: float | Sequence[float] | None,
    ) -> "TeacherInput":
        """Return what a person states.

        Raises:
            ValueError: a size that is no height and width, other colours, or numbers that normalise nothing.
        """
        if image_size is not None:
            if len(image_size) != 2:
                raise ValueError(f"image_size must be a height and a width, got {list(image_size)}")
            check_counts(image_size=min(image_size))
        if colours is not None:
            check_choice("colours", colours, COLOURS)
        size = None if image_size is None else tuple(image_size)
        found = cls(size, colours, _per_channel("mean", mean), _per_channel("std", std))
        if found.std is not None and min(found.std) <= 0:
            raise ValueError(f"std must be above 0, got {std}")
        return found

    def agreed(self, stated: "TeacherInput", teacher: str) -> "TeacherInput":
        """Return the input of ``teacher``, whose file says what is known here, completed by what is ``stated``.

        Raises:
            InputError: one is neither known nor stated, or both and they differ.
        """
        known, theirs = asdict(self), asdict(stated)
        for key, value in known.items():
            if None not in (value, theirs[key]) and value != theirs[key]:
                raise InputError(
                    f"teacher {teacher} takes {key}={_typed(value)}, and distillation.{key}={_typed(theirs[key])} is "
                    "stated: leave that out, or take another teacher"
                )
        lacking = [key for key, value in known.items() if value is None and theirs[key] is None]
        if lacking:
            example = {"image_size": "[112,112]", "colours": "rgb", "mean": "127.5", "std": "127.5"}
            settings = " ".join(f"distillation.{key}={example[key]}" for key in lacking)
            raise InputError(f"teacher {teacher} does not say what it takes: state it, for example with {settings}")
        return TeacherInput(**{key: theirs[key] if value is None else value for key, value in known.items()})

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Return uint8 RGB pixels ``(B, H, W, 3)`` as the network takes them, float32 ``(B, 3, H, W)``."""
        ordered = pixels[..., ::-1] if self.colours == "bgr" else pixels
        with np.errstate(over="ignore"):  # an embedding of what is not finite is refused with its image's name
            normalised = (ordered - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(normalised.transpose(0, 3, 1, 2), np.float32)


def _per_channel(name: str, value: float | Sequence[float] | None) -> tuple[float, ...] | None:
    if value is None:
        return None
    values = [value] * 3 if isinstance(value, int | float) else list(value)
    if len(values) != 3:
        raise ValueError(f"{name} must be one number or three, got {values}")
    for number in values:
        check_number(name, number, least=-1e6)
    return tuple(map(float, values))


def _typed(value: Any) -> str:
    return f"[{','.join(f'{part:g}' for part in value)}]" if isinstance(value, tuple) else str(value)


class Images(NamedTuple):
    """The training images: ``state`` is that of their ``source``, ``num_workers`` decode them."""

    source: ImageSource
    state: str
    num_workers: int


class Teacher(ABC):
    """Gives an embedding of each training image.

    Attributes:
        name: as it was given.
        digest: of its file.
        embedding_dim: elements of an embedding.
    """

    name: str
    digest: str
    embedding_dim: int

    def __str__(self) -> str:
        taken = self.described()
        return f"{taken.pop('name')}: {', '.join(f'{key} {value}' for key, value in taken.items())}"

    @abstractmethod
    def described(self) -> dict[str, Any]:
        """Return what determines the embeddings, as plain values, for checkpoints and results."""

    @abstractmethod
    def embeddings(self, images: Images, folder: Path) -> EmbeddingTable:
        """Return the embeddings of the images, of length 1, kept in ``folder``.

        Raises:
            InputError: they cannot be computed or written, are of other images, or are not finite.
        """


@dataclass(repr=False)
class NetworkTeacher(Teacher):
    """A network that is run once on each image.

    Attributes:
        kind: "checkpoint", "onnx" or "timm".
        input: what it takes, all of it known.
        flip: whether the embedding is the mean of that of the image and of the flipped image, each of length 1.
        embed: maps uint8 RGB pixels ``(B, H, W, 3)`` to embeddings ``(B, T)``.
    """

    name: str
    digest: str
    kind: str
    input: TeacherInput
    flip: bool
    embed: Callable[[np.ndarray], np.ndarray]

    def __post_init__(self) -> None:
        assert self.input.image_size is not None
        black = np.zeros((2, *self.input.image_size, 3), np.uint8)
        found = self.embed(black)
        if found.ndim != 2 or len(found) != 2:
            raise InputError(
                f"teacher {self.name} gives a result of shape {found.shape} for 2 images, not one embedding each: take "
                "a network whose first output are embeddings"
            )
        self.embedding_dim = found.shape[1]

    def described(self) -> dict[str, Any]:
        taken = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self.input).items()}
        own = {"name": self.name, "kind": self.kind, "digest": self.digest, "embedding_dim": self.embedding_dim}
        return own | taken | {"flip": self.flip}

    def embeddings(self, images: Images, folder: Path) -> EmbeddingTable:
        assert self.input.image_size is not None
        height, width = self.input.image_size
        dataset = ImageDataset(images.source, np.arange(len(images.source)), (height, width), images.state)
        key = digest([dataset.fingerprint(), self.digest, f"{self.input}, flip {self.flip}, version {_VERSION}"])

        def blocks(start: int) -> Iterator[np.ndarray]:
            # A separate generator: a run must not depend on whether this was cached by another.
            options = {"sampler": range(start, len(dataset)), "generator": torch.Generator()}
            for pixels, _ in image_loader(dataset, BLOCK, images.num_workers, **options):
                yield self._directions(pixels.numpy())

        shape = (len(dataset), self.embedding_dim)
        return cached_rows(folder / f"teacher-{key}.npy", shape, blocks, images.source.name)

    def _directions(self, pixels: np.ndarray) -> np.ndarray:
        found = _directions(self.embed(pixels))
        return _directions(found + _directions(self.embed(pixels[:, :, ::-1]))) if self.flip else found


@dataclass(repr=False)
class StoredTeacher(Teacher):
    """Embeddings of a file.

    Attributes:
        rows: the embeddings ``(N, T)``.
        fingerprint: of the images that they are of.
    """

    name: str
    digest: str
    rows: np.ndarray
    fingerprint: str

    def __post_init__(self) -> None:
        self.embedding_dim = self.rows.shape[1]

    def described(self) -> dict[str, Any]:
        own = {"name": self.name, "kind": "embeddings", "digest": self.digest, "embedding_dim": self.embedding_dim}
        return own | {"fingerprint": self.fingerprint}

    def embeddings(self, images: Images, folder: Path) -> EmbeddingTable:
        ours, number = images.source.fingerprint(), len(images.source)
        if (self.fingerprint, len(self.rows)) != (ours, number):
            raise InputError(
                f"teacher {self.name} has embeddings of {len(self.rows)} images (fingerprint {self.fingerprint}), and "
                f"this run trains on {number} others (fingerprint {ours}): compute them for these images, or give the "
                "teacher itself"
            )

        def blocks(start: int) -> Iterator[np.ndarray]:
            for first in range(start, number, BLOCK):
                yield _directions(self.rows[first : first + BLOCK])

        key = digest([ours, self.digest, f"version {_VERSION}"])
        shape = (number, self.embedding_dim)
        return cached_rows(folder / f"teacher-{key}.npy", shape, blocks, images.source.name)


def refuse_other_teacher(theirs: Any, ours: dict[str, Any] | None) -> None:
    """Raise `InputError` unless a checkpoint's teacher, as `Teacher.described` gave it, is the one of this run; its
    file may have moved."""
    then = theirs if isinstance(theirs, dict) else {}
    for key in sorted({*then, *(ours or {})} - {"name"}):
        before, now = then.get(key), (ours or {}).get(key)
        if before != now:
            raise InputError(
                f"the checkpoint was trained with another teacher, {then.get('name')} with {key}={before}, and this "
                f"run's is {(ours or {}).get('name')} with {key}={now}: give the same teacher, or start without resume"
            )


def _directions(embeddings: np.ndarray) -> np.ndarray:
    """Return the embeddings ``(B, T)`` with length 1, NaN where there is no direction."""
    embeddings = embeddings.astype(np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
