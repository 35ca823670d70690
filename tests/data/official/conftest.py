"""Set up for the tests of benchmarks in their official forms."""

import pytest
from image_files import BLUE, GREEN, RED, plain, write_image


@pytest.fixture
def images(tmp_path):
    """A folder with the three images of the pairs, and one more."""
    for path, colour in {"ann/1.jpg": RED, "ann/2.jpg": GREEN, "bob/1.jpg": BLUE, "eve/1.jpg": RED}.items():
        write_image(tmp_path / "images" / path, plain(colour))
    return tmp_path / "images"


@pytest.fixture
def root(tmp_path):
    return tmp_path / "data"
