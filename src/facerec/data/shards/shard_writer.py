"""Writing of images into shards: tar files of image files, and an index beside them."""

import hashlib
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from facerec.data.image_header import image_format
from facerec.data.loading import in_workers
from facerec.data.readers.string_table import Texts
from facerec.data.shards.shard_index import INDEX, MANIFEST, Index, Manifest, StoredFile, check_of
from facerec.data.shards.storage import read_part
from facerec.data.source import Benchmark, EncodedSource, ImageSource, LabelledSource, digest
from facerec.errors import InputError
from facerec.files import digest_of_file, replacing, write_json

_MARK = ".written_from"
_LEFTOVER = ".partial.[0-9]*"  # the names of `replacing`'s temporary files
_SUFFIXES = {"JPEG": "jpg"}
_READ_AT_A_TIME = 32  # images that a worker reads for the writer
_PLACEMENT_SEED = 0
_NO_NUMBERS, _NO_TEXT = np.empty(0, np.int64), np.empty(0, np.uint8)
# What the index has beside the places of images, see `Index`, unless it is known.
_UNKNOWN = {
    **{name: _NO_NUMBERS for name in ("labels", "left", "right")},
    **{"people": _NO_TEXT, "is_same": np.empty(0, bool), "is_apart": np.array(False)},
}


class Sharded(NamedTuple):
    """The result of a call: numbers of images and shards, and the size of the shards in bytes."""

    images: int
    shards: int
    bytes: int


def write_faces(source: LabelledSource, folder: Path, images_per_shard: int, num_workers: int = 0) -> Sharded:
    """Write a training set into ``folder`` as shards, so that any few of them are a random part of the images.

    Image files are copied byte for byte, as ``LABEL/NUMBER.SUFFIX`` in the tar file; images that are painted become PNG
    files, with the same pixels. The index keeps order, names and labels of the source, and its fingerprint.

    What an interrupted call wrote is kept, and nothing is left half written; ``shards.json`` is written last. Raises
    `InputError` if ``folder`` has other files, if an image cannot be read, and if the disk is full.
    """
    order = np.random.default_rng(_PLACEMENT_SEED).permutation(len(source))
    people = Texts(map(source.identity_name, range(source.num_identities)))
    about = _UNKNOWN | {"labels": source.labels, "people": people.joined}
    return _Writer(source, order, images_per_shard, about, folder).write(num_workers)


def write_sharded_benchmark(benchmark: Benchmark, folder: Path, images_per_shard: int, num_workers: int = 0) -> Sharded:
    """Write a benchmark's images in pairs as `write_faces` does, in their order, and the pairs into the index."""
    about = _UNKNOWN | {name: getattr(benchmark, name) for name in ("left", "right", "is_same")}
    about |= {"people": Texts(benchmark.people or ()).joined, "is_apart": np.array(benchmark.is_apart)}
    images = benchmark.images
    return _Writer(images, np.arange(len(images)), images_per_shard, about, folder).write(num_workers)


