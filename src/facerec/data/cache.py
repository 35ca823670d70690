"""Caches on disk: the decoded pixels of all images, and the index of a large archive."""

import json
import math
import os
import shutil
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from filelock import FileLock, Timeout
from tqdm import tqdm

from facerec.console import log
from facerec.data.loading import ImageDataset, PackedDataset, image_loader
from facerec.data.source import digest
from facerec.data.whole_arrays import read_whole
from facerec.errors import InputError
from facerec.files import replacing, write_json

DAMAGED = (OSError, ValueError, KeyError, TypeError)  # or missing: it is made again
_PIXELS = "|u1"
_BLOCK = 1 << 24  # bytes that are read at a time
_IDLE = 600.0  # seconds after which a half-written file of another machine, which may share the cache, is nobody's
ELSE = "set data.cache to another folder, or to null for no cache"


def pack(images: ImageDataset, folder: Path, num_workers: int = 0) -> PackedDataset:
    """Return the images as a dataset over ``folder/images-FINGERPRINT.npy``, uint8 ``(N, H, W, 3)``.

    A missing file is written, with a progress bar on standard error; changed images or another size have another
    fingerprint. One of several processes writes the file while the others wait. It is never incomplete under its name.
    A file that was changed since it was written is read once: if its checksum differs from that in the ``.json`` file
    beside it, it is written again. Raises `InputError`, and leaves nothing behind, if an image cannot be decoded or the
    disk is full.

    Args:
        images: each is decoded once.
        folder: created if it is missing.
        num_workers: number of workers that decode.
    """
    path, shape = folder / f"images-{images.fingerprint()}.npy", (len(images), *images.image_size, 3)
    if not is_unchanged(path, shape):
        with alone(path):
            if not is_unchanged(path, shape) and not is_undamaged(path, shape):
                _write(images, path, num_workers)
    return PackedDataset(path, images.targets)


def is_unchanged(path: Path, shape: tuple[int, ...], kind: str = _PIXELS) -> bool:
    """Whether the file has the right size, and is as old as when its checksum was computed."""
    with suppress(*DAMAGED):
        noted = json.loads(_sum_of(path).read_text(encoding="utf-8"))
        return path.stat().st_size == _size(shape, kind) and noted["mtime_ns"] == path.stat().st_mtime_ns
    return False


def is_undamaged(path: Path, shape: tuple[int, ...], made: str = "decoded", kind: str = _PIXELS) -> bool:
    """Whether the file has the right size and checksum; if so, its time is noted, else it is said."""
    if not path.is_file():
        return False
    with suppress(*DAMAGED):
        noted = json.loads(_sum_of(path).read_text(encoding="utf-8"))
        if path.stat().st_size == _size(shape, kind) and noted["crc32"] == checksum(path):
            with suppress(InputError):  # a folder that may only be read
                note(path, noted["crc32"], path)
            return True
    log(f"{path} is damaged or has no checksum: its content is {made} again")
    return False


def checksum(path: Path) -> int:
    """Return the CRC-32 of a file, with a progress bar on standard error if it takes long."""
    crc = 0
    bar = tqdm(desc=f"checking {path.name}", total=path.stat().st_size, unit="B", unit_scale=True, delay=2)
    with path.open("rb") as file, bar:
        while block := file.read(_BLOCK):
            crc = zlib.crc32(block, crc)
            bar.update(len(block))
    return crc


def note(path: Path, crc: int, written: Path) -> None:
    """Write the checksum of ``path`` beside it, with the time of the file ``written``, which has its content."""
    write_json(_sum_of(path), {"crc32": crc, "mtime_ns": written.stat().st_mtime_ns})


def _sum_of(path: Path) -> Path:
    return path.with_suffix(".json")


def header(shape: tuple[int, ...], kind: str = _PIXELS) -> bytes:
    """Return how a NumPy file of an array of this shape and type begins."""
    start = BytesIO()
    np.lib.format.write_array_header_1_0(start, {"descr": kind, "fortran_order": False, "shape": shape})
    return start.getvalue()


def _size(shape: tuple[int, ...], kind: str) -> int:
    return len(header(shape, kind)) + math.prod(shape) * np.dtype(kind).itemsize


