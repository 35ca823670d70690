"""Writing of RecordIO files and InsightFace's training sets without MXNet, byte for byte as MXNet writes them.

See `facerec.data.readers.recordio` for the container, and `facerec.data.readers.insightface` for the dialects.
"""

import re
import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, TextIO

import numpy as np
from tqdm import tqdm

from facerec.data.decode import OneSize
from facerec.data.readers.recordio import MAGIC, RecordFile
from facerec.data.source import EncodedLabelledSource
from facerec.errors import InputError
from facerec.files import remove_leftovers, replacing

_LONGEST = 2**29 - 1  # bytes of a record
_EXACT_IN_FLOAT32 = 2**24
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)


def frame(content: bytes) -> bytes:
    """Encode a record for the file: split at each aligned magic number, which is left out, and padded."""
    # The magic number has four different bytes, so it never overlaps itself.
    cuts = [found.start() for found in re.finditer(re.escape(MAGIC), content) if found.start() % 4 == 0]
    if not cuts:
        return _part(_WHOLE, content)
    starts, ends = [0, *(cut + len(MAGIC) for cut in cuts)], [*cuts, len(content)]
    flags = [_FIRST, *[_MIDDLE] * (len(cuts) - 1), _LAST]
    return b"".join(_part(flag, content[start:end]) for flag, start, end in zip(flags, starts, ends, strict=True))


def pack(label: float | Sequence[float], key: int, image: bytes = b"", id2: int = 0) -> bytes:
    """Build the content of a record: MXNet's image header, with flag 0 or the number of listed labels, and the
    image."""
    if isinstance(label, int | float):
        return struct.pack("<IfQQ", 0, label, key, id2) + image
    return struct.pack(f"<IfQQ{len(label)}f", len(label), 0.0, key, id2, *label) + image


class RecordWriter:
    """Appends records to an open ``.rec`` file and its ``.idx``, in constant memory."""

    def __init__(self, records: BinaryIO, index: TextIO) -> None:
        self._records, self._index, self._offset = records, index, 0

    def write(self, key: int, content: bytes) -> None:
        """Append a record; raise `InputError` if its length exceeds the container's 29 bits."""
        if len(content) > _LONGEST:
            problem = f"record {key} would have {len(content)} bytes, and RecordIO holds up to {_LONGEST}"
            raise InputError(f"{problem}: leave the image out or make it smaller")
        framed = frame(content)
        self._records.write(framed)
        self._index.write(f"{key}\t{self._offset}\n")
        self._offset += len(framed)


@contextmanager
def writing_records(path: Path) -> Iterator[RecordWriter]:
    """Yield a writer of ``path`` and its ``.idx``, which replace the old files when everything is written.

    A killed process leaves both as they were, or ``path`` without an index, which readers rebuild; it never leaves a
    file with the index of another. Temporary files of earlier killed processes are removed.
    """
    index_path = path.with_suffix(".idx")
    for file in (path, index_path):
        remove_leftovers(file)
    with replacing(index_path) as partial_index, replacing(path) as partial:
        with partial.open("wb") as records, partial_index.open("w", encoding="ascii", newline="\n") as index:
            yield RecordWriter(records, index)
        index_path.unlink(missing_ok=True)


def write_index(records: RecordFile, path: Path) -> None:
    """Write the keys and offsets of ``records`` as an ``.idx`` file."""
    with replacing(path) as partial, partial.open("w", encoding="ascii", newline="\n") as index:
        for key, offset in zip(records.keys, records.offsets, strict=True):
            index.write(f"{key}\t{offset}\n")


class Written(NamedTuple):
    """Counts of a written training set; all images have ``height`` x ``width`` pixels."""

    images: int
    identities: int
    height: int
    width: int


def write_training_set(
    source: EncodedLabelledSource, root: str | Path, name: str = "train", *, flat: bool = False
) -> Written:
    """Write ``root/name.rec``, ``root/name.idx`` and, for the name train, ``root/property`` from ``source``.

    Image files are copied unchanged, one at a time. They are grouped by identity, with labels 0, 1, ...; if ``flat``,
    they are in the order of ``source``, without identity records. ``property`` has one line,
    ``identities,height,width``: InsightFace's programs for MXNet fail on a second one.

    Raises `InputError` if labels or ranges of keys, which are float32, would be rounded, for a damaged image, and for
    images of several sizes, since ``property`` states only one.
    """
    path = Path(root) / f"{name}.rec"
    _refuse_what_float32_rounds(path, len(source), source.num_identities, flat)
    size = OneSize("align all images to one size before an archive is made")
    property_path = property_of(path)
    with ExitStack() as files:
        partial = files.enter_context(replacing(property_path)) if property_path else None
        writer = files.enter_context(writing_records(path))
        _write_images(writer, source, flat, size)
        if not flat:
            _write_identities(writer, np.bincount(source.labels, minlength=source.num_identities))
        if partial and property_path:
            partial.write_text(f"{source.num_identities},{size.height},{size.width}\n", encoding="ascii")
            property_path.unlink(missing_ok=True)  # the old file must not outlive the records that it describes
    return Written(len(source), source.num_identities, size.height, size.width)


def property_of(path: Path) -> Path | None:
    """Return the path of the ``property`` file for the records in ``path``; only ``train.rec`` has one."""
    return path.with_name("property") if path.stem == "train" else None


def _write_images(writer: RecordWriter, source: EncodedLabelledSource, flat: bool, size: OneSize) -> None:
    order = np.arange(len(source)) if flat else np.argsort(source.labels, kind="stable")
    for key, index in enumerate(tqdm(order, "writing images", unit=" images", delay=2), start=0 if flat else 1):
        image = source.encoded(int(index))
        size.check(image, source.full_name(int(index)))
        writer.write(key, pack(float(source.labels[index]), key, image))


def _write_identities(writer: RecordWriter, counts: np.ndarray) -> None:
    """Write a record per identity with the range of its images' keys, and key 0 with the range of these records."""
    bounds = np.append(1, 1 + np.cumsum(counts)).tolist()
    first_identity, end = bounds[-1], bounds[-1] + len(counts)
    for key, begin, stop in zip(range(first_identity, end), bounds, bounds[1:], strict=False):
        writer.write(key, pack((begin, stop), key))
    writer.write(0, pack((first_identity, end), 0, id2=1))


def _refuse_what_float32_rounds(path: Path, images: int, identities: int, flat: bool) -> None:
    if identities > _EXACT_IN_FLOAT32:
        problem = f"{identities} identities, and labels in float32 are exact up to {_EXACT_IN_FLOAT32}"
        raise InputError(f"{path} would have {problem}: make several files")
    if not flat and images + identities + 1 > _EXACT_IN_FLOAT32:
        problem = f"would have {images} images and {identities} identities"
        limit = f"the classic layout's ranges in float32 are exact up to {_EXACT_IN_FLOAT32} of both"
        raise InputError(f"{path} {problem}, and {limit}: choose the flat layout")


def _part(flag: int, content: bytes) -> bytes:
    return b"".join((MAGIC, struct.pack("<I", flag << 29 | len(content)), content, bytes(-len(content) % 4)))
