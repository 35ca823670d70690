"""The operator library's kernels, compiled without a runtime and called through ctypes."""

import ctypes
import math
import platform
import shutil
import struct
import subprocess
import sys
from ctypes import POINTER, Structure, byref, c_char_p, c_float, c_int32, c_int64, c_size_t, c_void_p
from pathlib import Path

import numpy as np

from facerec.exporting.native import packing, sources

FOLDER = Path(sources.__file__).parent
ARCHITECTURE = {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
INSTRUCTION_SETS = {"x86_64": ("avx512", "avx2", "sse2"), "aarch64": ("neon",)}.get(ARCHITECTURE, ("scalar",))
ACTIVATIONS = {None: 0, "relu": 1, "relu6": 2}  # and 3 with slopes


class Pointwise(Structure):
    _fields_ = (
        *((name, c_int32) for name in ("in_channels", "out_channels", "activation")),
        ("weight", c_void_p),
        *((name, POINTER(c_float)) for name in ("bias", "slope")),
    )

    @classmethod
    def of(cls, weight, bias, activation=None):
        """Of ``(out, in)`` weights; keeps the packed arrays alive. An ``activation`` may be PReLU's slopes."""
        number, slope = activation_of(activation)
        kept = packing.pack_pointwise(weight), np.ascontiguousarray(bias, np.float32), slope
        part = cls(weight.shape[1], weight.shape[0], number, kept[0].ctypes.data, *map(floats, kept[1:]))
        part.kept = kept
        return part


class Conv(Structure):
    _fields_ = (
        *((name, c_int32) for name in ("in_height", "in_width", "channels", "kernel", "stride")),
        *((name, c_int32) for name in ("by_position", "grid_height", "grid_width", "grid_nearest")),
        *((name, c_int32) for name in ("half", "bias_by_position", "activation")),
        ("weight", c_void_p),
        *((name, POINTER(c_float)) for name in ("bias", "scale", "slope")),
    )

    @classmethod
    def of(cls, weight, size, stride, bias=None, activation=None, half=False, scale=1, grid=None):
        """Of ``(k*k, H, W, C)`` or ``(k*k, C)`` weights for maps of ``size``; bias ``(H, W, C)``, ``(C,)`` or None.

        With a ``grid``, "bilinear" or "nearest", H and W are its. The ``scale`` is that of float16, before which both
        are divided.
        """
        with np.errstate(invalid="ignore"):  # some weights are no numbers
            packed = packing.pack_conv(weight / scale, half)
        kept = packed, None if bias is None else np.ascontiguousarray(bias / scale, np.float32)
        number, slope = activation_of(activation)
        kept += np.full(weight.shape[-1], scale, np.float32) if half else None, slope
        kernel = round(len(weight) ** 0.5)
        on_grid = (*weight.shape[1:3], grid == "nearest") if grid else (0, 0, 0)
        flags = weight.ndim == 4, *on_grid, half, bias is not None and bias.ndim == 3, number
        part = cls(*size, weight.shape[-1], kernel, stride, *flags, packed.ctypes.data, *map(floats, kept[1:]))
        part.kept = kept
        return part


class Block(Structure):
    _fields_ = (
        *((name, c_int32) for name in ("has_expand", "has_project", "has_shortcut")),
        *(("expand", Pointwise), ("project", Pointwise), ("conv", Conv)),
    )

    @classmethod
    def of(cls, conv, expand=None, project=None, shortcut=False):
        """Of its parts, None where it has none."""
        parts = expand or Pointwise(), project or Pointwise(), conv
        block = cls(expand is not None, project is not None, shortcut, *parts)
        block.kept = parts
        return block


class Stem(Structure):
    _fields_ = (
        *((name, c_int32) for name in ("in_height", "in_width", "out_channels", "kernel", "stride", "activation")),
        *(("weight", c_void_p), ("bias", POINTER(c_float)), ("slope", POINTER(c_float))),
    )

    @classmethod
    def of(cls, weight, size, stride, bias, activation=None):
        """Of ``(out, 3, k, k)`` weights for images of ``size``."""
        number, slope = activation_of(activation)
        kept = packing.pack_stem(weight), np.ascontiguousarray(bias, np.float32), slope
        shape = len(weight), weight.shape[-1], stride, number
        part = cls(*size, *shape, kept[0].ctypes.data, *map(floats, kept[1:]))
        part.kept = kept
        return part


class Library:
    """The kernels of a compiled library."""

    def __init__(self, path):
        self.c = ctypes.CDLL(str(path))
        self.c.facerec_isa.restype = self.c.facerec_version.restype = c_char_p
        for kind, part in (("block", Block), ("stem", Stem), ("pointwise", Pointwise)):
            self._declare(kind, part)
        self.best = self.c.facerec_isa().decode()

    def _declare(self, kind, part):
        tasks, scratch, run = (getattr(self.c, f"facerec_{kind}_{name}") for name in ("tasks", "scratch", "run"))
        tasks.restype, tasks.argtypes = c_int32, [POINTER(part), c_int64, c_int32]
        scratch.restype, scratch.argtypes = c_size_t, [POINTER(part), c_int64, c_int32]
        run.restype = None
        run.argtypes = [POINTER(part), c_void_p, c_void_p, c_int64, c_int32, c_int32, c_void_p]

    def has(self, name):
        """Whether this processor has the instruction set."""
        had = self.c.facerec_use_isa(name.encode()) == 0
        self.use(self.best)
        return had

    def use(self, name):
        """Choose the instruction set ``name``."""
        assert self.c.facerec_use_isa(name.encode()) == 0

    def tasks(self, kind, part, images, threads):
        """The number of tasks that is suggested."""
        return getattr(self.c, f"facerec_{kind}_tasks")(byref(part), images, threads)

    def run(self, kind, part, x, shape, tasks=1, order=None):
        """Return the output of ``shape``; x, y and what is around them are as unaligned as floats may be."""
        images = len(x)
        size = getattr(self.c, f"facerec_{kind}_scratch")(byref(part), images, tasks)
        x, y = at_odd_address(x), at_odd_address(np.full(shape, np.nan, np.float32))
        for task in order or range(tasks):
            # What an earlier task left in the scratch memory counts for nothing.
            scratch = aligned(np.full(size // 4, np.nan, np.float32))
            call = getattr(self.c, f"facerec_{kind}_run")
            call(byref(part), x.ctypes.data, y.ctypes.data, images, task, tasks, scratch.ctypes.data)
            assert np.isnan(scratch.base[-16:]).all(), "it wrote beyond its scratch memory"
        assert np.isnan(y.base[[0, -1]]).all(), "it wrote outside of y"
        return y


def activation_of(activation):
    """Return the number of the activation and PReLU's slopes, if it is these."""
    if isinstance(activation, np.ndarray):
        return 3, np.ascontiguousarray(activation, np.float32)
    return ACTIVATIONS[activation], None


def floats(array):
    """Return a pointer to the numbers, or None."""
    return None if array is None else array.ctypes.data_as(POINTER(c_float))


def aligned(array):
    """Return a copy at an address that 64 divides, with 16 numbers that are none behind it."""
    base = np.full(array.size + 32, np.nan, np.float32)
    start = -base.ctypes.data % 64 // 4
    base = base[: start + array.size + 16]
    base[start : start + array.size] = array
    return base[start : start + array.size]


def at_odd_address(array):
    """Return a copy, an element beyond an address that 64 divides (one byte for bytes); a NaN before and behind it."""
    fill = np.nan if array.dtype == np.float32 else 255
    base = np.full(array.size + 64, fill, array.dtype)
    start = -base.ctypes.data % 64 // array.itemsize
    base = base[start : start + array.size + 2]
    base[1:-1] = array.reshape(-1)
    return base[1:-1].reshape(array.shape)


def compiler():
    """Return the C compiler's command, or None."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def build(folder):
    """Compile the kernels for this machine into ``folder``."""
    path = folder / "kernels.so"
    files = [FOLDER / name for name in sources.SOURCES.get(ARCHITECTURE, sources.SOURCES["aarch64"])]
    subprocess.run(
        [compiler(), *sources.FLAGS, "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-o", path, *files], check=True
    )
    return Library(path)


class Emulated:
    """The kernels of an AArch64 program, each call a run of QEMU."""

    def __init__(self, folder):
        self.program = folder / "kernels"
        target = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-musl", "-static", "-I", FOLDER]
        files = [FOLDER / name for name in sources.SOURCES["aarch64"]]
        main = Path(__file__).parent / "exporting" / "native_program.c"
        subprocess.run([*target, *sources.FLAGS, "-o", self.program, main, *files], check=True)

    def run(self, kind, part, x, shape, tasks=1, order=None):
        """Return the output of ``shape``."""
        numbers = [("block", "stem", "pointwise").index(kind), len(x), tasks, *(order or range(tasks))]
        arrays = [*arrays_of(part)]
        sent = [*map(_number, numbers), _contents(x), _contents(part), _number(len(arrays))]
        for offset, array in arrays:
            sent += [_number(offset), _contents(array)]
        sent.append(_number(4 * math.prod(shape)))
        run = subprocess.run(["qemu-aarch64", self.program], input=b"".join(sent), capture_output=True, check=True)
        return np.frombuffer(run.stdout, np.float32).reshape(shape)


def arrays_of(part, base=0):
    """Yield the arrays that the struct points to, each with its pointer's offset."""
    if isinstance(part, Block):
        for name, inner in zip(("expand", "project", "conv"), part.kept, strict=True):
            yield from arrays_of(inner, base + getattr(Block, name).offset)
    elif hasattr(part, "kept"):
        names = ("weight", "bias", "scale", "slope") if isinstance(part, Conv) else ("weight", "bias", "slope")
        for name, array in zip(names, part.kept, strict=True):
            if array is not None:
                yield base + getattr(type(part), name).offset, array


def _number(value):
    return struct.pack("<q", value)


def _contents(data):
    data = bytes(data)
    return _number(len(data)) + data
