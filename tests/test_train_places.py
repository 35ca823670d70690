"""Places that cannot be written to or read: one sentence, status 1, and nothing is left."""

import errno
import os
from pathlib import Path
from unittest import mock

import pytest
from running import DEPTHWISE, ONE_EPOCH, train
from says import says


@pytest.fixture
def refused(tmp_path, capsys):
    def said(*settings: str) -> str:
        assert train(tmp_path, *DEPTHWISE, *ONE_EPOCH, *settings) == 1
        printed = capsys.readouterr().err
        assert "Traceback" not in printed and printed.count("failed: ") == 1, printed
        return printed.splitlines()[-1]

    return said


@pytest.mark.parametrize(
    ("make", "facts"),
    [
        (lambda outputs: outputs.touch(), ("outputs", "folder", "move it away")),
        (lambda outputs: outputs.symlink_to("nowhere"), ("outputs", "link", "move it away")),
        (lambda outputs: outputs.symlink_to("outputs"), ("outputs", "link", "itself")),
    ],
    ids=["a file", "a dead link", "a link to itself"],
)
def test_where_the_runs_should_be(make, facts, refused, tmp_path):
    make(tmp_path / "outputs")
    assert says(refused(), "failed: train.py", *facts)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_folder_that_cannot_be_made(number, refused, tmp_path):
    with mock.patch("os.mkdir", side_effect=OSError(number, os.strerror(number), "outputs/default")):
        assert says(refused(), "outputs/default", os.strerror(number), "choose")
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_full_when_hydra_writes_its_own_files(refused, tmp_path):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with mock.patch("hydra.core.utils._save_config", side_effect=full):
        assert says(refused(), "disk", "free space")


@pytest.mark.parametrize("name", ["n" * 300, "a/" + "ü" * 128])
def test_a_name_that_is_too_long_for_a_folder(name, refused, tmp_path):
    assert says(refused(f"name={name}"), name[:20], "255")
    assert not list(tmp_path.iterdir())


def test_a_file_of_the_data_that_may_not_be_read(refused):
    denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES), "faces/train/bob")
    with mock.patch("facerec.config.build.build_data", side_effect=denied):
        assert says(refused(), "faces/train/bob", "permission")


def test_without_a_file_it_is_a_defect(tmp_path, capsys):
    with mock.patch("facerec.config.build.build_data", side_effect=OSError("no reason")):
        assert train(tmp_path, *DEPTHWISE, *ONE_EPOCH) == 1
    assert says(capsys.readouterr().err, "Traceback", "OSError: no reason")
    assert not Path(tmp_path, "outputs").exists()
