"""RecordIO, the container of InsightFace's ``train.rec``, read without MXNet.

A record is a magic number, ``cflag << 29 | length``, ``length`` bytes, and zeros up to a multiple of 4 (dmlc-core,
``recordio.h``). If the content has the magic number at an aligned position, the writer omits it and starts another part
there (cflag 1, 2, 3: first, middle, last part; 0: whole record), so an aligned magic number always starts a part. The
content is MXNet's image header (``mxnet/recordio.py``), possibly a list of labels, and the encoded image.
"""

import mmap
import struct
import warnings
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from facerec.data.shared_arrays import SharedArrays
from facerec.data.source import ALLOW, refusing_unreadable
from facerec.errors import InputError
from facerec.files import refuse_no_regular_file

MAGIC = b"\x0a\x23\xd7\xce"
_FRAME = struct.Struct("<4sI")
_HEADER = struct.Struct("<IfQQ")
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)

# The first 40 bytes of a record in one part; `listed` are the first two labels of the list if flag > 0.
_START = np.dtype(
    [("magic", "S4"), ("frame", "<u4"), ("flag", "<u4"), ("label", "<f4"), ("ids", "<u8", 2), ("listed", "<f4", 2)]
)
_CHUNK = 65536  # records
_WORTH_A_PROGRESS_BAR = 100_000_000  # bytes


class IRHeader(NamedTuple):
    """MXNet's image header: one label if ``flag`` is 0, otherwise a float32 array of ``flag`` labels."""

    flag: int
    label: float | np.ndarray
    id: int
    id2: int


