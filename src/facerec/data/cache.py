"""Caches on disk: the decoded pixels of all images, and the index of a large archive."""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
import torch
from filelock import FileLock, Timeout
from tqdm import tqdm

from facerec.console import log
from facerec.data.loading import ImageDataset, PackedDataset, image_loader
from facerec.data.source import digest
from facerec.errors import InputError
from facerec.files import replacing

_ELSE = "set data.cache to another folder, or to null for no cache"


def pack(images: ImageDataset, folder: Path, num_workers: int = 0) -> PackedDataset:
    """Return the images as a dataset over ``folder/images-FINGERPRINT.npy``, uint8 ``(N, H, W, 3)``.

    A missing file is written, with a progress bar on standard error; changed images or another size have another
    fingerprint. One of several processes writes the file while the others wait. It is never incomplete under its name.
    Raises `InputError`, and leaves nothing behind, if an image cannot be decoded or the disk is full.

    Args:
        images: each is decoded once.
        folder: created if it is missing.
        num_workers: number of workers that decode.
    """
    path = folder / f"images-{images.fingerprint()}.npy"
    if not path.is_file():
        with _alone(path):
            if not path.is_file():
                _write(images, path, num_workers)
    return PackedDataset(path, images.targets)


def _write(images: ImageDataset, path: Path, num_workers: int) -> None:
    shape = (len(images), *images.image_size, 3)
    free, needed = shutil.disk_usage(path.parent).free / 1e9, np.prod(shape) / 1e9
    if free < needed:
        sizes = f"has {free:.1f} GB left, and the decoded images take {needed:.1f} GB"
        raise InputError(f"{path.parent} {sizes}: free space, {_ELSE}")
    with replacing(path, f"free space, {_ELSE}") as partial, partial.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        with tqdm(desc=f"decoding once into {path.parent}", total=len(images), unit=" images", delay=2) as bar:
            # A separate generator: a run must not depend on whether its images were cached by another.
            for batch, _ in image_loader(images, 256, num_workers, generator=torch.Generator()):
                file.write(batch.numpy())
                bar.update(len(batch))
        file.flush()
        os.fsync(file.fileno())  # otherwise a power failure could leave the name without the pixels


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other process writes ``path``, and remove what killed processes left."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): {_ELSE}") from error
    lock = FileLock(path.with_name(f".lock.{path.name}"))
    with suppress(OSError, NotImplementedError):  # a file system without locks: two processes may do the same work
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log("another process is decoding the same images: waiting for it")
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
_DAMAGED = (OSError, EOFError, ValueError, KeyError, BadZipFile)  # or missing: the archive is read again


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
    with suppress(*_DAMAGED), path.open("rb") as file, np.load(file) as arrays:
        return Contents(*(arrays[name] for name in Contents._fields))
    start = time.perf_counter()
    contents = read()
    if time.perf_counter() - start > _WORTH_CACHING:
        with suppress(InputError), replacing(path) as partial, partial.open("wb") as file:
            np.savez(file, **contents._asdict())
    return contents


def _state(file: Path) -> str:
    if not file.is_file():
        return f"no {file.name}"
    found = file.stat()
    return f"{file.resolve()} {found.st_size} {found.st_mtime_ns}"
