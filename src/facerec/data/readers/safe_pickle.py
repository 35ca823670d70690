"""Safe reading of pickles of plain data.

`pickle` imports and calls whatever a file names. Here it gets replacements instead, enough for bytes and NumPy arrays
as Python 2 and 3 and NumPy 1 and 2 write them. NumPy's own functions are not used, because they trust the file as well:
a dtype with false flags makes ``ndarray.__setstate__`` treat bytes as pointers to objects.
"""

import math
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from facerec.data.source import ALLOW, refusing_unreadable
from facerec.errors import InputError
from facerec.files import refuse_no_regular_file


def load_plain_pickle(path: str | Path) -> Any:
    """Read containers, numbers, text, bytes and NumPy arrays of these; text of Python 2 becomes bytes.

    Raises `InputError` if the file is missing or damaged, or requests anything else, whose name the message gives.
    """
    path = Path(path)
    refuse_no_regular_file(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist: check the folder and the name")
    with refusing_unreadable(str(path), ALLOW), path.open("rb") as file:
        try:
            return _PlainUnpickler(file, encoding="bytes").load()
        except Exception as error:  # according to the documentation of pickle, a damaged file can raise anything
            problem = f"not a pickle of plain data ({' '.join(str(error).split()).strip('.') or type(error).__name__})"
            raise InputError(f"{path} is {problem}: fetch it again from a source you trust") from error


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> "_Function":
        function = _FUNCTIONS.get((module.replace("numpy._core", "numpy.core"), name))
        if function is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which may run any program")
        return function


class _Function:
    """The replacement of a name in a pickle. It can only be called: a file could change a function or a class."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., object]):
        self._function = function

    def __call__(self, *arguments: object) -> object:
        return self._function(*arguments)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("it changes a function")


class _DType:
    """A dtype of plain numbers, text or objects, whose byte order is set after its creation."""

    __slots__ = ("dtype",)

    def __init__(self, code: str | bytes, align: object = False, copy: object = False):
        self.dtype = _plain_dtype(_text(code))

    def __setstate__(self, state: tuple) -> None:
        _, order, *structure = state[:5]
        if structure != [None, None, None]:
            raise pickle.UnpicklingError("it holds an array of a structured dtype")
        self.dtype = _plain_dtype(_text(order) + self.dtype.str[1:])


class _Array(np.ndarray):
    """An array whose content is set after its creation, once."""

    _is_complete = False

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, is_fortran, content = state
        real = _real(dtype)
        unit, holder = (1, list) if real.kind == "O" else (real.itemsize, bytes)
        is_shape = type(shape) is tuple and all(type(size) is int and size >= 0 for size in shape)
        if self._is_complete or not is_shape or type(content) is not holder or len(content) != math.prod(shape) * unit:
            raise pickle.UnpicklingError("it holds an array whose content does not fit its shape")
        checked: Any = (1, shape, real, bool(is_fortran), content)
        super().__setstate__(checked)
        self._is_complete = True


def _reconstruct(*_: object) -> np.ndarray:
    return _Array((0,), np.uint8)


def _frombuffer(content: bytes | bytearray, dtype: _DType, shape: tuple[int, ...], order: Any) -> np.ndarray:
    return np.frombuffer(_bytes(content), _real(dtype)).reshape(shape, order=order)


def _scalar(dtype: _DType, content: bytes) -> np.generic:
    return np.frombuffer(_bytes(content), _real(dtype)).reshape(1)[0]


def _encode(text: str, encoding: str) -> bytes:
    # This is how Python 3 writes bytes for Python 2. Other encodings would import a module.
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding!r}")
    return text.encode("latin1")


def _refuse(*_: object) -> object:
    raise pickle.UnpicklingError("it creates an array without content")


def _plain_dtype(code: str) -> np.dtype:
    if not re.fullmatch(r"[<>|=]?[biufSUO]\d*", code):
        raise pickle.UnpicklingError(f"it holds an array of dtype {code!r}")
    return np.dtype(code)


def _real(dtype: _DType) -> np.dtype:
    if type(dtype) is not _DType:
        raise pickle.UnpicklingError("it holds an array without a dtype")
    return dtype.dtype


def _bytes(content: bytes | bytearray) -> bytes:
    if type(content) not in (bytes, bytearray):
        raise pickle.UnpicklingError("it holds an array without bytes")
    return bytes(content)  # a copy, since the file can still change a bytearray


def _text(text: str | bytes) -> str:
    return text.decode("latin1") if isinstance(text, bytes) else text


_FUNCTIONS = {
    ("numpy.core.multiarray", "_reconstruct"): _Function(_reconstruct),
    ("numpy.core.multiarray", "scalar"): _Function(_scalar),
    ("numpy.core.numeric", "_frombuffer"): _Function(_frombuffer),
    ("numpy", "ndarray"): _Function(_refuse),  # only ever an argument of _reconstruct
    ("numpy", "dtype"): _Function(_DType),
    ("_codecs", "encode"): _Function(_encode),
    ("builtins", "bytes"): _Function(lambda: b""),  # protocols 0 to 2 write b"" as bytes()
    ("__builtin__", "bytes"): _Function(lambda: b""),
}