class _Writer:
    """Writes the images ``order`` of ``source``, ``images_per_shard`` into each shard."""

    def __init__(
        self, source: ImageSource, order: np.ndarray, images_per_shard: int, about: dict[str, np.ndarray], folder: Path
    ) -> None:
        self.source, self.order, self.about, self.folder = source, order, about, folder
        self.labels = about["labels"]
        self.parts = [order[start : start + images_per_shard] for start in range(0, len(order), images_per_shard)]
        known = (hashlib.sha256(array.tobytes()).hexdigest() for array in about.values())
        self.mark = digest([source.fingerprint(), source.state(), f"{images_per_shard} images in a shard", *known])

    def write(self, num_workers: int) -> Sharded:
        if not self._is_finished():
            _claim(self.folder, self.mark)
            self._write_missing(num_workers)
            self._write_index([self._looked_at(number) for number in range(len(self.parts))])
        sizes = [self._path(number).stat().st_size for number in range(len(self.parts))]
        return Sharded(len(self.order), len(sizes), sum(sizes))

    def _is_finished(self) -> bool:
        mark = self.folder / _MARK
        return (self.folder / MANIFEST).is_file() and mark.is_file() and mark.read_text() == self.mark

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:05}.tar"

    def _write_missing(self, num_workers: int) -> None:
        """Write the shards after those that an interrupted call completed."""
        first = next((n for n in range(len(self.parts)) if not self._path(n).is_file()), len(self.parts))
        done = sum(len(part) for part in self.parts[:first])
        read = in_workers(
            _Contents(self.source, self.order), range(done, len(self.order)), _READ_AT_A_TIME, num_workers
        )
        bar = tqdm(desc=f"writing {self.folder}", total=len(self.order), initial=done, unit=" images", delay=2)
        images = chain.from_iterable(read)
        with bar:
            for number in range(first, len(self.parts)):
                self._write_shard(number, islice(images, len(self.parts[number])), bar)

    def _write_shard(self, number: int, images: Iterator[bytes], bar: tqdm) -> None:
        with replacing(self._path(number)) as partial, tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as tar:
            for index, image in zip(self.parts[number].tolist(), images, strict=True):
                member = tarfile.TarInfo(self._member(index, image))
                member.size = len(image)
                tar.addfile(member, BytesIO(image))
                bar.update()

    def _member(self, index: int, image: bytes) -> str:
        folder = f"{self.labels[index]:07}" if len(self.labels) else "images"
        kind = image_format(image[:32])
        return f"{folder}/{index:09}.{_SUFFIXES.get(kind, kind.lower().replace(' ', '') or 'bin')}"

    def _looked_at(self, number: int) -> tuple[StoredFile, np.ndarray]:
        """Return the finished shard and, of each image, its start, length and check, int64 ``(n, 3)``."""
        path, found = self._path(number), []
        with suppress(tarfile.TarError), tarfile.open(path, "r:") as tar:
            for member in tar:
                found.append(
                    (member.offset_data, member.size, check_of(read_part(path, member.offset_data, member.size)))
                )
        if len(found) != len(self.parts[number]):
            raise InputError(f"{path} is damaged: remove it and run the same command again")
        return StoredFile(path.name, path.stat().st_size, digest_of_file(path)), np.array(found, np.int64)

    def _write_index(self, shards: list[tuple[StoredFile, np.ndarray]]) -> None:
        places = np.empty((len(self.order), 4), np.int64)
        for number, (part, (_, found)) in enumerate(zip(self.parts, shards, strict=True)):
            places[part, 0], places[part, 1:] = number, found
        names = Texts(map(self.source.name, range(len(self.source)))).joined
        index = Index(*places.T, names=names, **self.about)
        path = self.folder / INDEX
        with replacing(path) as partial, partial.open("wb") as file:
            np.savez(file, **vars(index))
        stored = StoredFile(INDEX, path.stat().st_size, digest_of_file(path))
        files = tuple(shard for shard, _ in shards)
        write_json(self.folder / MANIFEST, Manifest(self.source.fingerprint(), stored, files).as_json())


class _Contents:
    """Reads image files, and paints images that are none, in the ``order`` of the shards."""

    def __init__(self, source: ImageSource, order: np.ndarray) -> None:
        self.source, self.order = source, order

    def __call__(self, places: list[int]) -> list[bytes]:
        return [self._file(int(self.order[place])) for place in places]

    def _file(self, index: int) -> bytes:
        if isinstance(self.source, EncodedSource):
            return self.source.encoded(index)
        bgr = np.ascontiguousarray(self.source.load(index)[:, :, ::-1])
        return cv2.imencode(".png", bgr)[1].tobytes()


def _claim(folder: Path, mark: str) -> None:
    """Check that ``folder`` is empty or has shards of these images, and remove what killed processes left."""
    file = folder / _MARK
    try:
        if file.is_file():
            if file.read_text() != mark:
                raise InputError(f"{folder} holds shards of other images, or of another size: choose an empty folder")
        elif folder.is_dir() and not all(path.match(_LEFTOVER) for path in folder.iterdir()):
            raise InputError(f"{folder} is not empty: choose an empty folder")
        with replacing(file) as partial:
            partial.write_text(mark)
        for leftover in folder.glob(_LEFTOVER):
            leftover.unlink()
    except OSError as error:
        raise InputError(f"{folder} cannot be used ({error.strerror or error}): choose another folder") from error
