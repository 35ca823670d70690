import errno
import os
from pathlib import Path
from unittest import mock

import pytest
from says import refuses, says

from facerec.alignment.paths import find_images, outputs, refuse_overlap, why_not_found
from facerec.errors import InputError


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def test_images_are_found_at_any_depth_whatever_they_are_called(tmp_path: Path) -> None:
    touch(tmp_path, "b/ä ö.JPG", "a.png", "b/c/d e.heic", "b/notes.txt", "b/._a.jpg", ".thumbnails/a.jpg", "out/x.jpg")
    assert find_images(tmp_path, tmp_path / "out") == ["a.png", "b/c/d e.heic", "b/ä ö.JPG"]


def test_links_in_circles_end_and_each_image_is_found_once(tmp_path: Path) -> None:
    touch(tmp_path, "real/ann/1.jpg", "elsewhere/2.jpg")
    root = tmp_path / "real"
    (root / "ann/up").symlink_to(root)
    (root / "all").symlink_to(root / "ann")  # comes before ann, and is not its name
    (root / "ann/itself").symlink_to(root / "ann/itself")
    (root / "bob").symlink_to(tmp_path / "elsewhere")
    assert find_images(root, tmp_path / "out") == ["ann/1.jpg", "bob/2.jpg"]


def test_a_link_to_an_image_is_an_image_and_a_broken_one_is_not_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "ann/1.jpg")
    (tmp_path / "ann/2.jpg").symlink_to(tmp_path / "ann/1.jpg")
    (tmp_path / "ann/3.jpg").symlink_to(tmp_path / "nowhere")
    assert find_images(tmp_path, tmp_path / "out") == ["ann/1.jpg", "ann/2.jpg", "ann/3.jpg"]


def test_a_folder_that_is_none_or_may_not_be_read_is_refused(tmp_path: Path) -> None:
    with refuses("no", "folder", "folder of images", error=InputError):
        find_images(tmp_path / "no", tmp_path)
    with (
        mock.patch.object(os, "scandir", side_effect=PermissionError(errno.EACCES, "Permission denied")),
        refuses("folder", "Permission denied", "access", error=InputError),
    ):
        find_images(tmp_path, tmp_path / "out")


def test_faces_keep_the_path_of_their_image() -> None:
    assert outputs(["a b/ä.tiff", "c.d.png"], ".jpg") == {"a b/ä.tiff": "a b/ä.jpg", "c.d.png": "c.d.jpg"}


def test_two_images_with_the_same_face_are_refused() -> None:
    with refuses("x/a.jpg", "x/a.png", "rename", error=InputError):
        outputs(["x/a.jpg", "x/a.png"], ".jpg")


def test_the_face_that_would_be_the_page_of_pictures_is_refused() -> None:
    with refuses("contact_sheet.jpg", "contact_sheet.png", "rename", error=InputError):
        outputs(["a.jpg", "contact_sheet.jpg"], ".png")
    assert outputs(["contact_sheet.jpg", "ann/contact_sheet.png"], ".jpg")
    assert outputs(["ann/contact_sheet.png"], ".png")


@pytest.mark.parametrize(
    ("path", "facts"),
    [
        ("no.jpg", ("listed", "{root}", "restore")),
        ("a.gif", ("listed", ".gif", "PNG")),
        (".a.jpg", ("listed", "hidden", "{root}", "move")),
    ],
)
def test_a_listed_image_that_is_not_found_says_why(tmp_path: Path, path: str, facts: tuple[str, ...]) -> None:
    touch(tmp_path, "a.gif", ".a.jpg")
    assert says(why_not_found(tmp_path, path), *(fact.format(root=tmp_path) for fact in facts))


@pytest.mark.parametrize("out", ["photos", ".", "link"])
def test_faces_are_not_written_over_the_images(tmp_path: Path, out: str) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    with refuses("photos", "overwrite", "another folder", error=InputError):
        refuse_overlap(tmp_path / "photos", tmp_path / out)
    refuse_overlap(tmp_path / "photos", tmp_path / "photos" / "aligned")


def test_folders_of_programs_hold_no_photographs(tmp_path: Path) -> None:
    touch(tmp_path, "ann/1.jpg", "ann/@eaDir/1.jpg", "__MACOSX/ann/1.jpg", ".ipynb_checkpoints/1.jpg")
    assert find_images(tmp_path, tmp_path / "out") == ["ann/1.jpg"]
