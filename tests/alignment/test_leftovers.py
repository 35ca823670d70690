import os
from pathlib import Path
from unittest import mock

import numpy as np
from image_files import plain, write_image
from says import refuses

from facerec.alignment.outputs import Origin, remove_leftovers, write_aligned
from facerec.errors import InputError

FACE = np.zeros((16, 16, 3), np.uint8)


def write(target: Path, *paths: str, images: str = "mine") -> None:
    for path in paths:
        write_aligned(target / path, FACE, Origin("key", images=images))


def test_faces_whose_image_is_gone_or_failed_are_removed(tmp_path: Path) -> None:
    write(tmp_path, "ann/1.jpg", "ann/2.jpg", "bob/1.jpg", "gone.png")
    left = remove_leftovers(tmp_path, {"ann/1.jpg", "ann/2.jpg"}, {"ann/1.jpg"}, "mine")
    assert sorted(left.removed) == ["ann/2.jpg", "bob/1.jpg", "gone.png"]
    assert left.other == []
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["1.jpg", "ann"]  # and no empty folder


def test_the_same_face_in_the_other_format_is_removed(tmp_path: Path) -> None:
    write(tmp_path, "ann/1.jpg", images="another")
    write(tmp_path, "ann/1.png")
    assert remove_leftovers(tmp_path, {"ann/1.png"}, {"ann/1.png"}, "mine").removed == ["ann/1.jpg"]


def test_what_others_put_there_stays(tmp_path: Path) -> None:
    write(tmp_path, "theirs/1.jpg", images="another")
    write(tmp_path, "elsewhere/1.jpg")
    write_image(tmp_path / "out/photo.jpg", plain((1, 2, 3)))
    write_image(tmp_path / "out/contact_sheet.png", plain((1, 2, 3)))
    (tmp_path / "out/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "out/theirs").symlink_to(tmp_path / "theirs")
    assert remove_leftovers(tmp_path / "out", {"photo.jpg"}, set(), "mine") == ([], [])
    assert remove_leftovers(tmp_path / "theirs", {"2.jpg"}, set(), "mine") == ([], ["1.jpg"])
    assert (tmp_path / "out/photo.jpg").exists() and (tmp_path / "elsewhere/1.jpg").exists()


def test_a_face_that_cannot_be_removed_is_named(tmp_path: Path) -> None:
    write(tmp_path, "1.jpg")
    with (
        mock.patch.object(Path, "unlink", side_effect=PermissionError(13, os.strerror(13))),
        refuses("1.jpg", "Permission denied", "remove", error=InputError),
    ):
        remove_leftovers(tmp_path, set(), set(), "mine")
