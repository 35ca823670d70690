"""Loading of images as uint8 batches, and their conversion to the network's input on the device."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from facerec.data import decode
from facerec.data.augmentation.random_numbers import entropy_of
from facerec.data.shared_arrays import SharedArrays
from facerec.data.source import ImageSource, digest
from facerec.errors import InputError

T = TypeVar("T")


class IndexedImages(Dataset):
    """Images of one size by index, a batch at a time.

    Attributes:
        targets: one per image.
        image_size: (height, width).
        needs_workers: whether workers load batches faster than this process alone.
    """

    targets: np.ndarray
    image_size: tuple[int, ...]
    needs_workers: bool = True

    def __len__(self) -> int:
        return len(self.targets)

    def new_epoch(self) -> None:
        """Prepare for a pass over the images; a loader calls it."""

    @abstractmethod
    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, ...]:
        """Return uint8 RGB images ``(B, H, W, 3)``, their targets ``(B,)``, and what else there is of them."""


class ImageDataset(SharedArrays, IndexedImages):
    """Images that are decoded when they are requested, a batch at a time.

    Args:
        source: the images.
        targets: one per image.
        image_size: (height, width) that every image is resized to.
        state: the source's `state`, if known: computing it looks at every file.
    """

    def __init__(
        self, source: ImageSource, targets: np.ndarray, image_size: tuple[int, int], state: str | None = None
    ) -> None:
        self.source, self.targets, self.image_size, self._state = source, targets, image_size, state

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return uint8 RGB images ``(B, H, W, 3)`` and their targets ``(B,)``."""
        images = torch.empty((len(indices), *self.image_size, 3), dtype=torch.uint8)
        for index, row in zip(indices, images.numpy(), strict=True):
            decode.resize(self.source.load(index), row)
        return images, torch.from_numpy(self.targets[indices])

    def fingerprint(self) -> str:
        """Return a short hexadecimal digest of all that determines the pixels: images, state, decoder and size."""
        height, width = self.image_size
        state = self._state or self.source.state()
        return digest([self.source.fingerprint(), state, decode.DECODER, f"{height}x{width}"])


