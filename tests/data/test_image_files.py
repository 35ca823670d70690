from contextlib import suppress
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_files import RED, encode, plain
from PIL import Image
from says import refuses

from facerec.data.decode import OneSize, read_header
from facerec.data.readers.bin import EncodedImages
from facerec.data.readers.folders import FolderImages
from facerec.data.readers.listing import IMAGE_SUFFIXES
from facerec.data.source import EncodedSource
from facerec.data.synthetic.synthetic_faces import SyntheticFaces
from facerec.errors import InputError

FORMATS = {".jpg": "JPEG", ".png": "PNG", ".bmp": "BMP", ".webp": "WEBP"}


def in_mode(mode: str, image_format: str) -> bytes:
    file = BytesIO()
    Image.new(mode, (9, 7)).save(file, image_format)
    return file.getvalue()


@pytest.mark.parametrize(("suffix", "image_format"), FORMATS.items())
def test_format_and_size_are_told_by_the_content(suffix, image_format):
    header = read_header(encode(plain(RED, (7, 9)), suffix), "a.xyz")
    assert header == (image_format, 7, 9) and header.suffix == suffix


@pytest.mark.parametrize(
    ("mode", "image_format"), [("L", "JPEG"), ("CMYK", "JPEG"), ("I;16", "PNG"), ("RGBA", "PNG"), ("P", "PNG")]
)
def test_grey_16_bit_and_cmyk_images_have_a_size_too(mode, image_format):
    assert read_header(in_mode(mode, image_format), "a") == (image_format, 7, 9)


@pytest.mark.parametrize("data", [b"", b"text", b"GIF89a\x01\x00\x01\x00", b"\xff\xd8", b"RIFF\x00\x00\x00\x00WEBP"])
def test_what_is_no_image_is_named(data):
    with refuses("ann/1.jpg", "JPEG, PNG, BMP or WebP", "fetch", error=InputError):
        read_header(data, "ann/1.jpg")


@given(st.sampled_from([*FORMATS]), st.integers(0, 400), st.integers(0, 60), st.integers(0, 255))
def test_a_damaged_file_has_a_header_or_is_refused(suffix, size, place, value):
    data = bytearray(encode(np.arange(7 * 9 * 3, dtype=np.uint8).reshape(7, 9, 3), suffix))
    data[min(place, len(data) - 1)] = value
    with suppress(InputError):
        assert read_header(bytes(data[:size]), "a").format in FORMATS.values()


def test_the_first_image_of_another_size_is_refused():
    size = OneSize("align them")
    size.check(encode(plain(RED, (7, 9))), "first.png")
    size.check(encode(plain(RED, (7, 9)), ".jpg"), "second.jpg")
    assert (size.height, size.width) == (7, 9)
    with refuses("third.png", "9x7", "first.png", "7x9", error=InputError):
        size.check(encode(plain(RED, (9, 7))), "third.png")


def test_drawn_faces_have_no_files():
    assert isinstance(EncodedImages([], []), EncodedSource)
    assert not isinstance(SyntheticFaces(2, 2), EncodedSource)


def test_suffixes_that_are_written_are_read():
    assert set(FORMATS) <= set(IMAGE_SUFFIXES)


def test_a_file_of_its_own_has_its_whole_path_as_its_full_name(tmp_path):
    assert FolderImages(tmp_path, ["ann/1.png"]).full_name(0) == str(tmp_path / "ann/1.png")
    assert EncodedImages([b""], ["lfw.bin image 0"]).full_name(0) == "lfw.bin image 0"
