import os

import numpy as np
import pytest
from image_files import plain, write_image
from pose_folders import write_people
from says import refuses

from facerec.errors import InputError
from facerec.frontal.pose_folders import read_pose_folders


def test_pose_and_identity_come_from_the_folders(tmp_path):
    write_people(tmp_path, identities=3, images=2)
    write_image(tmp_path / "001" / "other" / "1.png", plain((9, 9, 9)))
    (tmp_path / "001/frontal/notes.txt").write_text("not an image")
    (tmp_path / "001/frontal/._0.png").write_text("what macOS leaves")
    images = read_pose_folders(tmp_path, 16)
    assert len(images) == 12 and images.pixels.shape == (12, 16, 16, 3) and images.borders.shape == (12, 16, 16)
    for name, is_frontal, identity in zip(images.names, images.is_frontal, images.identities, strict=True):
        folder, pose, _ = name.split("/")
        assert (pose == "frontal") == is_frontal and int(folder) == identity
    left, top = images.borders[:, 8, 0], images.borders[:, 0, 8]
    assert np.array_equal(left, ~images.is_frontal) and np.array_equal(top, images.is_frontal)


@pytest.mark.parametrize("pose", ["frontal", "profile"])
def test_a_pose_without_images_is_refused(tmp_path, pose):
    other = {"frontal": "profile", "profile": "frontal"}[pose]
    write_image(tmp_path / "001" / other / "1.png", plain((9, 9, 9)))
    with refuses(str(tmp_path), f"ID/{pose}/IMAGE", "folder", error=InputError):
        read_pose_folders(tmp_path, 16)


def test_a_missing_folder_is_named(tmp_path):
    with refuses("gone", "not exist", "CFP", error=InputError):
        read_pose_folders(tmp_path / "gone", 16)


def test_an_unreadable_image_is_named(tmp_path):
    write_people(tmp_path, identities=1, images=1)
    (tmp_path / "000/profile/0.png").write_bytes(b"")
    with refuses("000/profile/0.png", "empty", error=InputError):
        read_pose_folders(tmp_path, 16)


@pytest.mark.parametrize("place", [".", "001/profile", "001"])
def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch, place):
    folder = str(tmp_path / place)

    def refusing(real, is_refused):
        def call(path, *_, **more):
            if is_refused(os.fspath(path)):
                raise PermissionError(13, "Permission denied", path)
            return real(path, *_, **more)

        return call

    write_people(tmp_path, identities=2, images=1)
    monkeypatch.setattr(os, "scandir", refusing(os.scandir, lambda path: path == folder))
    if place == "001":
        monkeypatch.setattr(os, "stat", refusing(os.stat, lambda path: path.startswith(f"{folder}{os.sep}")))
    with refuses(folder, "Permission denied", "allow", error=InputError):
        read_pose_folders(tmp_path, 16)


def test_a_file_is_no_folder_of_people(tmp_path):
    (tmp_path / "cfp.zip").touch()
    with refuses("cfp.zip", "is a file", "CFP", error=InputError):
        read_pose_folders(tmp_path / "cfp.zip", 16)
