"""Decode once: the pixels of all images in one file, for every later epoch and run."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from facerec.console import log
from facerec.data.loading import ImageDataset, PackedDataset, image_loader
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
    _refuse_without_room(path.parent, int(np.prod(shape)))
    with replacing(path, f"free space, {_ELSE}") as partial, partial.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        with tqdm(desc=f"decoding once into {path.parent}", total=len(images), unit=" images", delay=2) as bar:
            # A generator of its own: a run must not depend on whether its images were kept from another.
            for batch, _ in image_loader(images, 256, num_workers, generator=torch.Generator()):
                file.write(batch.numpy())
                bar.update(len(batch))
        file.flush()
        os.fsync(file.fileno())  # or a power failure could leave the name without the pixels


def _refuse_without_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(
            f"{folder} has {free / 1e9:.1f} GB of room, and the decoded images take {needed / 1e9:.1f}: free space, "
            f"{_ELSE}"
        )


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other process writes ``path``; then clear away what one left that was killed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f".lock.{path.name}").open("w")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): {_ELSE}") from error
    try:
        with lock:
            if _locked(lock.fileno()):
                for partial in path.parent.glob(f".partial.*.{path.name}"):
                    partial.unlink()
            yield
    finally:
        Path(lock.name).unlink(missing_ok=True)


def _locked(file: int) -> bool:
    """Whether this process has the lock now; False where the file system has none, and two may do the same work."""
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log("another process is decoding the same images: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:
        return False
    return True
