"""RecordIO, the container of InsightFace's ``train.rec``, read without MXNet.

A record is a magic number, ``cflag << 29 | length``, ``length`` bytes, and zeros up to a multiple of 4 (dmlc-core,
``recordio.h``). Where the magic number occurs at an aligned place of the content, the writer leaves it out and starts
another part there (cflag 1, 2, 3: first, middle, last part; 0: whole record), so an aligned magic number always starts
a part. The content is MXNet's image header (``mxnet/recordio.py``), a list of labels or nothing, and the encoded image.
"""

import mmap
import struct
import warnings
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from facerec.data.shared_arrays import SharedArrays
from facerec.errors import InputError

MAGIC = b"\x0a\x23\xd7\xce"
_FRAME = struct.Struct("<4sI")
_HEADER = struct.Struct("<IfQQ")
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)

# The first 40 bytes of a record in one part; `listed` are the first labels of the list that follows when flag > 0.
_START = np.dtype(
    [("magic", "S4"), ("frame", "<u4"), ("flag", "<u4"), ("label", "<f4"), ("ids", "<u8", 2), ("listed", "<f4", 2)]
)
_CHUNK = 65536  # records
_WORTH_A_PROGRESS_BAR = 100_000_000  # bytes


class IRHeader(NamedTuple):
    """MXNet's image header: with ``flag`` 0 there is one label, with ``flag`` n > 0 a float32 array of n labels."""

    flag: int
    label: float | np.ndarray
    id: int
    id2: int