class PackedDataset(IndexedImages):
    """Images of an `ImageDataset` from the file that `pack` wrote; processes share the system's cache of it.

    Args:
        path: NumPy file of uint8 ``(N, H, W, 3)``; `InputError` if it is another one, also if it is cut off or written
            to later.
        targets: one per image.
    """

    needs_workers = False

    def __init__(self, path: Path, targets: np.ndarray) -> None:
        self.path, self.targets, self._opened = path, targets, _file_and_time(path)
        self.image_size = self._pixels.shape[1:3]

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        self._refuse_changed()
        # Gathered into pinned memory, so that the loader need not copy it there.
        shape = (len(indices), *self._pixels.shape[1:])
        images = torch.empty(shape, dtype=torch.uint8, pin_memory=torch.cuda.is_available())
        # By default NumPy gathers into a buffer first, to leave the result unchanged after an index error.
        np.take(self._pixels, indices, axis=0, out=images.numpy(), mode="clip")
        return images, torch.from_numpy(self.targets[indices])

    @cached_property
    def _pixels(self) -> np.ndarray:
        try:
            pixels = np.load(self.path, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise self._refusal("are damaged or may not be read") from error
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or len(pixels) != len(self) or pixels.shape[3] != 3:
            found = f"are {pixels.dtype} {'x'.join(map(str, pixels.shape))}"
            raise self._refusal(f"{found}, not uint8 {len(self)}xHEIGHTxWIDTHx3")
        return pixels

    def _refuse_changed(self) -> None:
        """Raise `InputError` if the mapped file is shorter than it was, since reading beyond its end kills the process,
        or if it was written to. A file that has been replaced or deleted is still mapped as it was."""
        pixels: Any = self._pixels
        needed, left = pixels.offset + pixels.nbytes, pixels.base.size()
        if left < needed:
            raise self._refusal(f"were cut off in use, {left} of {needed} bytes are left")
        now = _file_and_time(self.path)
        if now != self._opened and now[:2] == self._opened[:2]:
            raise self._refusal("were changed in use")

    def _refusal(self, problem: str) -> InputError:
        return InputError(f"the decoded images in {self.path} {problem}: delete the file, and it is written again")

    def __getstate__(self) -> dict[str, object]:
        """Leave out the memory map, which would be pickled as a copy of all pixels."""
        return {key: value for key, value in self.__dict__.items() if key != "_pixels"}


def _file_and_time(path: Path) -> tuple[int, ...]:
    """Return the file's device, number and time of change, or zeros if it is gone."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0, 0
    return found.st_dev, found.st_ino, found.st_mtime_ns


_LOOKED_AT = 16  # images, evenly spaced


def refuse_equal_images(dataset: IndexedImages, what: str) -> None:
    """Raise `InputError` if the images of ``what`` are all the same, such as black ones: only some are looked at.

    Nothing can be learned from them or measured on them, and the loss may become NaN.
    """
    chosen = np.unique(np.linspace(0, len(dataset) - 1, min(_LOOKED_AT, len(dataset))).astype(np.int64)).tolist()
    images = dataset.__getitems__(chosen)[0]
    if len(chosen) > 1 and bool((images == images[:1]).all()):
        raise InputError(
            f"the images of {what} are all the same, at least the {len(chosen)} that were looked at: convert or fetch "
            "them again, with the help of facerec check_data"
        )


def image_loader(
    dataset: IndexedImages,
    batch_size: int,
    num_workers: int,
    *,
    keep_workers: bool = False,
    **options: Any,
) -> DataLoader:
    """Create a loader of whole batches of ``dataset``. Without workers a thread prepares the next batch.

    Args:
        dataset: images to decode in workers, or those that this process gathers faster itself.
        batch_size: images per batch.
        num_workers: number of workers.
        keep_workers: keep them between epochs.
        options: further options of PyTorch's loader, such as a sampler.
    """
    if not dataset.needs_workers:
        num_workers = 0
    return _Loader(
        dataset,
        batch_size,
        persistent_workers=keep_workers and num_workers > 0,
        collate_fn=_unchanged,
        **decode.loading_processes(num_workers),
        **options,
    )


class _Loader(DataLoader):
    """PyTorch's loader; without workers, a thread prepares the next batch while this one is used."""

    dataset: IndexedImages
    _thread: ThreadPoolExecutor | None = None  # of all epochs

    def __iter__(self) -> Iterator[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        if self._thread is not None:
            self._thread.submit(lambda: None).result()  # what is left of an epoch that was broken off
        self.dataset.new_epoch()
        if self.num_workers and not self.dataset.needs_workers:  # any more
            self.num_workers, self._iterator = 0, None
        batches = super().__iter__()  # here, since it draws a number from PyTorch's global generator
        if self.num_workers:
            return batches
        self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="facerec-loader")
        return _OneAhead(batches, self._thread)


class _OneAhead(Iterator[T]):
    """``batches``, each fetched by ``thread`` while the one before it is used.

    Not a generator that starts a thread: Python would close it at the end of an epoch and wait there for the thread,
    and Ctrl-C is ignored while Python closes what is no longer used.
    """

    def __init__(self, batches: Iterator[T], thread: ThreadPoolExecutor) -> None:
        self._batches, self._thread = batches, thread
        self._coming: Future[T | None] | None = None

    def __next__(self) -> T:
        if self._coming is None:
            self._coming = self._fetched()
        batch = self._coming.result()
        if batch is None:
            raise StopIteration
        self._coming = self._fetched()
        return batch

    def _fetched(self) -> "Future[T | None]":
        return self._thread.submit(next, self._batches, None)


def in_workers(function: Callable[[list[int]], T], indices: range, chunk: int, num_workers: int) -> Iterator[T]:
    """Yield ``function`` of each ``chunk`` of indices, in order, computed in up to ``num_workers`` processes."""
    options = decode.loading_processes(num_workers)
    return iter(DataLoader(indices, chunk, collate_fn=function, **options))  # pyright: ignore[reportArgumentType]


def _unchanged(batch: Any) -> Any:
    return batch


def normalise(images: Tensor) -> Tensor:
    """Convert uint8 ``(B, H, W, 3)`` to float32 ``(B, 3, H, W)`` in [-1, 1], channels_last: ``(x - 127.5) / 127.5``."""
    return images.permute(0, 3, 1, 2).float().sub_(127.5).div_(127.5)


def flip_at_random(images: Tensor, seed: tuple[int, ...]) -> Tensor:
    """Flip each image of ``(B, 3, H, W)`` with probability 0.5, determined by ``seed`` alone, on every device."""
    coins = torch.rand(len(images), generator=torch.Generator().manual_seed(entropy_of(seed))) < 0.5
    return torch.where(coins.to(images.device)[:, None, None, None], images.flip(-1), images)
