"""Image files that state, or unpack to, far more than they hold; what a reader of one takes."""

import io
import re
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from facerec.data.decode import decode_rgb
from facerec.data.fundus.mask_files import decode_mask, plain
from facerec.errors import InputError
from facerec.recognise.face_finder import decode_photograph

SIDES = (31, 17)  # width and height of a small image
HUGE = 30_000
LARGE = 10_000  # 100 million pixels, which are decoded
_SCAN, _END = b"\xff\xda", b"\xff\xd9"


def saved(format: str, mode: str = "RGB", **options: object) -> bytes:
    """A small image of some noise."""
    noise = np.random.default_rng(0).integers(0, 256, (SIDES[1], SIDES[0], 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(file, format, **options)
    return file.getvalue()


def stating(form: str, data: bytes, width: int = HUGE, height: int = HUGE) -> bytes:
    """``data`` with another size, where it has its own as ``form`` packs it."""
    old, new = (struct.pack(form, *sides) for sides in (SIDES, (width, height)))
    assert old in data
    return data.replace(old, new, 1)


def jpeg(width: int = HUGE, height: int = HUGE, **options: object) -> bytes:
    data, sides = saved("JPEG", **options), struct.pack(">HH", *SIDES[::-1])
    assert sides in data
    return data.replace(sides, struct.pack(">HH", height, width), 1)


def of_two_headers() -> bytes:
    """A JPEG with the header of a small image and then of a huge one."""
    small, huge = saved("JPEG"), jpeg()
    start = huge.index(b"\xff\xc0")
    return small.replace(_SCAN, huge[start : start + 19] + _SCAN, 1)


def of_many_scans(scans: int, side: int) -> bytes:
    """A progressive JPEG that goes over all its pixels again and again."""
    data = jpeg(side, side, progressive=True)
    start = data.index(_SCAN)
    length = 2 + int.from_bytes(data[start + 2 : start + 4])
    return data[: data.index(_SCAN)] + scans * (data[start : start + length] + b"\x00") + _END


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def deflated(byte: bytes, length: int) -> bytes:
    packer, block = zlib.compressobj(9), byte * (1 << 20)
    return b"".join(packer.compress(block) for _ in range(length >> 20)) + packer.flush()


def png(width: int, height: int, bits: int, colour: int, pixels: bytes, *before: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(before) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def small_png(*before: bytes) -> bytes:
    return png(4, 4, 8, 0, zlib.compress(5 * 4 * b"\0"), *before)


def tiff(start: bytes, entries: dict[int, tuple[int, int]], entry: str = "<HHII") -> bytes:
    """A TIFF of so many entries, TAG: (TYPE, VALUE), each of one value."""
    listed = b"".join(struct.pack(entry, tag, kind, 1, value) for tag, (kind, value) in sorted(entries.items()))
    many = "<Q" if entry.endswith("Q") else "<H"
    return start + struct.pack(many, len(entries)) + listed + bytes(64)


def _tags(width: int, height: int, **more: int) -> dict[int, tuple[int, int]]:
    names = {"bits": 258, "compression": 259, "photometric": 262, "offset": 273, "samples": 277, "rows": 278}
    names |= {"bytes": 279, "tile_width": 322, "tile_height": 323, "tile_offset": 324, "tile_bytes": 325}
    found = {"bits": 8, "compression": 1, "photometric": 1, "samples": 1} | more
    return {256: (4, width), 257: (4, height)} | {names[name]: (4, value) for name, value in found.items()}


CLASSIC, BIG = b"II*\0\x08\0\0\0", b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0"
STRIP = {"offset": 8, "rows": HUGE, "bytes": 64}
TILE = {"tile_width": HUGE - HUGE % 16, "tile_height": HUGE - HUGE % 16, "tile_offset": 8, "tile_bytes": 64}
_VP8X = b"VP8X" + struct.pack("<II", 10, 0) + 2 * (HUGE - 1).to_bytes(3, "little")


def riff(content: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + len(content)) + b"WEBP" + content


def lossless_webp(side: int) -> bytes:
    data = saved("WEBP", lossless=True)
    start = data.index(b"VP8L") + 9
    sides = int.from_bytes(data[start : start + 4], "little") & ~0xFFFFFFF | (side - 1) | (side - 1) << 14
    return data[:start] + sides.to_bytes(4, "little") + data[start + 4 :]


BOMBS: dict[str, Callable[[], bytes]] = {
    "JPEG": jpeg,
    "JPEG of the largest sides": lambda: jpeg(65_500, 65_500),
    "progressive JPEG": lambda: jpeg(progressive=True),
    "grey JPEG": lambda: jpeg(mode="L"),
    "CMYK JPEG": lambda: jpeg(mode="CMYK"),
    "JPEG with two headers": of_two_headers,
    "JPEG without rows": lambda: jpeg(HUGE, 0),
    "JPEG that is mostly missing": lambda: jpeg(LARGE, LARGE),
    "progressive JPEG that is mostly missing": lambda: jpeg(LARGE, LARGE, progressive=True),
    "JPEG of 20,000 scans": lambda: of_many_scans(20_000, 8000),
    "PNG of one bit": lambda: png(HUGE, HUGE, 1, 0, deflated(b"\0", HUGE * (HUGE // 8 + 1))),
    "PNG": lambda: png(20_000, 20_000, 8, 2, deflated(b"\0", 1 << 24)),
    "PNG of 16 bits and an alpha channel": lambda: png(HUGE, HUGE, 16, 6, b""),
    "PNG of the largest sides": lambda: png(2**31 - 1, 2**31 - 1, 8, 2, b""),
    "PNG that is mostly missing": lambda: png(LARGE, LARGE, 8, 2, zlib.compress(bytes(1000))),
    "PNG of 16 bits that is mostly missing": lambda: png(LARGE, LARGE, 16, 6, zlib.compress(bytes(1000))),
    "PNG without rows": lambda: png(HUGE, 0, 8, 2, zlib.compress(b"")),
    "PNG with a text of megabytes": lambda: small_png(chunk(b"zTXt", b"a\0\0" + deflated(b"a", 1 << 28))),
    "PNG with a profile of megabytes": lambda: small_png(chunk(b"iCCP", b"a\0\0" + deflated(b"a", 1 << 28))),
    "PNG with a million chunks": lambda: small_png(*[chunk(b"tEXt", b"a\0b")] * 1_000_000),
    "BMP": lambda: stating("<ii", saved("BMP")),
    "BMP that is mostly missing": lambda: stating("<ii", saved("BMP"), LARGE, LARGE),
    "BMP from top to bottom": lambda: stating("<ii", saved("BMP"), HUGE, -HUGE),
    "BMP of the largest sides": lambda: stating("<ii", saved("BMP"), 2**31 - 1, -(2**31)),
    "GIF": lambda: stating("<HH", saved("GIF")),
    "GIF that is mostly missing": lambda: stating("<HH", saved("GIF"), LARGE, LARGE),
    "GIF of the largest sides": lambda: stating("<HH", saved("GIF"), 65_535, 65_535),
    "WebP": lambda: stating("<HH", saved("WEBP"), 16_383, 16_383),
    "WebP that is mostly missing": lambda: stating("<HH", saved("WEBP"), LARGE, LARGE),
    "lossless WebP": lambda: lossless_webp(16_383),
    "WebP with a canvas": lambda: riff(_VP8X + saved("WEBP")[12:]),
    "TIFF": lambda: tiff(CLASSIC, _tags(HUGE, HUGE, **STRIP)),
    "TIFF of one bit": lambda: tiff(CLASSIC, _tags(HUGE, HUGE, **(STRIP | {"bits": 1, "compression": 4}))),
    "TIFF of one tile": lambda: tiff(CLASSIC, _tags(HUGE, HUGE, **TILE)),
    "small TIFF of a huge tile": lambda: tiff(CLASSIC, _tags(16, 16, **TILE)),
    "TIFF that is mostly missing": lambda: tiff(CLASSIC, _tags(LARGE, LARGE, **STRIP)),
    "BigTIFF": lambda: tiff(BIG, _tags(HUGE, HUGE, **STRIP), "<HHQQ"),
    "PNM": lambda: b"P6\n%d %d\n255\n" % (HUGE, HUGE) + bytes(64),
    "PNM of text": lambda: b"P1\n%d %d\n" % (HUGE, HUGE) + b"0 " * 64,
    "PAM": lambda: b"P7\nWIDTH %d\nHEIGHT %d\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n" % (HUGE, HUGE) + bytes(64),
    "PFM": lambda: b"PF\n%d %d\n-1.0\n" % (HUGE, HUGE) + bytes(64),
    "Radiance": lambda: b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y %d +X %d\n" % (HUGE, HUGE) + bytes(64),
    "Sun raster": lambda: struct.pack(">8I", 0x59A66A95, HUGE, HUGE, 24, 0, 1, 0, 0) + bytes(64),
}
READERS: dict[str, Callable[[bytes, str], np.ndarray]] = {
    "image": decode_rgb,
    "photograph": decode_photograph,
    "mask": lambda data, name: decode_mask(data, name, plain),
}


def cost_of(bomb: str, reader: str) -> tuple[str | None, float, int]:
    """The sentence with which a bomb is refused, or None, and the processor's seconds and the bytes that it took."""
    data = BOMBS[bomb]()
    Path("/proc/self/clear_refs").write_text("5")  # begins the peak of the memory anew
    before, begin = _memory("VmRSS"), time.process_time()
    try:
        READERS[reader](data, "ann/1.jpg")
        said = None
    except InputError as error:
        said = str(error)
    return said, time.process_time() - begin, _memory("VmHWM") - before


def _memory(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return 1024 * int(found[1])
