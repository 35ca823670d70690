"""Pixels that a file states, and files of a few bytes that state gigabytes."""

import io
import struct

import cv2
import image_bombs
import pytest
from image_files import RED
from PIL import Image
from says import refuses

from facerec.data.decode import decode_rgb, read_header
from facerec.data.image_header import stated_pixels
from facerec.errors import InputError


def written(format: str, size: tuple[int, int] = (31, 17), **options) -> bytes:
    """An image of one colour, (width, height) ``size``."""
    file = io.BytesIO()
    Image.new("RGB", size, RED).save(file, format, **options)
    return file.getvalue()


def with_thumbnail(jpeg: bytes) -> bytes:
    exif = b"Exif\0\0" + written("JPEG", (8, 8))
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


FILES = {
    "jpeg": written("JPEG"),
    "progressive": written("JPEG", progressive=True),
    "thumbnail": with_thumbnail(written("JPEG")),
    "padded markers": written("JPEG").replace(b"\xff\xdb", b"\xff\xff\xff\xdb"),
    "bytes between segments": written("JPEG").replace(b"\xff\xdb", b"\0\1\xff\xdb", 1),
    "png": written("PNG"),
    "bmp": written("BMP"),
    "webp": written("WEBP"),
    "lossless webp": written("WEBP", lossless=True),
    "webp with metadata": written("WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"),
    "gif": written("GIF"),
    "tiff": written("TIFF"),
    "pnm": written("PPM"),
}


@pytest.mark.parametrize("kind", FILES)
def test_the_stated_pixels_are_those_that_are_decoded(kind):
    assert stated_pixels(FILES[kind]) == decode_rgb(FILES[kind], kind)[..., 0].size == 31 * 17


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF....WEBPVP8X", b"text"]
)
def test_what_states_no_size_is_refused(data):
    assert stated_pixels(data) is None
    with refuses("a.jpg", error=InputError):
        decode_rgb(data, "a.jpg")


def test_every_beginning_of_a_file_is_borne():
    for data in FILES.values():
        assert {stated_pixels(data[:length]) for length in range(min(len(data), 700))} <= {None, 31 * 17}


def stating(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) >= 1
    return data.replace(old, new, 1)


SIDES = struct.pack(">HH", 17, 31), struct.pack(">HH", 30000, 30000)
BOMBS = {
    "jpeg": (stating(FILES["jpeg"], *SIDES), 900),
    "progressive": (stating(FILES["progressive"], *SIDES), 900),
    "png": (stating(FILES["png"], struct.pack(">II", 31, 17), struct.pack(">II", 20000, 20000)), 400),
    "bmp": (stating(FILES["bmp"], struct.pack("<II", 31, 17), struct.pack("<II", 30000, 30000)), 900),
    "gif": (stating(FILES["gif"], struct.pack("<HH", 31, 17), struct.pack("<HH", 30000, 30000)), 900),
    "webp": (stating(FILES["webp"], struct.pack("<HH", 31, 17), struct.pack("<HH", 16383, 16383)), 268),
    "pnm": (stating(FILES["pnm"], b"31 17", b"30000 30000"), 900),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_small_file_of_huge_size_is_refused_before_it_is_decoded(kind, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    data, millions = BOMBS[kind]
    for read in (decode_rgb, read_header):
        with refuses("ann/1.jpg", f"{millions} million pixels", "120 million", "smaller", error=InputError):
            read(data, "ann/1.jpg")


@pytest.mark.parametrize("bomb", ["Radiance", "PAM", "PFM", "JPEG of 20,000 scans", "JPEG that is mostly missing"])
def test_a_file_that_does_not_hold_what_it_states_is_not_decoded(bomb, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with refuses("ann/1.jpg", "take it off the list", error=InputError):
        decode_rgb(image_bombs.BOMBS[bomb](), "ann/1.jpg")


def test_a_tiff_of_one_bit_pixels_is_refused():
    file = io.BytesIO()
    Image.new("1", (12000, 12000)).save(file, "TIFF", compression="group4")
    assert len(file.getvalue()) < 100_000
    with refuses("a.tif", "144 million", error=InputError):
        decode_rgb(file.getvalue(), "a.tif")
