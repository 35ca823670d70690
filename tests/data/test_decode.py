import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import BLUE, GREEN, RED, encode, plain
from PIL import Image
from says import refuses, says

from facerec.data.decode import decode_rgb, resize
from facerec.data.synthetic.synthetic_faces import SyntheticFaces
from facerec.errors import InputError

# A ramp from black to yellow, left to right, over a blue that grows from top to bottom.
X, Y = np.meshgrid(np.arange(24) * 10, np.arange(24) * 10)
RAMP = np.stack([X, X, Y], axis=-1).astype(np.uint8)


def pillow(image: Image.Image, format: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def with_thumbnail(jpeg: bytes, thumbnail: bytes) -> bytes:
    """A JPEG file whose EXIF segment holds another, complete, JPEG file, as cameras write it."""
    tags = struct.pack("<HHHIIHHIII", 2, 0x201, 4, 1, 8 + 6 + 30, 0x202, 4, 1, len(thumbnail), 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<IHI", 8, 0, 14) + tags + thumbnail
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


FILES = {
    "jpeg": pillow(Image.fromarray(RAMP), "JPEG", quality=95),
    "jpeg with restart markers": pillow(Image.fromarray(RAMP), "JPEG", quality=95, restart_marker_blocks=2),
    "jpeg with thumbnail": with_thumbnail(
        pillow(Image.fromarray(RAMP), "JPEG", quality=95), pillow(Image.fromarray(RAMP[:8, :8].copy()), "JPEG")
    ),
    "progressive jpeg": pillow(Image.fromarray(RAMP), "JPEG", quality=95, progressive=True),
    "png": pillow(Image.fromarray(RAMP), "PNG"),
    "bmp": pillow(Image.fromarray(RAMP), "BMP"),
    "webp": pillow(Image.fromarray(RAMP), "WEBP", quality=95),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_of_every_kind_shows_the_picture_that_was_written(kind):
    image = decode_rgb(FILES[kind], kind)
    assert image.shape == (24, 24, 3) and image.dtype == np.uint8
    assert np.abs(image.astype(int) - RAMP).mean() < 6  # lossy kinds blur the colours


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp"])
@pytest.mark.parametrize("colour", [RED, GREEN, BLUE])
def test_channels_come_as_red_green_blue(suffix, colour):
    image = decode_rgb(encode(plain(colour), suffix), "plain")
    np.testing.assert_allclose(image, plain(colour), atol=3)


@pytest.mark.parametrize("kind", FILES)
def test_a_file_is_refused_at_every_length_short_of_its_own(kind):
    for length in range(len(FILES[kind])):
        with refuses("half.img", "off the list", error=InputError):
            decode_rgb(FILES[kind][:length], "half.img")


@pytest.mark.parametrize("kind", ["jpeg", "jpeg with thumbnail", "progressive jpeg", "png"])
def test_a_file_cut_off_in_its_pixels_is_called_cut_off(kind):
    # Without the decoder's help: OpenCV 4 would return such an image, grey where it ends.
    for length in range(len(FILES[kind]) - 20, len(FILES[kind])):
        with refuses("a/1.jpg", "cut off", f"{length} bytes", "fetch", error=InputError):
            decode_rgb(FILES[kind][:length], "a/1.jpg")


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_bytes_behind_the_end_do_no_harm(kind):
    np.testing.assert_array_equal(
        decode_rgb(FILES[kind] + b"\0" * 100, "padded"), decode_rgb(FILES[kind], "as written")
    )


def test_greyscale_becomes_three_equal_channels():
    grey = RAMP[..., 0]
    for format in ("PNG", "JPEG"):
        image = decode_rgb(
            pillow(Image.fromarray(grey), format, **({"quality": 95} if format == "JPEG" else {})), "grey"
        )
        np.testing.assert_allclose(image, np.stack([grey] * 3, -1), atol=4)
        assert (image == image[..., :1]).all()


def test_cmyk_jpeg_becomes_rgb():
    cmyk = Image.fromarray(plain(RED, (16, 16))).convert("CMYK")
    np.testing.assert_allclose(decode_rgb(pillow(cmyk, "JPEG", quality=95), "print"), plain(RED, (16, 16)), atol=4)


def test_palette_and_transparency_become_rgb():
    red = Image.fromarray(plain(RED))
    np.testing.assert_array_equal(decode_rgb(pillow(red.convert("P"), "PNG"), "palette"), plain(RED))
    np.testing.assert_array_equal(decode_rgb(pillow(red.convert("RGBA"), "PNG"), "alpha"), plain(RED))


def test_sixteen_bits_a_channel_become_eight_by_leaving_the_low_ones():
    deep = np.full((4, 4, 3), [0xFF00, 0x8040, 0x0102], np.uint16)
    np.testing.assert_array_equal(decode_rgb(encode(deep), "deep")[0, 0], [0xFF, 0x80, 0x01])


def test_the_orientation_that_a_camera_noted_is_ignored():
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 90 degrees to show"
    assert decode_rgb(pillow(Image.fromarray(RAMP[:, :8].copy()), "JPEG", exif=exif), "turned").shape == (24, 8, 3)


def test_an_empty_file_is_refused():
    with refuses("a/1.jpg", "empty", "fetch", error=InputError):
        decode_rgb(b"", "a/1.jpg")


def test_a_text_file_is_refused():
    with refuses("a/1.jpg", "damaged", "JPEG or PNG", error=InputError):
        decode_rgb(b"<html>404 not found</html>", "a/1.jpg")


def test_a_header_that_claims_a_giant_is_refused():
    giant = bytearray(FILES["bmp"])
    giant[18:22] = struct.pack("<I", 2**24)  # the width
    with refuses("image giant", "decoded", error=InputError):
        decode_rgb(bytes(giant), "giant")


def test_a_png_chunk_that_claims_gigabytes_is_refused_before_they_are_reserved():
    greedy = bytearray(FILES["png"])
    greedy[33] = 255  # of the first chunk behind the header, the highest byte of its length
    with refuses("image greedy", "cut off", error=InputError):
        decode_rgb(bytes(greedy), "greedy")


@settings(deadline=None)  # the machine may be busy
@given(kind=st.sampled_from(sorted(FILES)), place=st.integers(0, 10**6), value=st.integers(0, 255))
def test_a_damaged_byte_gives_an_image_or_an_input_error(kind, place, value):
    data = bytearray(FILES[kind])
    data[place % min(len(data), 300)] = value
    try:
        image = decode_rgb(bytes(data), "damaged")
    except InputError as error:
        assert says(str(error), "image damaged", "off the list")
    else:
        assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3


def resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Into the middle row of a batch of three."""
    batch = np.full((3, height, width, 3), 77, np.uint8)
    resize(image, batch[1])
    assert (batch[[0, 2]] == 77).all()
    return batch[1]


def test_resize_to_the_same_size_changes_nothing():
    np.testing.assert_array_equal(resized(RAMP, 24, 24), RAMP)


def test_height_and_width_are_those_of_the_place_that_is_written_to():
    ramp = np.arange(24, dtype=np.uint8)[:, None, None].repeat(24, 1).repeat(3, 2)  # brighter downwards
    rows = resized(ramp, 12, 48)
    assert (np.diff(rows[:, 0, 0].astype(int)) > 0).all() and (rows == rows[:, :1]).all()


def test_shrinking_averages_the_pixels_that_it_joins():
    noise = np.random.default_rng(0).integers(0, 256, (24, 24, 3)).astype(np.uint8)
    means = noise.reshape(8, 3, 12, 2, 3).astype(float).mean(axis=(1, 3))
    np.testing.assert_allclose(resized(noise, 8, 12), means, atol=0.51)


def test_shrinking_by_a_fraction_keeps_the_mean():
    noise = np.random.default_rng(0).integers(0, 256, (112, 112, 3)).astype(np.uint8)
    assert abs(resized(noise, 96, 96).mean() - noise.mean()) < 0.1


@pytest.mark.parametrize("side", [97, 112, 201, 500])
def test_shrinking_by_a_fraction_averages_over_the_area_of_each_pixel(side):
    picture = SyntheticFaces(1, 1, image_size=side).load(0)
    start, pixel = np.arange(96)[:, None] * side / 96, np.arange(side)
    overlap = np.minimum(start + side / 96, pixel + 1) - np.maximum(start, pixel)
    share = overlap.clip(0) * 96 / side
    exact = np.einsum("yh,hwc,xw->yxc", share, picture.astype(float), share, optimize=True)
    np.testing.assert_allclose(resized(picture, 96, 96), exact, atol=0.51)


def test_enlarging_draws_a_straight_ramp_between_two_pixels():
    edge = np.array([[[0, 0, 0], [200, 100, 0]]], np.uint8)
    # Pixel centres: 4 output pixels stand at -0.25, 0.25, 0.75 and 1.25 between the two input pixels at 0 and 1.
    np.testing.assert_array_equal(resized(edge, 1, 4)[0, :, 0], [0, 50, 150, 200])
    np.testing.assert_array_equal(resized(edge, 1, 4)[0, :, 1], [0, 25, 75, 100])


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\0\0\0\x18ftypheic" + bytes(200), "a HEIC file"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(200), "a JPEG XL file"),
        (b"<!DOCTYPE html>" + bytes(200), "no image"),
    ],
)
def test_what_a_name_hides_is_said(data, kind):
    with refuses("ann/0.jpg", kind, "make it a JPEG or PNG", error=InputError):
        decode_rgb(data, "ann/0.jpg")
