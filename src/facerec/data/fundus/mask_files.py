"""Decoding of mask files, in two codings."""

import struct
import warnings
import zlib
from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image

from facerec.data.decode import read_header
from facerec.data.fundus.masked_source import BACKGROUND, CUP, RIM
from facerec.errors import InputError

# Turns a decoded file, uint8 ``(H, W)``, into a mask; raises `InputError` with the file's name.
Coding = Callable[[np.ndarray, str], np.ndarray]

_DAMAGED = (OSError, ValueError, SyntaxError, EOFError, zlib.error, struct.error)
_MEANING = f"{BACKGROUND} (background), {RIM} (disc outside the cup) and {CUP} (cup)"
_SHOWN = 6  # values in a message
# DoFE's archive has three levels, of which JPEG may have left neighbours.
_CUP_BELOW, _BACKGROUND_ABOVE = 50, 200


def decode_mask(data: bytes, name: str, coding: Coding) -> np.ndarray:
    """Decode a mask file, PNG or BMP of 8 bits, to uint8 ``(H, W)`` of 0 background, 1 disc outside the cup, 2 cup.

    A file of a palette gives the palette's indices, and one of red, green and blue its grey. Raises `InputError` with
    the mask's name if it is empty, damaged, transparent, in colour, of 16 bits or of values that ``coding`` refuses.
    """
    if not data:
        raise InputError(f"mask {name} is empty: fetch it again or remove the image that it belongs to")
    return coding(_levels(data, name), name)


def plain(levels: np.ndarray, name: str) -> np.ndarray:
    """Return the levels themselves, which must be 0, 1 and 2."""
    odd = np.count_nonzero(levels > CUP)
    if not odd:
        return levels
    found = np.unique(levels).tolist()
    shown = ", ".join(map(str, found[:_SHOWN])) + (f" and {len(found) - _SHOWN} others" if len(found) > _SHOWN else "")
    problem = f"has values {shown}, {odd:,} of its {levels.size:,} pixels others than {_MEANING}"
    raise InputError(f"mask {name} {problem}: convert it, or see data=dofe")


def dofe(levels: np.ndarray, name: str) -> np.ndarray:
    """Return the mask of a file of DoFE's archive: 0 cup, 128 disc outside the cup, 255 background, more or less."""
    if levels.max() <= _CUP_BELOW:
        known = "0 (cup), 128 (disc outside the cup) and 255 (background)"
        raise InputError(f"mask {name} has values up to {levels.max()}, and DoFE's masks have {known}: see data=fundus")
    mask = np.full(levels.shape, RIM, np.uint8)
    mask[levels <= _CUP_BELOW], mask[levels > _BACKGROUND_ABOVE] = CUP, BACKGROUND
    return mask


def _levels(data: bytes, name: str) -> np.ndarray:
    read_header(data, name)  # which refuses a file that states gigabytes
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(BytesIO(data)) as file:
            mode, pixels = file.mode, np.array(file)
    except _DAMAGED as error:
        raise InputError(f"mask {name} is damaged ({error}): fetch it again or remove its image") from error
    if mode == "RGB" and bool((pixels == pixels[..., :1]).all()):
        return np.ascontiguousarray(pixels[..., 0])
    if mode not in ("L", "P"):
        raise InputError(f"mask {name} {_kind_of(mode)}: save it as a PNG file of one channel of 8 bits")
    return pixels


def _kind_of(mode: str) -> str:
    """Return what is wrong with a file of this mode of Pillow."""
    if mode.startswith("I"):
        return "has 16 bits a pixel"
    kinds = {"1": "has 1 bit a pixel, which leaves no cup", "RGB": "is in colour"}
    return kinds.get(mode, f"has other channels than one ({mode})")
