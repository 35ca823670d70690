"""A cache of decoded pixels that is filled while an epoch is trained on."""

import os
import socket
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facerec.data.cache import ELSE, checksum, header, note, pack, refuse_no_room
from facerec.data.loading import ImageDataset, IndexedImages, PackedDataset, image_loader
from facerec.errors import InputError
from facerec.files import remove_leftovers

_FILLED_BY: dict[Path, int] = {}  # the identity of who fills each file, in this process


def packed_or_filled(images: ImageDataset, folder: Path, num_workers: int) -> IndexedImages:
    """Return the images from the file of `pack` if there is one, or else a `FilledDataset`, where the system can."""
    path = folder / f"images-{images.fingerprint()}.npy"
    if path.is_file() or not hasattr(os, "pwrite"):
        return pack(images, folder, num_workers)
    return FilledDataset(images, path, num_workers)


class FilledDataset(IndexedImages):
    """Images that are decoded as long as an epoch lasts, and are then those of a `PackedDataset`.

    From `begin` on, what is decoded is also written to a file of this process, also by its workers. The second epoch
    begins with the rest, after which the file gets its name. A process that is killed before leaves no cache: what it
    wrote is removed by the next on this machine.

    Args:
        images: decoded once each, if an epoch has each once.
        path: the file that `pack` would write.
        num_workers: number of workers that decode the rest.
    """

    def __init__(self, images: ImageDataset, path: Path, num_workers: int = 0) -> None:
        self.images, self.path, self.num_workers = images, path, num_workers
        self.targets, self.image_size = images.targets, images.image_size
        self._shape = (len(images), *images.image_size, 3)
        self._start = header(self._shape)
        self._size = len(self._start) + int(np.prod(self._shape))  # behind it, a byte per image says that it is there
        self._written: Path | None = None
        self._epochs = 0
        self._packed: PackedDataset | None = None

    @property
    def needs_workers(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._packed is None

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, ...]:
        if self._packed is not None:
            return self._packed.__getitems__(indices)
        batch = self.images.__getitems__(indices)
        if self._written is not None:
            self._write(self._written, indices, batch[0].numpy())
        return batch

    def begin(self) -> None:
        """Create the file; raise `InputError` if it cannot be written or there is too little room."""
        if self._written is not None or self._packed is not None:
            return
        name = self.path.with_name(f"{self.path.stem}.{socket.gethostname()}.filling")
        written = self.path.with_name(f".partial.{os.getpid()}.{name.name}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(name)
            refuse_no_room(self.path, self._shape)
            written.unlink(missing_ok=True)  # a thread of a run before this one may still hold its file
            with written.open("xb") as file:
                file.write(self._start)
                file.truncate(self._size + len(self))
        except OSError as error:
            raise self._refusal(error) from error
        self._written, path = written, written.absolute()
        _FILLED_BY[path] = id(self)
        weakref.finalize(self, _remove, path, os.getpid(), id(self))

    def new_epoch(self) -> None:
        self._epochs += self._written is not None
        if self._epochs == 2:
            self.finish()

    def finish(self) -> None:
        """Decode what is not in the file yet, and give it its name; without effect before `begin`."""
        if self._written is None or self._packed is not None:
            return
        self._epochs = 3  # the loader below begins no epoch
        missing = np.flatnonzero(np.fromfile(self._written, np.uint8, offset=self._size) == 0).tolist()
        for _ in image_loader(self, 256, self.num_workers, sampler=missing, generator=torch.Generator()):
            pass
        try:
            with self._written.open("r+b") as file:
                file.truncate(self._size)
                os.fsync(file.fileno())  # otherwise a power failure could leave the name without the pixels
            note(self.path, checksum(self._written), self._written)  # without a checksum it is not believed
            os.replace(self._written, self.path)
        except OSError as error:
            raise self._refusal(error) from error
        self._packed, self._written = PackedDataset(self.path, self.targets), None

    def _write(self, path: Path, indices: Sequence[int], pixels: np.ndarray) -> None:
        try:
            file = os.open(path, os.O_WRONLY)
            try:
                for index, image in zip(indices, pixels, strict=True):
                    _write_at(file, image.tobytes(), len(self._start) + index * image.nbytes)
                    _write_at(file, b"\1", self._size + index)
            finally:
                os.close(file)
        except OSError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: OSError) -> InputError:
        return InputError(f"{self.path} cannot be written ({error.strerror or error}): free space, {ELSE}")


def _write_at(file: int, content: bytes, offset: int) -> None:
    while content:
        written = os.pwrite(file, content, offset)
        content, offset = content[written:], offset + written


def _remove(path: Path, process: int, owner: int) -> None:
    # Not one of its workers, and not a file that a later run of this process fills.
    if os.getpid() == process and _FILLED_BY.get(path) == owner:
        del _FILLED_BY[path]
        path.unlink(missing_ok=True)