class RecordFile(SharedArrays):
    """The records of a ``.rec`` file, by their position in the file.

    ``keys`` and ``offsets``, int64 ``(N,)``, are each record's key and first byte. They are read from ``index_path``,
    by default the ``.idx`` file next to ``path``; without one the file is scanned, and nothing is written. Each process
    maps the file when it first reads from it.

    A record that is cut off or damaged raises `InputError` with the file and the offset when it is read. The
    constructor raises it for an index that does not fit the file and, without an index, for any record that is cut off.
    """

    def __init__(self, path: str | Path, index_path: str | Path | None = None):
        self.path = Path(path)
        self._map: mmap.mmap | None = None
        if index_path is None:
            index_path = self.path.with_suffix(".idx")
            refuse_no_regular_file(index_path)
        self.index_path = index_path = Path(index_path)
        if index_path.is_file():
            self.keys, self.offsets = _read_index(index_path)
            self._check_index(index_path)
        else:
            self.keys, self.offsets = self._scan()

    @classmethod
    def from_table(cls, path: Path, keys: np.ndarray, offsets: np.ndarray) -> "RecordFile":
        """Create a file with known keys and offsets, for instance cached ones, without checks."""
        records = cls.__new__(cls)
        records.path, records.keys, records.offsets, records._map = path, keys, offsets, None
        records.index_path = path.with_suffix(".idx")
        return records

    def __len__(self) -> int:
        return len(self.keys)

    def __getstate__(self) -> dict:
        return super().__getstate__() | {"_map": None}

    def payload(self, position: int) -> bytes:
        """Return the content of a record, including the header, with its parts joined."""
        data = self._data
        return MAGIC.join([data[start:end] for start, end in self._parts(int(self.offsets[position]))])

    def record(self, position: int) -> tuple[IRHeader, bytes]:
        """Return header and encoded image of a record; InsightFace's identity records have an empty image."""
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
        """Return the first two labels, float32 ``(n, 2)``, NaN without a second one, and whether there is an image,
        bool ``(n,)``, by reading 40 bytes of each record."""
        labels, has_image = np.empty((len(positions), 2), np.float32), np.empty(len(positions), bool)
        with self._progress("reading labels of", len(positions), " records") as bar:
            for start in range(0, len(positions), _CHUNK):
                chunk = slice(start, start + _CHUNK)
                labels[chunk], has_image[chunk] = self._read_chunk_of_labels(positions[chunk])
                bar.update(len(positions[chunk]))
        return labels, has_image

    def _read_chunk_of_labels(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        data, offsets = np.frombuffer(self._data, np.uint8), self.offsets[positions]
        # Clipped to the file, whose last record may have fewer than 40 bytes; bytes beyond a record are not used.
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

    def gaps(self) -> int:
        """Count the places of the file where the index leaves out records."""
        gaps = int(self.offsets[0] > 0)
        nexts = np.append(self.offsets[1:], len(self._data))
        for start in range(0, len(self), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            gaps += int(np.count_nonzero(self._ends(self.offsets[chunk]) != nexts[chunk]))
        return gaps

    def _ends(self, offsets: np.ndarray) -> np.ndarray:
        """Return the first byte after each record."""
        data = np.frombuffer(self._data, np.uint8)
        frames = data[offsets[:, None] + 4 + np.arange(4)].view("<u4")[:, 0].astype(np.int64)
        ends = _padded(offsets + _FRAME.size + (frames & (1 << 29) - 1))
        for row in np.flatnonzero(frames >> 29 != _WHOLE).tolist():  # in several parts
            *_, (_, end) = self._parts(int(offsets[row]))
            ends[row] = _padded(end)
        return ends

    def _parts(self, offset: int) -> Iterator[tuple[int, int]]:
        """Yield start and end of each part of the record at ``offset``."""
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
            raise self._damaged(offset, f"has {magic.hex()} instead of {MAGIC.hex()}, the start of a record")
        end = start + (frame & (1 << 29) - 1)
        if _padded(end) > len(data):
            raise self._damaged(offset, "is cut off")
        return frame >> 29, start, end

    def _scan(self) -> tuple[np.ndarray, np.ndarray]:
        """Return keys and offsets by walking from record to record."""
        ids, offsets, end = array("Q"), array("q"), 0
        with self._progress("indexing", len(self._data), "B") as bar:
            while end < len(self._data):
                offsets.append(end)
                parts = list(self._parts(end))
                ids.append(self._id(parts))
                end = _padded(parts[-1][1])
                bar.update(end - offsets[-1])
        keys = np.frombuffer(ids, np.uint64).astype(np.int64)
        if len(np.unique(keys)) < len(keys):  # the writer did not set them: use the positions
            keys = np.arange(len(keys))
        return keys, np.array(offsets, np.int64)

    def _id(self, parts: list[tuple[int, int]]) -> int:
        # At most the size of a header is taken from each part, so no image is read.
        data = self._data
        head = MAGIC.join([data[start : min(end, start + _HEADER.size)] for start, end in parts])
        if len(head) < _HEADER.size:
            raise self._damaged(parts[0][0] - _FRAME.size, "is too short for an image header")
        return _HEADER.unpack_from(head)[2]

    def _check_index(self, index_path: Path) -> None:
        """Refuse an index that is cut off or belongs to another file; only the last record is read."""
        size = len(self._data)
        outside = self.offsets[(self.offsets < 0) | (self.offsets >= size)]
        if len(outside):
            problem = f"{index_path} points to offset {outside[0]}, outside {self.path} of {size} bytes"
            raise InputError(f"{problem}: one of them is cut off or does not belong here, so fetch both again")
        *_, (_, end) = self._parts(int(self.offsets[-1]))
        if _padded(end) < size:
            problem = f"{index_path} ends before {self.path}, at offset {_padded(end)} of {size}"
            raise InputError(f"{problem}: delete the index, and it is rebuilt")

    def _damaged(self, offset: int, problem: str) -> InputError:
        remedy = "the file is damaged or does not belong to its index, so fetch both again"
        return InputError(f"{self.path} at offset {offset} {problem}: {remedy}")

    def _progress(self, action: str, total: int, unit: str) -> tqdm:
        is_short = len(self._data) < _WORTH_A_PROGRESS_BAR
        return tqdm(desc=f"{action} {self.path.name}", total=total, unit=unit, unit_scale=True, disable=is_short)

    @property
    def _data(self) -> mmap.mmap:
        if self._map is None:
            refuse_no_regular_file(self.path)
            if not self.path.is_file():
                raise InputError(f"record file {self.path} does not exist: check the folder and the name")
            if self.path.stat().st_size == 0:
                raise InputError(f"record file {self.path} is empty: fetch it again")
            with refusing_unreadable(f"record file {self.path}", ALLOW), self.path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._map


def _read_index(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return keys and offsets in the order of the record file."""
    try:
        # For an empty file, NumPy only warns.
        with refusing_unreadable(f"index {path}", ALLOW), warnings.catch_warnings(action="error"):
            keys, offsets = np.loadtxt(path, np.int64, comments=None, ndmin=2).T
    except InputError:
        raise
    except (ValueError, UserWarning):
        problem = "is not an index with a key and an offset per line"
        raise InputError(f"{path} {problem}: delete it, and it is rebuilt from the record file") from None
    keys, offsets = np.ascontiguousarray(keys), np.ascontiguousarray(offsets)
    if (np.diff(offsets) < 0).any():
        order = np.argsort(offsets, kind="stable")
        keys, offsets = keys[order], offsets[order]
    in_order = np.sort(keys)
    if (np.diff(offsets) == 0).any() or (np.diff(in_order) == 0).any():
        raise InputError(f"{path} lists a key or an offset twice: delete it, and it is rebuilt from the record file")
    return keys, offsets


def _padded(size: Any) -> Any:
    return size + -size % 4
