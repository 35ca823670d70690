"""Shards of noise, and an S3 server in this process."""

from pathlib import Path

import pytest
from image_files import write_noise
from shard_files import write_shards


@pytest.fixture(scope="package")
def noise(tmp_path_factory) -> Path:
    """The folder of `write_noise`. Read it only."""
    root = tmp_path_factory.mktemp("noise")
    write_noise(root)
    return root


@pytest.fixture
def shards(noise, tmp_path) -> Path:
    """Its 32 images in eight shards, and its benchmark in four."""
    write_shards(noise, tmp_path / "shards", "odd")
    return tmp_path / "shards"
