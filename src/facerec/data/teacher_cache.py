"""A teacher's embeddings on disk: computed once, block by block, and looked up by the index of the image."""

import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from facerec.console import log
from facerec.data.cache import DAMAGED, alone, header, is_unchanged, is_undamaged, note
from facerec.data.loading import IndexedImages
from facerec.errors import InputError
from facerec.files import write_json

BLOCK = 128  # images that are embedded and written at a time
_TYPE = "<f2"


class EmbeddingTable:
    """Embeddings in a file, float16 ``(N, T)``; processes share the system's cache of it.

    Args:
        path: the NumPy file; `InputError` if it is another one, also if it is cut off later.
        shape: (N, T).
    """

    def __init__(self, path: Path, shape: tuple[int, int]) -> None:
        self.path, self.shape = path, shape

    def take(self, indices: Sequence[int]) -> Tensor:
        """Return the embeddings of the images ``indices``, float16 ``(B, T)``."""
        rows: Any = self._rows
        if rows.base.size() < rows.offset + rows.nbytes:  # reading beyond the end would kill the process
            raise self._refusal("were cut off in use")
        return torch.from_numpy(np.take(rows, indices, axis=0))

    @cached_property
    def _rows(self) -> np.ndarray:
        try:
            rows = np.load(self.path, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise self._refusal("are damaged or may not be read") from error
        if rows.dtype != np.float16 or rows.shape != self.shape:
            raise self._refusal(f"are {rows.dtype} {rows.shape}, not float16 {self.shape}")
        return rows

    def _refusal(self, problem: str) -> InputError:
        return InputError(f"the teacher's embeddings in {self.path} {problem}: delete the file, and it is made again")

    def __getstate__(self) -> dict[str, object]:
        """Leave out the memory map, which would be pickled as a copy."""
        return {key: value for key, value in self.__dict__.items() if key != "_rows"}


class TaughtImages(IndexedImages):
    """Images and the teacher's embeddings of them, float16 ``(B, T)``, which come third in a batch."""

    def __init__(self, images: IndexedImages, embeddings: EmbeddingTable) -> None:
        self.images, self.embeddings, self.targets = images, embeddings, images.targets
        self.image_size = images.image_size

    @property
    def needs_workers(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.images.needs_workers

    def new_epoch(self) -> None:
        self.images.new_epoch()

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, ...]:
        return *self.images.__getitems__(indices), self.embeddings.take(indices)


def cached_rows(
    path: Path, shape: tuple[int, int], blocks: Callable[[int], Iterator[np.ndarray]], name: Callable[[int], str]
) -> EmbeddingTable:
    """Return the embeddings in the file ``path``, which is written first if it is missing or damaged.

    One of several processes writes while the others wait. What was written before an interruption stays beside the
    file, under a name with ``.begun.``, and is continued. Raises `InputError` for an embedding that is not finite, with
    the name of its image, and for a file that cannot be written.

    Args:
        path: in a folder that is created if it is missing.
        shape: (N, T).
        blocks: called with the index of an image, a multiple of `BLOCK`; yields the embeddings of length 1 from there
            on, `BLOCK` at a time.
        name: the name of an image by its index.
    """
    if not is_unchanged(path, shape, _TYPE):
        with alone(path, "computing the same teacher's embeddings"):
            if not is_unchanged(path, shape, _TYPE) and not is_undamaged(path, shape, "computed", _TYPE):
                try:
                    _write(path, shape, blocks, name)
                except OSError as error:
                    raise InputError(
                        f"{path} cannot be written ({error.strerror or error}): free space and start again, which goes "
                        "on from there, or set data.cache to another folder"
                    ) from error
    return EmbeddingTable(path, shape)


def _write(
    path: Path, shape: tuple[int, int], blocks: Callable[[int], Iterator[np.ndarray]], name: Callable[[int], str]
) -> None:
    begun, start = path.with_name(f".begun.{path.name}"), header(shape, _TYPE)
    done, crc = _done(begun, shape)
    with begun.open("r+b" if done else "wb") as file:
        if not done:
            file.write(start)
            crc = zlib.crc32(start)
        file.seek(file.truncate(_length(shape, done)))
        description = f"embedding once by the teacher into {path.parent}"
        with tqdm(desc=description, initial=done, total=shape[0], unit=" images", delay=2) as bar:
            for block in blocks(done) if done < shape[0] else ():
                rows = _finite(block, done, name)
                file.write(rows)
                crc, done = zlib.crc32(rows, crc), done + len(block)
                file.flush()
                write_json(_progress(begun), {"rows": done, "crc32": crc})
                bar.update(len(block))
        os.fsync(file.fileno())  # otherwise a power failure could leave the name without the content
    note(path, crc, begun)  # before the file has its name: a file without a checksum is not believed
    os.replace(begun, path)
    _progress(begun).unlink()


def _finite(block: np.ndarray, first: int, name: Callable[[int], str]) -> bytes:
    """Return the rows as they are written; raise `InputError` if one has no direction."""
    wrong = np.flatnonzero(~np.isfinite(block).all(axis=1))
    if len(wrong):
        raise InputError(
            f"the teacher's embedding of image {name(first + int(wrong[0]))} is zero or not finite: check the teacher, "
            "and the normalisation that is stated for it"
        )
    return block.astype(_TYPE).tobytes()


def _done(begun: Path, shape: tuple[int, int]) -> tuple[int, int]:
    """Return the number of rows that an interrupted process wrote, and their checksum; 0 if they are damaged."""
    if not begun.is_file():
        return 0, 0
    with suppress(*DAMAGED):
        noted = json.loads(_progress(begun).read_text(encoding="utf-8"))
        rows, crc, length = noted["rows"], noted["crc32"], _length(shape, noted["rows"])
        with begun.open("rb") as file:
            if 0 < rows <= shape[0] and zlib.crc32(file.read(length)) == crc and file.tell() == length:
                log(f"{rows} of {shape[0]} embeddings of the teacher are there: going on")
                return rows, crc
    log(f"{begun} is damaged: the teacher's embeddings are computed again")
    return 0, 0


def _length(shape: tuple[int, int], rows: int) -> int:
    return len(header(shape, _TYPE)) + rows * shape[1] * np.dtype(_TYPE).itemsize


def _progress(begun: Path) -> Path:
    return begun.with_suffix(".json")
