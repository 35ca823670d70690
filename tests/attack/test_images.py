"""Images that are cut off, or that state far more than they hold."""

import io
import sys

import numpy as np
import pytest
from attack_row import Row
from file_readers import picture
from image_bombs import BOMBS, READERS, cost_of
from limited import Limited
from PIL import Image

from facerec.data.decode import decode_rgb
from facerec.errors import InputError

FORMATS = {
    "JPEG": {"format": "JPEG"},
    "JPEG with restarts": {"format": "JPEG", "restart_marker_blocks": 2},
    "progressive JPEG": {"format": "JPEG", "progressive": True},
    "PNG": {"format": "PNG"},
    "WebP": {"format": "WEBP"},
    "lossless WebP": {"format": "WEBP", "lossless": True},
    "BMP": {"format": "BMP"},
    "GIF": {"format": "GIF"},
    "TIFF": {"format": "TIFF"},
    "compressed TIFF": {"format": "TIFF", "compression": "tiff_lzw"},
    "PNM": {"format": "PPM"},
    "JPEG 2000": {"format": "JPEG2000"},
}
PLACES = 20


def written(kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture(48)).save(file, **FORMATS[kind])
    return file.getvalue()


def test_truncated_images(row: Row) -> None:
    """Images of 12 kinds, cut off in 20 places and before the last byte."""
    cases = [(kind, place) for kind in FORMATS for place in range(1, PLACES + 2)]
    for kind, place in row.cases(cases, few=60):
        with row.trial(f"{kind}, place {place}") as trial:
            whole = written(kind)
            length = len(whole) * place // (PLACES + 1) if place <= PLACES else len(whole) - 1
            try:
                found = decode_rgb(whole[:length], "ann/1.jpg")
            except InputError as error:
                assert "ann/1.jpg" in str(error)
                trial.ending = "refused in a sentence"
            else:
                assert np.array_equal(found, decode_rgb(whole, "whole")), f"other pixels after {length} bytes"
                trial.ending = "the same pixels"


SECONDS, MEGABYTES = 10, 750  # of 100 million pixels, which are decoded, with an alpha channel and without
PHOTOGRAPHS = [bomb for bomb in BOMBS if bomb.split()[0] in ("GIF", "WebP", "JPEG")]
MASKS = [bomb for bomb in BOMBS if bomb.split()[0] in ("PNG", "BMP")]
CASES = [("image", bomb) for bomb in BOMBS] + [("photograph", b) for b in PHOTOGRAPHS] + [("mask", b) for b in MASKS]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is measured as Linux tells it")
def test_bombs(row: Row) -> None:
    """Small files that state, or unpack to, gigabytes, or far more pixels than they hold."""
    assert {reader for reader, _ in CASES} == READERS.keys()
    limited = Limited(memory=8 << 30)
    for reader, bomb in row.cases(CASES, few=4):
        with row.trial(f"{bomb} as {reader}") as trial:
            said, seconds, taken = limited(cost_of, bomb, reader)
            assert seconds < SECONDS and taken < MEGABYTES << 20, f"{seconds:.1f} s, {taken >> 20} MB, {said}"
            assert said is None or "ann/1.jpg" in said
            trial.ending = "read, in little time and memory" if said is None else "refused in a sentence"
