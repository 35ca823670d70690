"""Training sets and benchmarks whose images are in shards."""

from contextlib import suppress
from pathlib import Path

import numpy as np

from facerec.data.decode import decode_rgb
from facerec.data.readers.string_table import Texts
from facerec.data.shards.shard_cache import ShardCache
from facerec.data.shards.shard_index import (
    Index,
    Manifest,
    StoredFile,
    check_of,
    read_index,
    read_manifest,
)
from facerec.data.shards.storage import Folder, Storage, read_part
from facerec.data.shared_arrays import SharedArrays
from facerec.data.source import Benchmark, EncodedLabelledSource, EncodedSource, digest
from facerec.errors import InputError


class ShardReader:
    """Reads parts of shards: from the storage itself, or from the copies in a cache.

    Args:
        storage: where the shards are.
        shards: all of them, in the order of their numbers.
        cache: copies of them; None: the storage is the local disk.
    """

    def __init__(self, storage: Storage, shards: tuple[StoredFile, ...], cache: ShardCache | None) -> None:
        self.storage, self.shards, self.cache = storage, shards, cache
        # Otherwise a pass in another order than that of `ShardOrder` would fetch shards again and again.
        self.fits = cache is None or 2 * self.size <= cache.limit

    @property
    def size(self) -> int:
        """The bytes of all shards together."""
        return sum(shard.bytes for shard in self.shards)

    def read(self, number: int, start: int, length: int) -> bytes:
        """Return ``length`` bytes of a shard, fewer if it is cut off: from its copy, which is made if all have room in
        the cache, else from the storage."""
        shard = self.shards[number]
        if self.cache is not None:
            with suppress(OSError):  # it is not there, or was removed to make room for another
                return read_part(self.cache.path(shard), start, length)
            if self.fits:
                with suppress(FileNotFoundError):
                    return read_part(self.cache.fetch(self.storage, shard), start, length)
        return self.storage.read(shard.file, start, length)

    def read_again(self, number: int, start: int, length: int) -> bytes:
        """Do as `read`, after a copy has turned out to be damaged: it is removed."""
        if self.cache is not None:
            self.cache.path(self.shards[number]).unlink(missing_ok=True)
        return self.read(number, start, length)

    def fetch(self, number: int) -> None:
        """Copy a shard to the cache, if it is not there."""
        assert self.cache is not None
        self.cache.fetch(self.storage, self.shards[number])


class ShardImages(SharedArrays, EncodedSource):
    """The images of an index, in its order."""

    def __init__(self, reader: ShardReader, manifest: Manifest, index: Index) -> None:
        self.reader, self._fingerprint = reader, manifest.fingerprint
        self.shards, self._starts, self._lengths, self._checks = index.shard, index.start, index.length, index.check
        self._names, self._places = Texts.of_joined(index.names), [reader.storage.where(s.file) for s in reader.shards]

    def __len__(self) -> int:
        return len(self.shards)

    def name(self, index: int) -> str:
        return self._names[index]

    def full_name(self, index: int) -> str:
        """Return the image's name and its shard."""
        return f"{self.name(index)} in {self._places[self.shards[index]]}"

    def load(self, index: int) -> np.ndarray:
        return decode_rgb(self.encoded(index), self.full_name(index))

    def encoded(self, index: int) -> bytes:
        place = int(self.shards[index]), int(self._starts[index]), int(self._lengths[index])
        check = int(self._checks[index])
        image = self.reader.read(*place)
        if check_of(image) != check:
            image = self.reader.read_again(*place)
        if check_of(image) != check:
            problem = f"image {self.full_name(index)} is not the one that was written there"
            raise InputError(f"{problem}: copy this shard there again")
        return image

    def fingerprint(self) -> str:
        """Return the fingerprint of the images that were written, whatever they were written from."""
        return self._fingerprint

    def state(self) -> str:
        return digest(shard.sha256 for shard in self.reader.shards)


class ShardedFaces(ShardImages, EncodedLabelledSource):
    """A training set in shards."""

    def __init__(self, reader: ShardReader, manifest: Manifest, index: Index) -> None:
        super().__init__(reader, manifest, index)
        self.labels, self._identities = index.labels, Texts.of_joined(index.people)
        self.num_identities = len(self._identities)

    def identity_name(self, label: int) -> str:
        return self._identities[label]

    def reference(self, index: int) -> str:
        """Return the name; for shards of a folder, its path there."""
        return self.name(index)


def open_faces(storage: Storage, cache: ShardCache | None) -> ShardedFaces:
    """Open a training set; raise `InputError` if a file is missing, cut off or another one, or it is a benchmark."""
    manifest, index = _opened(storage, cache)
    if not len(index.labels):
        raise InputError(f"{storage.where()} has the shards of a benchmark: give the folder above it as data.root")
    return ShardedFaces(ShardReader(storage, manifest.shards, cache), manifest, index)


def open_sharded_benchmark(storage: Storage, name: str, cache: ShardCache | None) -> Benchmark:
    """Open a benchmark; raise `InputError` as `open_faces` does."""
    manifest, index = _opened(storage, cache)
    if len(index.labels):
        raise InputError(f"{storage.where()} has the shards of a training set: leave {name} out of data.benchmarks")
    images = ShardImages(ShardReader(storage, manifest.shards, cache), manifest, index)
    people = tuple(Texts.of_joined(index.people)) or None
    return Benchmark(name, images, index.left, index.right, index.is_same, people, is_apart=bool(index.is_apart))


def _opened(storage: Storage, cache: ShardCache | None) -> tuple[Manifest, Index]:
    manifest = read_manifest(storage)
    where = storage.where(manifest.index.file)
    path = Path(where)
    if cache is not None:
        path = cache.fetch(storage, manifest.index)
    else:
        assert isinstance(storage, Folder)
        manifest.index.refuse_other_content(path, where)
    return manifest, read_index(path, manifest, where)
