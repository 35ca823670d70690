"""Format and number of pixels of an image file from its first bytes, in microseconds and without decoding."""

import re
import struct
import warnings
from io import BytesIO

from PIL import Image

JPEG_START, PNG_START = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_STARTS = {
    JPEG_START + b"\xff": "JPEG",
    PNG_START: "PNG",
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"\0\0\0\x0cjP": "JPEG 2000",
    b"\0\0\0\x0cJXL ": "JPEG XL",
}
# BMP has reserved zeros; HEIC and AVIF name their brand.
_PATTERNS = {
    rb"BM....\0\0\0\0": "BMP",
    rb"RIFF....WEBP": "WebP",
    rb"....ftyp(?:hei|mif1|msf1)": "HEIC",
    rb"....ftypavi[fs]": "AVIF",
    rb"P[1-6]\s+[\d#]": "PNM",
}
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # JPEG's markers of a header with the size
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers without a length
_SCAN = 0xDA


def image_format(start: bytes) -> str:
    """Return the format of an image file by its first 32 bytes, such as JPEG or TIFF; empty for other files."""
    known = (name for mark, name in _STARTS.items() if start.startswith(mark))
    similar = (name for pattern, name in _PATTERNS.items() if re.match(pattern, start, re.DOTALL))
    return next(known, "") or next(similar, "")


def stated_pixels(data: bytes) -> int | None:
    """Return the number of pixels that an image file states; None if it cannot be found, as in a damaged file."""
    if data.startswith(JPEG_START):
        return _pixels_of_jpeg(data)
    if data.startswith(PNG_START) and len(data) >= 24:
        width, height = struct.unpack_from(">II", data, 16)
        return width * height
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _pixels_of_webp(data)
    return _pixels_by_pillow(data)


def _pixels_of_jpeg(data: bytes) -> int | None:
    """Walk from marker to marker; a thumbnail's own header lies inside a segment, which is skipped."""
    position, end = 2, len(data) - 9
    while 0 <= position < end:
        marker = data[position + 1]
        if data[position] != 0xFF or marker == 0xFF:  # bytes between segments, which decoders skip, or padding
            position = data.find(b"\xff", position + 1)
        elif marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, position + 5)
            return height * width
        elif marker in _ALONE or marker == 0:
            position += 2
        elif marker == _SCAN:
            return None
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4])
    return None


def _pixels_of_webp(data: bytes) -> int | None:
    # Pillow would allocate the whole canvas before it says the size.
    kind, start = data[12:16], data[20:30]
    if len(start) < 10:
        return None
    if kind == b"VP8X":
        return (1 + int.from_bytes(start[4:7], "little")) * (1 + int.from_bytes(start[7:10], "little"))
    if kind == b"VP8L":
        sides = int.from_bytes(start[1:5], "little")
        return (1 + (sides & 0x3FFF)) * (1 + (sides >> 14 & 0x3FFF))
    width, height = struct.unpack_from("<HH", start, 6)
    return (width & 0x3FFF) * (height & 0x3FFF)


def _pixels_by_pillow(data: bytes) -> int | None:
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(BytesIO(data)) as image:
            return image.height * image.width
    except Image.DecompressionBombError as error:
        found = re.search(r"\d+", str(error))
        return int(found[0]) if found else None
    except (OSError, ValueError, SyntaxError, LookupError, TypeError, ArithmeticError, struct.error):  # damaged
        return None