class RecordFile(SharedArrays):
    """The records of a ``.rec`` file, numbered from 0 in the order of the file.

    ``keys`` and ``offsets``, int64 ``(N,)``, are the number that a record was written under and the byte where it
    starts. They are read from ``index_path``, by default the ``.idx`` file beside ``path``; without one the file is
    walked through, and nothing is written. Each process maps the file for itself, when it first reads from it.

    `InputError` names the file and the offset of a record that is cut off or damaged, once it is read; the constructor
    raises it for an index that does not fit the file, and for any cut-off record when there is no index.
    """

    def __init__(self, path: str | Path, index_path: str | Path | None = None):
        self.path = Path(path)
        self._map: mmap.mmap | None = None
        index_path = self.path.with_suffix(".idx") if index_path is None else Path(index_path)
        if index_path.is_file():
            self.keys, self.offsets = _read_index(index_path)
            self._check_index(index_path)
        else:
            self.keys, self.offsets = self._scan()

    @classmethod
    def from_table(cls, path: Path, keys: np.ndarray, offsets: np.ndarray) -> "RecordFile":
        """A file whose keys and offsets are known, from an earlier reading; nothing is checked."""
        records = cls.__new__(cls)
        records.path, records.keys, records.offsets, records._map = path, keys, offsets, None
        return records

    def __len__(self) -> int:
        return len(self.keys)

    def __getstate__(self) -> dict:
        return super().__getstate__() | {"_map": None}

    def payload(self, position: int) -> bytes:
        """The whole content of a record, header included, its parts joined."""
        data = self._data
        return MAGIC.join([data[start:end] for start, end in self._parts(int(self.offsets[position]))])

    def record(self, position: int) -> tuple[IRHeader, bytes]:
        """Header and encoded image of a record; the index records of InsightFace have an empty image."""
        content, offset = self.payload(position), int(self.offsets[position])
        if len(content) < _HEADER.size:
            raise self._damaged(offset, "is too short for an image header")
        flag, label, key, key2 = _HEADER.unpack_from(content)
        image_start = _HEADER.size + 4 * flag
        if len(content) < image_start:
            raise self._damaged(offset, f"is too short for its {flag} labels")
        labels = np.frombuffer(content, "<f4", flag, _HEADER.size) if flag else label
        return IRHeader(flag, labels, key, key2), content[image_start:]

    def read_labels(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First two labels, float32 ``(n, 2)``, NaN where there is no second, and bool ``(n,)``: is there an image?

        Reads 40 bytes of each record.
        """
        labels, has_image = np.empty((len(positions), 2), np.float32), np.empty(len(positions), bool)
        with self._progress("reading labels of", len(positions), " records") as bar:
            for start in range(0, len(positions), _CHUNK):
                chunk = slice(start, start + _CHUNK)
                labels[chunk], has_image[chunk] = self._read_chunk_of_labels(positions[chunk])
                bar.update(len(positions[chunk]))
        return labels, has_image

    def _read_chunk_of_labels(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        data, offsets = np.frombuffer(self._data, np.uint8), self.offsets[positions]
        # Clipped to the file, whose last record may have fewer than 40 bytes; what is beyond a record is not used.
        starts = data[np.minimum(offsets[:, None] + np.arange(_START.itemsize), len(data) - 1)].view(_START)[:, 0]
        flag, length = starts["flag"].astype(np.int64), starts["frame"].astype(np.int64)
        image_start = _HEADER.size + 4 * flag
        first = np.where(flag == 0, starts["label"], starts["listed"][:, 0])
        second = np.where(flag < 2, np.float32(np.nan), starts["listed"][:, 1])
        labels, has_image = np.stack([first, second], axis=1), length > image_start

        is_whole = (starts["magic"] == MAGIC) & (starts["frame"] >> 29 == _WHOLE) & (offsets % 4 == 0)
        is_whole &= (length >= image_start) & (offsets + _FRAME.size + length <= len(data))
        for row in np.flatnonzero(~is_whole):  # in several parts, or damaged
            header, image = self.record(positions[row])
            labels[row] = np.append(header.label, np.nan)[:2]
            has_image[row] = len(image) > 0
        return labels, has_image

    def _parts(self, offset: int) -> Iterator[tuple[int, int]]:
        """Start and end of each part of the record at ``offset``."""
        allowed = (_WHOLE, _FIRST)
        while allowed:
            cflag, start, end = self._part(offset)
            if cflag not in allowed or offset % 4:
                raise self._damaged(offset, "does not start or continue a record there")
            yield start, end
            allowed = (_MIDDLE, _LAST) if cflag in (_FIRST, _MIDDLE) else ()
            offset = _padded(end)

    def _part(self, offset: int) -> tuple[int, int, int]:
        data, start = self._data, offset + _FRAME.size
        if start > len(data):
            raise self._damaged(offset, "is cut off")
        magic, frame = _FRAME.unpack_from(data, offset)
        if magic != MAGIC:
            raise self._damaged(offset, f"holds {magic.hex()} in place of {MAGIC.hex()}, the start of a record")
        end = start + (frame & (1 << 29) - 1)
        if _padded(end) > len(data):
            raise self._damaged(offset, "is cut off")
        return frame >> 29, start, end

    def _scan(self) -> tuple[np.ndarray, np.ndarray]:
        """Keys and offsets, found by walking from record to record."""
        ids, offsets, end = array("Q"), array("q"), 0
        with self._progress("indexing", len(self._data), "B") as bar:
            while end < len(self._data):
                offsets.append(end)
                parts = list(self._parts(end))
                ids.append(self._id(parts))
                end = _padded(parts[-1][1])
                bar.update(end - offsets[-1])
        keys = np.frombuffer(ids, np.uint64).astype(np.int64)
        if len(np.unique(keys)) < len(keys):  # a writer that did not count: number the records instead
            keys = np.arange(len(keys))
        return keys, np.array(offsets, np.int64)

    def _id(self, parts: list[tuple[int, int]]) -> int:
        # No image is read here: at most the size of a header is taken from each part.
        data = self._data
        head = MAGIC.join([data[start : min(end, start + _HEADER.size)] for start, end in parts])
        if len(head) < _HEADER.size:
            raise self._damaged(parts[0][0] - _FRAME.size, "is too short for an image header")
        return _HEADER.unpack_from(head)[2]

    def _check_index(self, index_path: Path) -> None:
        """Refuse an index that was cut off or belongs to another file. Its records are not read, except the last."""
        size = len(self._data)
        outside = self.offsets[(self.offsets < 0) | (self.offsets >= size)]
        if len(outside):
            raise InputError(
                f"{index_path} points to offset {outside[0]}, outside {self.path} of {size} bytes: one of the two is "
                "cut off or belongs to another file, so fetch both again"
            )
        *_, (_, end) = self._parts(int(self.offsets[-1]))
        if _padded(end) < size:
            raise InputError(
                f"{index_path} ends before {self.path} does, at offset {_padded(end)} of {size}: delete the index to "
                "have it rebuilt"
            )

    def _damaged(self, offset: int, problem: str) -> InputError:
        return InputError(
            f"{self.path} at offset {offset} {problem}: the file is damaged or is not the one its index was made for, "
            "so fetch it again, with its index"
        )

    def _progress(self, action: str, total: int, unit: str) -> tqdm:
        is_short = len(self._data) < _WORTH_A_PROGRESS_BAR
        return tqdm(desc=f"{action} {self.path.name}", total=total, unit=unit, unit_scale=True, disable=is_short)

    @property
    def _data(self) -> mmap.mmap:
        if self._map is None:
            if not self.path.is_file():
                raise InputError(f"record file {self.path} does not exist: check the folder and the name")
            if self.path.stat().st_size == 0:
                raise InputError(f"record file {self.path} is empty: fetch it again")
            with self.path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._map


def _read_index(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Keys and offsets in the order of the file they point into."""
    try:
        with warnings.catch_warnings(action="error"):  # NumPy only warns of an empty file
            keys, offsets = np.loadtxt(path, np.int64, comments=None, ndmin=2).T
    except (ValueError, UserWarning):
        raise InputError(
            f"{path} is not an index, lines of a key and an offset: delete it to have it rebuilt from the record file"
        ) from None
    keys, offsets = np.ascontiguousarray(keys), np.ascontiguousarray(offsets)
    if (np.diff(offsets) < 0).any():
        order = np.argsort(offsets, kind="stable")
        keys, offsets = keys[order], offsets[order]
    in_order = np.sort(keys)
    if (np.diff(offsets) == 0).any() or (np.diff(in_order) == 0).any():
        raise InputError(f"{path} lists a key or an offset twice: delete it to have it rebuilt from the record file")
    return keys, offsets


def _padded(size: int) -> int:
    return size + -size % 4
