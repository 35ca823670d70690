"""Set up for the tests of programs."""

from pathlib import Path

import pytest


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Five photos, and their landmarks beside them in ``points.csv``."""
    from photos import write_photos, write_points

    write_points(tmp_path / "points.csv", write_photos(tmp_path / "photos"))
    return tmp_path / "photos"