def refuse_no_room(path: Path, shape: tuple[int, ...]) -> None:
    """Raise `InputError` if the file would not fit on its disk."""
    free, needed = shutil.disk_usage(path.parent).free / 1e9, np.prod(shape) / 1e9
    if free < needed:
        sizes = f"has {free:.1f} GB left, and the decoded images take {needed:.1f} GB"
        raise InputError(f"{path.parent} {sizes}: free space, {ELSE}")


def _write(images: ImageDataset, path: Path, num_workers: int) -> None:
    shape = (len(images), *images.image_size, 3)
    refuse_no_room(path, shape)
    with replacing(path, f"free space, {ELSE}", _IDLE) as partial:
        with partial.open("wb") as file:
            crc = _decode_into(file, images, header(shape), num_workers, path.parent)
        note(path, crc, partial)  # before the file has its name: a file without a checksum is not believed


def _decode_into(file: BinaryIO, images: ImageDataset, start: bytes, num_workers: int, folder: Path) -> int:
    """Write the header and all pixels; return their checksum."""
    file.write(start)
    crc = zlib.crc32(start)
    with tqdm(desc=f"decoding once into {folder}", total=len(images), unit=" images", delay=2) as bar:
        # A separate generator: a run must not depend on whether its images were cached by another.
        for batch, _ in image_loader(images, 256, num_workers, generator=torch.Generator()):
            file.write(batch.numpy())
            crc = zlib.crc32(batch.numpy(), crc)
            bar.update(len(batch))
    file.flush()
    os.fsync(file.fileno())  # otherwise a power failure could leave the name without the pixels
    return crc


@contextmanager
def alone(path: Path, doing: str = "decoding the same images", remedy: str = ELSE) -> Iterator[None]:
    """Wait until no other process writes ``path``, which is said if ``doing`` tells what it does, and remove what
    killed processes left. Raises `InputError` with the ``remedy`` if the folder cannot be made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): {remedy}") from error
    lock = FileLock(path.with_name(f".lock.{path.name}"))
    with suppress(OSError, NotImplementedError):  # a file system without locks: two processes may do the same work
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if doing:
                log(f"another process is {doing}: waiting for it")
            lock.acquire()
    try:
        if lock.is_locked:
            for partial in path.parent.glob(f".partial.*.{path.name}"):
                partial.unlink()
        yield
    finally:
        # Removed while it is locked: a process that waits for it then finds the name gone and locks a new file.
        with suppress(OSError):  # Windows cannot remove an open file, and removes it on release
            Path(lock.lock_file).unlink()
        lock.release()


_WORTH_CACHING = 2.0  # seconds of reading


class Contents(NamedTuple):
    """Index of a ``.rec`` file: ``keys`` and ``offsets`` of all records, int64; ``positions``, the record index of each
    image, int64; ``classes``, each image's stored label, float32."""

    keys: np.ndarray
    offsets: np.ndarray
    positions: np.ndarray
    classes: np.ndarray


def cached_contents(folder: Path | None, files: Sequence[Path], reader: str, read: Callable[[], Contents]) -> Contents:
    """Return the result of ``read``, cached in ``folder`` if reading takes more than 2 seconds.

    Args:
        folder: created if it is missing; if it cannot be written to, nothing is cached. None: no cache.
        files: those that exist determine the cache's key by size and modification time.
        reader: name and version of the reader, also part of the key.
        read: reads the files.
    """
    if folder is None:
        return read()
    path = folder / f"contents-{digest([reader, *map(_state, files)])}.npz"
    with suppress(*DAMAGED):
        arrays = read_whole(path)
        return Contents(*(arrays[name] for name in Contents._fields))
    start = time.perf_counter()
    contents = read()
    if time.perf_counter() - start > _WORTH_CACHING:
        with suppress(InputError), replacing(path, unchanged_for=_IDLE) as partial, partial.open("wb") as file:
            np.savez(file, **contents._asdict())
    return contents


def _state(file: Path) -> str:
    if not file.is_file():
        return f"no {file.name}"
    found = file.stat()
    return f"{file.resolve()} {found.st_size} {found.st_mtime_ns}"
