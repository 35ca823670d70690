"""People and images that a benchmark shares with the training set, which make its accuracy too good."""

from hashlib import blake2b
from typing import NamedTuple, TypeGuard

import numpy as np
from tqdm import tqdm

from facerec.data.readers.people_names import identity_key
from facerec.data.source import Benchmark, EncodedSource, ImageSource, LabelledSource
from facerec.data.subset import Subset


class Shared(NamedTuple):
    """What a benchmark shares with the training set.

    Attributes:
        people: number of the benchmark's people whose name is a training identity's; None if one of both has no names.
        images: number of the benchmark's images that are, byte for byte, training images.
        pairs: whether a pair has such a person or image, bool ``(P,)``.
        unknown: why ``people`` is None.
    """

    people: int | None
    images: int
    pairs: np.ndarray
    unknown: str = ""


def shared_with(train: LabelledSource, benchmarks: list[Benchmark]) -> dict[str, Shared]:
    """Return what each benchmark shares with ``train``. Every image file is read once, with a progress bar.

    Names are compared without case, accents and separators; those without a letter do not count, since data sets give
    the same number to different people. Copies of another size or quality are found by ``facerec check_data`` alone.
    """
    names = {identity_key(train.identity_name(label)) for label in range(train.num_identities)} - {""}
    needed = any(_is_encoded(benchmark.images) for benchmark in benchmarks)
    digests = frozenset(_digests(train, "training images") if needed else [])
    return {benchmark.name: _shared(benchmark, names, digests) for benchmark in benchmarks}


def _shared(benchmark: Benchmark, names: set[str], digests: frozenset[bytes]) -> Shared:
    people = np.array(benchmark.people if benchmark.people is not None else [""] * len(benchmark.images))
    distinct, number = np.unique(people, return_inverse=True)
    keys = [identity_key(name) for name in distinct.tolist()]
    is_known = np.array([key in names and not benchmark.is_apart for key in keys])
    is_copy = np.array([digest in digests for digest in _digests(benchmark.images, benchmark.name)], bool)
    is_shared = is_known[number] | is_copy if len(is_copy) else is_known[number]
    pairs = is_shared[benchmark.left] | is_shared[benchmark.right]
    is_told = benchmark.is_apart or (names and any(keys))
    unknown = "" if is_told else f"the {'benchmark' if names else 'training set'} does not name people"
    return Shared(None if unknown else int(is_known.sum()), int(is_copy.sum()), pairs, unknown)


def _is_encoded(images: ImageSource) -> TypeGuard[EncodedSource]:
    source = images
    while isinstance(source, Subset):
        source = source.source
    return isinstance(source, EncodedSource)


def _digests(images: ImageSource, what: str) -> list[bytes]:
    """Return a digest of each image's file; none of images that are painted."""
    if not _is_encoded(images):
        return []
    indices = tqdm(range(len(images)), f"looking for shared images in {what}", unit=" images", delay=2)
    return [blake2b(images.encoded(index), digest_size=16).digest() for index in indices]
