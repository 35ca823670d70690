"""Set up for the tests of data."""

from pathlib import Path

import pytest
from image_files import write_faces


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Three people of four images to train on, and a benchmark ``pairs``."""
    write_faces(tmp_path)
    return tmp_path
