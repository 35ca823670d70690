"""What is kept on disk: decoded pixels of all images, and the index of a large archive."""

import math
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

_ELSE = "set data.cache to another folder, or to null to do without"


def pack(images: ImageDataset, folder: Path, num_workers: int = 0) -> PackedDataset:
    """The same images from ``folder/images-FINGERPRINT.npy``, uint8 ``(N, H, W, 3)``, ``N * H * W * 3`` bytes.

    The file is written when it is missing, with a progress bar on standard error, and kept; images or a size that
    changed have another fingerprint. Of several processes one writes it, and the others wait. It is whole under that
    name, whatever happens; the `InputError` of an image that cannot be decoded or of a full disk leaves nothing behind.

    Args:
        images: each is decoded once.
        folder: made when it is missing.
        num_workers: loading processes.
    """
    path = folder / f"images-{images.fingerprint()}.npy"
    if not path.is_file():
        with _alone(path):
            if not path.is_file():
                _write(images, path, num_workers)
    return PackedDataset(path, images.targets)


def _write(images: ImageDataset, path: Path, num_workers: int) -> None:
    shape = (len(images), *images.image_size, 3)
    free, needed = shutil.disk_usage(path.parent).free / 1e9, math.prod(shape) / 1e9
    if free < needed:
        raise InputError(
            f"{path.parent} has {free:.1f} GB of room, and the decoded images take {needed:.1f}: free space, {_ELSE}"
        )
    with replacing(path, f"free space, {_ELSE}") as partial, partial.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        with tqdm(desc=f"decoding once into {path.parent}", total=len(images), unit=" images", delay=2) as bar:
            # A generator of its own: a run must not depend on whether its images were kept from another.
            for batch, _ in image_loader(images, 256, num_workers, generator=torch.Generator()):
                file.write(batch.numpy())
                bar.update(len(batch))
        file.flush()
        os.fsync(file.fileno())  # or a power failure could leave the name without the pixels


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other process writes ``path``; then clear away what one left that was killed."""
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
        # While the lock is held: who waits for it then finds it without a name, and takes that of a new file.
        with suppress(OSError):  # Windows does not remove an open file; there the release does
            Path(lock.lock_file).unlink()
        lock.release()


_WORTH_KEEPING = 2.0  # seconds of reading
_DAMAGED = (OSError, EOFError, ValueError, KeyError, BadZipFile)  # or missing: each is read anew


class Contents(NamedTuple):
    """Of all records the keys and the offsets, int64; of the images the numbers of their records, int64, and the
    classes as they are stored, float32."""

    keys: np.ndarray
    offsets: np.ndarray
    positions: np.ndarray
    classes: np.ndarray


def kept_contents(folder: Path | None, files: Sequence[Path], reader: str, read: Callable[[], Contents]) -> Contents:
    """What ``read`` returns; where that took more than two seconds, it is left in ``folder`` and read from there the
    next time, unless one of the ``files`` has another size or time, or the ``reader`` another version.

    Args:
        folder: made when it is missing; what cannot be written there is read anew each time. None: nothing is kept.
        files: that are read, those of them that exist.
        reader: name and version of the reader.
        read: the files.
    """
    if folder is None:
        return read()
    path = folder / f"contents-{digest([reader, *map(_state, files)])}.npz"
    with suppress(*_DAMAGED), path.open("rb") as file, np.load(file) as arrays:
        return Contents(*(arrays[name] for name in Contents._fields))
    start = time.perf_counter()
    contents = read()
    if time.perf_counter() - start > _WORTH_KEEPING:
        with suppress(InputError), replacing(path) as partial, partial.open("wb") as file:
            np.savez(file, **contents._asdict())
    return contents


def _state(file: Path) -> str:
    if not file.is_file():
        return f"no {file.name}"
    found = file.stat()
    return f"{file.resolve()} {found.st_size} {found.st_mtime_ns}"
