"""The index of a set of shards: which images there are, and where in which shard each of them is.

``shards.json`` names the files with their sizes and SHA-256. ``index.npz`` has an array per quantity, an entry per
image. Shards are tar files, and nothing in any of these files is run.
"""

import hashlib
import json
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from facerec.data.cache import DAMAGED
from facerec.data.shards.storage import Storage
from facerec.data.whole_arrays import read_whole
from facerec.errors import InputError
from facerec.files import digest_of_file

MANIFEST, INDEX = "shards.json", "index.npz"
FORMAT, VERSION = "facerec shards", 1
_WRITE_AGAIN = "write the shards again with facerec write_shards"
_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class StoredFile:
    """A file of the set: its name, its size in bytes, and its SHA-256, 64 hexadecimal digits."""

    file: str
    bytes: int
    sha256: str

    def refuse_other_content(self, path: Path, where: str) -> None:
        """Raise `InputError` unless ``path``, a copy of what is at ``where``, has the size and the digest."""
        refuse_other_size(self, path.stat().st_size, where)
        found = digest_of_file(path)
        if found != self.sha256:
            problem = f"has the SHA-256 {found[:16]}..., and {MANIFEST} says {self.sha256[:16]}..."
            raise InputError(f"{where} {problem}: copy it there again, or {_WRITE_AGAIN}")


def refuse_other_size(file: StoredFile, found: int | None, where: str) -> None:
    """Raise `InputError` if a file has another size; None: it is missing."""
    if found is None:
        raise InputError(f"{where} is missing, and {MANIFEST} beside it names it: copy it there, or {_WRITE_AGAIN}")
    if found != file.bytes:
        problem = f"has {found} bytes, and {MANIFEST} says {file.bytes}"
        raise InputError(f"{where} {problem}: copy it there again, or {_WRITE_AGAIN}")


@dataclass(frozen=True)
class Manifest:
    """What ``shards.json`` says: the files, and the fingerprint of the images that were written."""

    fingerprint: str
    index: StoredFile
    shards: tuple[StoredFile, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "fingerprint": self.fingerprint,
            "index": vars(self.index),
            "shards": [vars(shard) for shard in self.shards],
        }


def read_manifest(storage: Storage) -> Manifest:
    """Read ``shards.json``; raise `InputError` if it is none, or names a file that is missing or has another size."""
    where = storage.where(MANIFEST)
    try:
        content = json.loads(storage.read(MANIFEST))
        manifest = _parsed(content, where)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{where} is damaged or no index of shards: {_WRITE_AGAIN}") from error
    sizes = storage.sizes()
    for file in (manifest.index, *manifest.shards):
        refuse_other_size(file, sizes.get(file.file), storage.where(file.file))
    return manifest


def _parsed(content: dict[str, Any], where: str) -> Manifest:
    if content["format"] != FORMAT:
        raise ValueError
    if content["version"] != VERSION:
        problem = f"has version {content['version']!r} of the index, and this facerec reads version {VERSION}"
        raise InputError(f"{where} {problem}: {_WRITE_AGAIN}, or use the facerec that wrote them")
    shards = tuple(_stored_file(entry, where) for entry in content["shards"])
    if not _FINGERPRINT.fullmatch(content["fingerprint"]) or not shards:
        raise ValueError
    return Manifest(content["fingerprint"], _stored_file(content["index"], where), shards)


def _stored_file(entry: dict[str, Any], where: str) -> StoredFile:
    file = StoredFile(**entry)
    if not _NAME.fullmatch(file.file):
        problem = f"names the file {file.file!r}, which is not beside it"
        raise InputError(f"{where} {problem}: {_WRITE_AGAIN}")
    if type(file.bytes) is not int or file.bytes < 0 or not _SHA256.fullmatch(file.sha256):
        raise ValueError
    return file


@dataclass(frozen=True)
class Index:
    """Where the images are, and what is known about them; arrays of one entry per image, in the images' order.

    Attributes:
        shard: number of its shard, int64 ``(N,)``.
        start: its first byte in the shard, int64 ``(N,)``.
        length: its bytes, int64 ``(N,)``.
        check: the first eight bytes of its SHA-256, int64 ``(N,)``.
        names: the images' names, each with a NUL at its end, UTF-8 in uint8.
        labels: of a training set, int64 ``(N,)``, else empty.
        people: names of a training set's identities, or of the person of each image of a benchmark, as ``names``; empty
            if the benchmark does not name them.
        left, right: images of a benchmark's pairs, int64 ``(P,)``, else empty.
        is_same: of a benchmark's pairs, bool ``(P,)``, else empty.
        is_apart: whether a benchmark has no person of the training set, bool ``()``.
    """

    shard: np.ndarray
    start: np.ndarray
    length: np.ndarray
    check: np.ndarray
    names: np.ndarray
    labels: np.ndarray
    people: np.ndarray
    left: np.ndarray
    right: np.ndarray
    is_same: np.ndarray
    is_apart: np.ndarray


_KINDS = {"names": "uint8", "people": "uint8", "is_same": "bool", "is_apart": "bool"}


def check_of(image: bytes) -> int:
    """Return what `Index.check` has for an image file."""
    return int.from_bytes(hashlib.sha256(image).digest()[:8], "little", signed=True)


def read_index(path: Path, manifest: Manifest, where: str) -> Index:
    """Read ``index.npz``, whose digest was compared; raise `InputError` if it does not fit the shards."""
    try:
        arrays = read_whole(path)
        index = Index(**{field.name: arrays[field.name] for field in fields(Index)})
        fits = _fits(index, np.array([shard.bytes for shard in manifest.shards]))
    except DAMAGED as error:
        raise InputError(f"{where} is damaged or no index of shards: {_WRITE_AGAIN}") from error
    if not fits:
        raise InputError(f"{where} says of images what the shards do not have: {_WRITE_AGAIN}")
    return index


def _fits(index: Index, sizes: np.ndarray) -> bool:
    arrays = vars(index)
    if any(array.dtype != _KINDS.get(name, "int64") or array.ndim > 1 for name, array in arrays.items()):
        return False
    images, pairs = len(index.shard), len(index.is_same)
    if not images or {len(index.start), len(index.length), len(index.check), _count(index.names)} != {images}:
        return False
    if not _within(index.shard, len(sizes)) or min(index.start.min(), index.length.min()) < 0:
        return False
    if (index.length > sizes[index.shard] - index.start).any():
        return False
    if len(index.labels):
        return not pairs and len(index.labels) == images and _are_all(index.labels, _count(index.people))
    is_named = _count(index.people) in (0, images)
    same_length = len(index.left) == len(index.right) == pairs > 0
    return is_named and same_length and _within(index.left, images) and _within(index.right, images)


def _count(joined: np.ndarray) -> int:
    """Return the number of texts, or -1 if the last one does not end."""
    return int((joined == 0).sum()) if not len(joined) or joined[-1] == 0 else -1


def _within(numbers: np.ndarray, limit: int) -> bool:
    return bool(numbers.min() >= 0 and numbers.max() < limit)


def _are_all(labels: np.ndarray, identities: int) -> bool:
    return identities > 0 and _within(labels, identities) and bool(np.bincount(labels, minlength=identities).all())
