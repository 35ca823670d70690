"""Synthetic faces: a training set and benchmarks that need no download and show no real person."""

from hashlib import sha256

import cv2
import numpy as np

from facerec.checks import check_choice, check_counts, check_seed
from facerec.data.source import Benchmark, LabelledSource, digest
from facerec.data.synthetic.painter import Conditions, draw_shot, draw_traits, paint
from facerec.errors import InputError

# Raise it when a face is painted with different pixels than before: cached faces are then painted again.
VERSION = 1

NUM_FOLDS = 10  # as in LFW's protocol
SPLITS = ("train", "test")
SMALLEST, LARGEST = 32, 512  # sides of a drawn image, in pixels
DEFAULT = Conditions()
CONDITIONS = {
    "synthetic": DEFAULT,
    "synthetic_pose": Conditions(yaw=22.0, pitch=9.0, occlusion=0.1),
    "synthetic_occlusion": Conditions(occlusion=0.8),
}

# Keys of the independent random streams: of a person, of an image, of a benchmark's pairs.
_PERSON, _PICTURE, _PAIRS = range(3)


class SyntheticFaces(LabelledSource):
    """Synthetic people, ordered by identity; an image is painted when it is loaded.

    An image is determined by ``seed``, ``split``, ``conditions`` and the indices of person and image alone, up to the
    last bit of OpenCV's arithmetic; no person of one split appears in the other. Faces are aligned to the ArcFace
    template with an error of some pixels, like that of an aligner.
    """

    def __init__(
        self,
        num_identities: int,
        images_per_identity: int,
        *,
        image_size: int = 112,
        seed: int = 0,
        split: str = "train",
        conditions: Conditions = DEFAULT,
    ) -> None:
        check_counts(num_identities=num_identities, images_per_identity=images_per_identity)
        if not SMALLEST <= image_size <= LARGEST:
            raise ValueError(f"image_size is {image_size}, but faces are drawn at {SMALLEST} to {LARGEST} pixels")
        check_seed("seed", seed)
        check_choice("split", split, SPLITS)
        self.num_identities, self.images_per_identity = num_identities, images_per_identity
        self.image_size, self.seed, self.split, self.conditions = image_size, seed, split, conditions
        self.labels = np.repeat(np.arange(num_identities), images_per_identity)

    def __len__(self) -> int:
        return len(self.labels)

    def load(self, index: int) -> np.ndarray:
        person, picture = self._locate(index)
        traits = draw_traits(_stream(self.seed, self.split, _PERSON, person))
        shot = draw_shot(_stream(self.seed, self.split, _PICTURE, person, picture), self.conditions)
        return paint(traits, shot, self.image_size)

    def name(self, index: int) -> str:
        person, picture = self._locate(index)
        return f"synthetic {self.split} person {person} picture {picture}"

    def identity_name(self, label: int) -> str:
        return str(label)

    def reference(self, index: int) -> str:
        return str(index)

    def fingerprint(self) -> str:
        what = self.num_identities, self.images_per_identity, self.image_size, self.seed, self.split, self.conditions
        return sha256(repr(what).encode()).hexdigest()[:16]

    def state(self) -> str:
        return digest([f"painter {VERSION}, OpenCV {cv2.__version__}"])

    def _locate(self, index: int) -> tuple[int, int]:
        if not 0 <= index < len(self):
            raise IndexError(f"image {index} was asked for, but there are only {len(self)}")
        return divmod(int(index), self.images_per_identity)


def synthetic_benchmark(
    name: str = "synthetic",
    num_identities: int = 200,
    images_per_identity: int = 10,
    num_pairs: int = 2000,
    *,
    image_size: int = 112,
    seed: int = 0,
) -> Benchmark:
    """Build verification pairs of people who are in no training split.

    ``name`` selects the strongest variation: ``synthetic``, ``synthetic_pose`` or ``synthetic_occlusion``. As in LFW,
    the pairs are in ten folds of disjoint people; each fold lists its same-person pairs and then as many
    different-person pairs. No pair occurs twice.
    """
    if name not in CONDITIONS:
        raise InputError(f"there is no synthetic benchmark {name!r}: choose one of {', '.join(CONDITIONS)}")
    if num_pairs < 1 or num_pairs % (2 * NUM_FOLDS):
        remedy = f"give a multiple of {2 * NUM_FOLDS}, for {NUM_FOLDS} folds of equal halves"
        raise InputError(f"num_pairs is {num_pairs}: {remedy}")
    images = SyntheticFaces(
        num_identities, images_per_identity, image_size=image_size, seed=seed, split="test", conditions=CONDITIONS[name]
    )
    rng = _stream(seed, "test", _PAIRS)
    per_kind = num_pairs // (2 * NUM_FOLDS)
    groups = np.array_split(np.arange(num_identities), NUM_FOLDS)
    folds = [_fold_pairs(rng, people, images_per_identity, per_kind) for people in groups]
    left, right = np.concatenate(folds, axis=1)
    is_same = np.tile(np.repeat([True, False], per_kind), NUM_FOLDS)
    people = tuple(map(images.identity_name, images.labels.tolist()))
    return Benchmark(name, images, left, right, is_same, people, is_apart=True)


def _fold_pairs(rng: np.random.Generator, people: np.ndarray, images_per_identity: int, per_kind: int) -> np.ndarray:
    """Draw same-person pairs, then as many different-person pairs: image indices, ``(2, 2 * per_kind)``."""
    first, second = np.triu_indices(images_per_identity, 1)
    person, pair = np.divmod(_choose(rng, len(people) * len(first), per_kind, "one person"), max(len(first), 1))
    same = people[person] * images_per_identity + np.stack([first[pair], second[pair]])
    one, other = np.triu_indices(len(people), 1)
    number = _choose(rng, len(one) * images_per_identity**2, per_kind, "two people")
    couple, left, right = np.unravel_index(number, (len(one), images_per_identity, images_per_identity))
    different = np.stack([people[one[couple]], people[other[couple]]]) * images_per_identity + np.stack([left, right])
    return np.concatenate([same, different], axis=1)


def _choose(rng: np.random.Generator, available: int, count: int, kind: str) -> np.ndarray:
    if available < count:
        remedy = "raise data.num_test_identities or lower data.num_pairs"
        raise InputError(f"a fold has only {available} of the {count} pairs of {kind}: {remedy}")
    return rng.choice(available, count, replace=False)


def _stream(seed: int, split: str, kind: int, person: int = 0, picture: int = 0) -> np.random.Generator:
    entropy = np.random.SeedSequence((seed, SPLITS.index(split), kind, person, picture))
    return np.random.Generator(np.random.PCG64(entropy))
