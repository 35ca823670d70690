import os

import numpy as np
import pytest
from image_files import write_faces, write_text
from says import refuses

from facerec.data.readers import listing
from facerec.data.readers.folders import read_identity_folders
from facerec.data.readers.listing import image_paths, missing_files
from facerec.errors import InputError


@pytest.fixture
def train(tmp_path):
    """ann, bob and eve, two images each."""
    write_faces(tmp_path, images_per_identity=2)
    return tmp_path / "train"


class TestLinks:
    """Each image is read once, or the link is named."""

    @pytest.mark.parametrize("inside", ["..", ".", "../bob", "../../train"])
    def test_a_link_to_a_folder_inside_an_identity_is_not_followed(self, train, inside):
        before = list(read_identity_folders(train).paths)
        (train / "ann" / "loop").symlink_to(inside)
        assert list(read_identity_folders(train).paths) == before

    @pytest.mark.parametrize("place", [".", "..", "ann", "ann/deep"])
    def test_an_identity_that_leads_to_where_it_stands_or_to_another_is_refused(self, train, place):
        (train / "ann" / "deep").mkdir()
        (train / "zoe").symlink_to(place)
        with refuses("identity folder", "zoe", "link", "twice", error=InputError):
            read_identity_folders(train)

    def test_two_identities_that_are_one_folder_elsewhere_are_refused(self, train, tmp_path):
        (tmp_path / "disk").mkdir()
        for name in ("yan", "zoe"):
            (train / name).symlink_to(tmp_path / "disk")
        with refuses("identity folders", "yan", "zoe", "links", error=InputError):
            read_identity_folders(train)

    def test_an_identity_may_stand_elsewhere(self, train, tmp_path):
        (train / "bob").rename(tmp_path / "bob on another disk")
        (train / "bob").symlink_to(tmp_path / "bob on another disk")
        found = read_identity_folders(train)
        assert list(found.paths)[2:4] == ["bob/0.png", "bob/1.png"] and found.load(2).shape == (12, 12, 3)

    def test_links_that_lead_nowhere_or_to_each_other_are_refused(self, train):
        for name, place in (("zoe", "gone"), ("yan", "zed"), ("zed", "yan")):
            (train / name).symlink_to(place)
            with refuses(f"{train}/", "link", "nowhere", "restore", error=InputError):
                read_identity_folders(train)
            if name != "yan":
                (train / name).unlink()

    def test_links_to_files_and_image_links_that_lead_in_a_circle(self, train):
        write_text(train / "about.txt", "faces")
        (train / "also about.txt").symlink_to("about.txt")
        (train / "ann" / "2.png").symlink_to("2.png")
        (train / "ann" / "3.png").symlink_to("0.png")
        found = read_identity_folders(train)
        assert list(found.paths)[:4] == [f"ann/{number}.png" for number in range(4)]
        assert found.missing().tolist() == [2]
        with refuses("ann/2.png", "Too many levels of symbolic", error=InputError):
            found.load(2)


def test_images_are_sorted_folder_by_folder(tmp_path):
    for name in ("b-c/1.png", "b/2.JPG", "b/a/3.webp", "a.bmp", "b.jpeg", "b/x.txt"):
        write_text(tmp_path / "ann" / name, "")
    expected = sorted(path.relative_to(tmp_path) for path in (tmp_path / "ann").rglob("*.*") if path.suffix != ".txt")
    assert image_paths(tmp_path, "ann") == [path.as_posix() for path in expected]


def test_undecodable_names_are_read(train):
    name = os.fsdecode(b"Jos\xe9")
    try:
        os.rename(train / "ann", os.path.join(train, name))
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    assert image_paths(train, name) == [f"{name}/0.png", f"{name}/1.png"]
    faces = read_identity_folders(train)
    names = [faces.identity_name(label) for label in range(faces.num_identities)]
    assert sorted(names) == sorted([name, "bob", "eve"])
    assert all(faces.load(index).shape == (12, 12, 3) for index in range(6))


@pytest.mark.parametrize("worth", [1, 1000])
def test_what_is_missing_is_found_by_listing_folders_and_by_asking(train, monkeypatch, worth):
    monkeypatch.setattr(listing, "_WORTH_LISTING", worth)
    paths = ["ann/0.png", "ann/5.png", "bob/1.png", "none/0.png", str(train / "eve/0.png"), "eve", "/none.png"]
    assert missing_files(train, paths).tolist() == [1, 3, 5, 6]
    assert missing_files(train, []).tolist() == []


def test_of_very_many_a_sample_is_looked_for(train, monkeypatch):
    monkeypatch.setattr(listing, "_MANY", 100)
    monkeypatch.setattr(listing, "_SAMPLE", 10)
    paths = [f"ann/{number}.png" for number in range(200)]
    assert missing_files(train, paths).tolist() == np.arange(20, 200, 20).tolist()


def test_hidden_files_and_folders_are_passed_over(tmp_path):
    for name in ("1.png", ".partial.77.1.png", "._1.png", ".AppleDouble/1.png", "deep/2.png", "deep/._2.png", ".png"):
        write_text(tmp_path / "ann" / name, "")
    assert image_paths(tmp_path, "ann") == ["ann/1.png", "ann/deep/2.png"]


def test_a_link_to_itself_hides_no_other_image(train):
    (train / "ann" / "loop.png").symlink_to("loop.png")
    paths = [f"ann/{name}.png" for name in ("0", "1", "loop", *"23456789")]
    assert missing_files(train, paths).tolist() == [2, *range(3, 11)]


def test_links_to_a_folder_and_to_one_inside_it_are_refused(train, tmp_path):
    write_faces(tmp_path / "elsewhere", images_per_identity=1)
    (train / "whole").symlink_to(tmp_path / "elsewhere/train")
    (train / "a_part").symlink_to(tmp_path / "elsewhere/train/bob")
    with refuses("identity folders", "whole", "a_part", "links", error=InputError):
        read_identity_folders(train)
