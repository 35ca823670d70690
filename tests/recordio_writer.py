"""A RecordIO writer for tests, after dmlc-core's ``RecordIOWriter::WriteRecord`` and MXNet's ``recordio.pack``."""

import struct
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

MAGIC = struct.pack("<I", 0xCED7230A)
Label = float | Sequence[float]


def frame(content: bytes) -> bytes:
    """The bytes on disk of one record, split at each aligned magic number."""
    cuts = [place for place in range(0, len(content) - 3, 4) if content[place : place + 4] == MAGIC]
    starts, ends = [0, *(cut + 4 for cut in cuts)], [*cuts, len(content)]
    parts = [content[start:end] for start, end in zip(starts, ends, strict=True)]
    flags = [1] + [2] * (len(parts) - 2) + [3] if cuts else [0]
    heads = [MAGIC + struct.pack("<I", flag << 29 | len(part)) for flag, part in zip(flags, parts, strict=True)]
    return b"".join(head + part + bytes(-len(part) % 4) for head, part in zip(heads, parts, strict=True))


def pack(label: Label, key: int, image: bytes = b"", id2: int = 0) -> bytes:
    """The content of an image record: a number as label is written with flag 0, a list of n with flag n."""
    if isinstance(label, int | float):
        return struct.pack("<IfQQ", 0, label, key, id2) + image
    return struct.pack(f"<IfQQ{len(label)}f", len(label), 0.0, key, id2, *label) + image


def write_records(path: Path, contents: dict[int, bytes], index: bool = True) -> dict[int, int]:
    """Write contents by key, in this order; return the offset of each key."""
    offsets, written = {}, b""
    for key, content in contents.items():
        offsets[key] = len(written)
        written += frame(content)
    path.write_bytes(written)
    if index:
        path.with_suffix(".idx").write_text("".join(f"{key}\t{offset}\n" for key, offset in offsets.items()))
    return offsets


def classic(labels: Sequence[Label], images: Sequence[bytes]) -> dict[int, bytes]:
    """Images at keys 1, 2, ..., then the range of each run of equal labels, then key 0 with the ranges of both."""
    contents = {key: pack(label, key, image) for key, (label, image) in enumerate(zip(labels, images, strict=True), 1)}
    begins = [key for key in contents if key == 1 or labels[key - 1] != labels[key - 2]]
    end = len(images) + 1
    for key, (begin, stop) in enumerate(zip(begins, [*begins[1:], end], strict=True), end):
        contents[key] = pack([begin, stop], key)
    return contents | {0: pack([end, len(contents) + 1], 0, id2=1)}


def flat(labels: Sequence[Label], images: Sequence[bytes]) -> dict[int, bytes]:
    """Images only, at keys 0, 1, ..."""
    return {key: pack(label, key, image) for key, (label, image) in enumerate(zip(labels, images, strict=True))}


def pixels(number: int) -> np.ndarray:
    """A picture that no other number has: uint8 RGB ``(6, 5, 3)``."""
    return np.random.default_rng(number).integers(0, 256, (6, 5, 3), np.uint8)


def png(number: int) -> bytes:
    """The picture as a PNG file, which keeps every pixel as it is."""
    return cv2.imencode(".png", pixels(number)[:, :, ::-1])[1].tobytes()
