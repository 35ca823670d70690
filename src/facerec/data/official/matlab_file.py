"""MATLAB files of level 5, as its ``save`` writes them by default, read without native code.

SciPy's reader ends the process at some damaged files. A file is a header of 128 bytes and elements: a type, a size and
the content, which may hold further elements.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

_HEADER = 128  # bytes, of which the last two tell the order of bytes
_ORDERS = {b"IM": "<", b"MI": ">"}
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MATRIX, _COMPRESSED = 14, 15
_TEXTS = {1: "latin1", 2: "latin1", 4: "utf-16", 16: "utf-8", 17: "utf-16"}
_CELL, _STRUCTURE, _CHARACTERS, _FIRST_NUMERIC, _LAST_NUMERIC = 1, 2, 4, 6, 15  # classes of a matrix
_LARGEST = 1 << 28  # bytes of a variable

Element = tuple[int, memoryview]  # type and content


def read_variable(data: bytes, name: str) -> Any:
    """Return the variable ``name`` of a file's content, or None if it has no such.

    A cell array is an array of objects, and an array of structures one of tuples, the values of the fields in their
    order; characters are text and numbers a float64 array of one dimension. A damaged file raises `ValueError` or
    another exception of those that reading such data may raise.
    """
    order = _ORDERS.get(data[_HEADER - 2 : _HEADER])
    if order is None:
        raise ValueError("it is no MATLAB file of level 5")
    for kind, content in _elements(memoryview(data)[_HEADER:], order):
        if kind == _COMPRESSED:
            kind, content = next(_elements(_unpacked(content), order))
        if kind == _MATRIX:
            found, value = _matrix(content, order, only=name)
            if found == name:
                return value
    return None


def _unpacked(content: memoryview) -> memoryview:
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(content, _LARGEST)
    if not unpacker.eof:
        raise ValueError("a variable is cut off or too large")
    return memoryview(data)


def _elements(data: memoryview, order: str) -> Iterator[Element]:
    place = 0
    while place < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, place)
        start, end = place + 8, place + 8 + size
        place = end if kind == _COMPRESSED else end + -size % 8
        if kind >> 16:  # up to four bytes in the place of the size
            kind, size, start, place = kind & 0xFFFF, kind >> 16, start - 4, start
            end = start + size if size <= 4 else len(data) + 1
        if end > len(data):
            raise ValueError("an element is cut off")
        yield kind, data[start:end]


def _matrix(content: memoryview, order: str, only: str = "") -> tuple[str, Any]:
    """Return name and value of a matrix; no value if it is not the ``only`` one that is asked for."""
    if not content:
        return "", np.empty(0)
    parts = _elements(content, order)
    flags, shape = (_numbers(part, order).astype(np.int64).tolist() for part in islice(parts, 2))
    name, count = bytes(next(parts)[1]).decode("latin1"), math.prod(shape)
    if only not in ("", name):
        return name, None
    if min(shape) < 0 or count > len(content):
        raise ValueError(f"an array has the shape {shape}")
    return name, _value(flags[0] & 0xFF, shape, count, parts, order)


def _value(kind: int, shape: list[int], count: int, parts: Iterator[Element], order: str) -> Any:
    if kind == _CHARACTERS:
        coding, text = next(parts)
        name = _TEXTS[coding]
        return bytes(text).decode(f"{name}-{'le' if order == '<' else 'be'}" if name == "utf-16" else name)
    if _FIRST_NUMERIC <= kind <= _LAST_NUMERIC:
        return _numbers(next(parts), order).astype(np.float64)
    if kind not in (_CELL, _STRUCTURE):
        raise ValueError(f"it has an array of class {kind}")
    fields = 1 if kind == _CELL else _number_of_fields(parts, order)
    values = [_matrix(content, order)[1] for _, content in parts]
    if len(values) != count * fields:
        raise ValueError(f"an array of shape {shape} has {len(values)} values")
    found = np.empty(count, object)
    found[:] = values if kind == _CELL else [tuple(values[i * fields : (i + 1) * fields]) for i in range(count)]
    return found.reshape(shape, order="F")


def _number_of_fields(parts: Iterator[Element], order: str) -> int:
    width, names = int(_numbers(next(parts), order)[0]), next(parts)[1]
    return len(names) // width


def _numbers(element: Element, order: str) -> np.ndarray:
    kind, content = element
    return np.frombuffer(content, np.dtype(f"{order}{_NUMBERS[kind]}"))
