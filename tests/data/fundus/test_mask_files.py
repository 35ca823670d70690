"""Mask files against their values, and every file that is no mask."""

import io

import cv2
import numpy as np
import pytest
from fundus_files import DOFE_VALUES, small_mask
from PIL import Image
from says import refuses

from facerec.data.fundus.mask_files import decode_mask, dofe, plain
from facerec.errors import InputError


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def saved(image: Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def palette() -> bytes:
    image = Image.fromarray(small_mask(), "P")
    image.putpalette([0, 0, 0, 200, 30, 40, 50, 220, 60])
    return saved(image)


@pytest.mark.parametrize(
    "data",
    [png(small_mask()), png(cv2.merge([small_mask()] * 3)), palette(), saved(Image.fromarray(small_mask()), "BMP")],
    ids=["grey", "grey in three channels", "palette", "bmp"],
)
def test_a_mask_is_read_as_it_is(data):
    mask = decode_mask(data, "m", plain)
    assert mask.dtype == np.uint8 and np.array_equal(mask, small_mask())


def test_levels_of_dofe_are_cut_at_50_and_200():
    levels = np.array([[0, 50, 51, 128, 200, 201, 255]], np.uint8)
    assert dofe(levels, "m").tolist() == [[2, 2, 1, 1, 1, 0, 0]]


def test_a_jpeg_of_dofes_levels_has_its_masks_back():
    mask = np.kron(small_mask(), np.ones((8, 8), np.uint8))
    data = cv2.imencode(".jpg", DOFE_VALUES[mask], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    decoded = decode_mask(data, "m", dofe)
    assert (decoded == mask).mean() > 0.99


@pytest.mark.parametrize(
    ("data", "facts"),
    [
        (b"", ("empty",)),
        (png(small_mask())[:60], ("damaged",)),
        (b"no image at all", ("not a JPEG, PNG",)),
        (png(small_mask() * 127), ("values 0, 127, 254", "144 of its 400 pixels", "2 (cup)", "data=dofe")),
        (png(np.arange(256, dtype=np.uint8)[None]), ("0, 1, 2, 3, 4, 5 and 250 others",)),
        (png(small_mask().astype(np.uint16)), ("16 bits", "8 bits")),
        (png(cv2.merge([small_mask(), small_mask(), small_mask() * 2])), ("in colour", "one channel")),
        (png(cv2.merge([small_mask()] * 4)), ("RGBA", "one channel")),
        (saved(Image.fromarray(small_mask() > 0)), ("1 bit",)),
    ],
)
def test_another_file_is_refused_with_its_name(data, facts):
    with refuses("north/mask/7.png", *facts, error=InputError):
        decode_mask(data, "north/mask/7.png", plain)


def test_a_plain_mask_is_none_of_dofes():
    with refuses("a.png", "up to 2", "255 (background)", "data=fundus", error=InputError):
        decode_mask(png(small_mask()), "a.png", dofe)
