import os

import numpy as np
import pytest
from image_files import RED, encode, plain, write_faces, write_image, write_text
from says import refuses, says

from facerec.data.readers import listing
from facerec.data.readers.folders import read_identity_folders
from facerec.data.readers.listing import image_paths, missing_files
from facerec.data.readers.train_lists import read_train_list
from facerec.data.source import refuse_missing
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


SERVICE = (
    *(".ipynb_checkpoints", ".Trash-1000", ".cache", "@eaDir", "__MACOSX", "lost+found", "#recycle", "#snapshot"),
    *("@Recently-Snapshot", "~snapshot", "@tmp", "Network Trash Folder", "Temporary Items", "FOUND.000", "LOST.DIR"),
)


@pytest.mark.parametrize("name", SERVICE)
def test_folders_of_programs_are_no_people_and_hold_no_images_of_people(train, name):
    before = list(read_identity_folders(train).paths)
    for place in (train, train / "ann", train / "ann" / "2019"):
        write_image(place / name / "0.png", plain(RED))
    found = read_identity_folders(train)
    assert list(found.paths) == before and found.num_identities == 3


def test_of_programs_is_not_who_is_only_called_similarly(tmp_path):
    write_image(tmp_path / "lost" / "0.png", plain(RED))
    write_image(tmp_path / "macosx" / "0.png", plain(RED))
    assert read_identity_folders(tmp_path).num_identities == 2


OTHER_NAMES = {
    "face.jfif": encode(plain(RED), ".jpg"),
    "face": encode(plain(RED)),
    "face.jpg.bak": encode(plain(RED), ".jpg"),
    "face.tif": encode(plain(RED), ".tiff"),
    "face.pgm": b"P5\n12 12\n255\n" + bytes(144),
    "face.dib": encode(plain(RED), ".bmp"),
    "face.webp2": encode(plain(RED), ".webp"),
    "face.gif": b"GIF89a" + bytes(20),
    "face.heic": b"\0\0\0\x18ftypheic" + bytes(20),
    "face.jxl": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(20),
}


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_an_image_whose_name_does_not_say_so_is_reported(train, name):
    (train / "ann" / name).write_bytes(OTHER_NAMES[name])
    with refuses(str(train / "ann" / name), ".png", "rename", error=InputError):
        read_identity_folders(train)
    wrong: list[tuple[int | str, str]] = []
    assert len(read_identity_folders(train, lambda *problem: wrong.append(problem)).paths) == 6
    assert [identity for identity, _ in wrong] == ["ann"]


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_nor_is_one_beside_the_identity_folders_passed_over(train, name):
    (train / name).write_bytes(OTHER_NAMES[name])
    with refuses(str(train / name), ".png", "rename", error=InputError):
        read_identity_folders(train)


def test_other_files_are_no_images_whatever_they_begin_with(train):
    for name, start in {"a.txt": b"\xff\xd8\xff", "a.dat": b"BMW and others" + bytes(9), "b.dat": b"P50 x"}.items():
        (train / "ann" / name).write_bytes(start)
    assert len(read_identity_folders(train).paths) == 6


def test_an_image_beside_the_identity_folders_is_reported(train):
    write_image(train / "lonely.png", plain(RED))
    with refuses(str(train / "lonely.png"), "identity folder", "move", error=InputError):
        read_identity_folders(train)


def test_an_image_in_a_folder_that_may_not_be_entered_is_not_called_missing(train, monkeypatch):
    def stat(path, *_, real=os.stat, **more):
        if os.fspath(path).startswith(str(train / "bob/")):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *_, **more)

    write_text(train / "list.txt", "ann/0.png a\nbob/0.png b\n")
    listed = read_train_list(train, "list.txt")
    monkeypatch.setattr(os, "stat", stat)
    with refuses(str(train / "bob/0.png"), "Permission denied", "allow", error=InputError):
        refuse_missing(listed)


class TestNoPermission:
    """What may not be read is named, and the check goes on with the rest; root may read all, so refusal is played."""

    @pytest.fixture
    def locked(self, monkeypatch):
        def lock(folder):
            real = os.scandir

            def scandir(path):
                if os.fspath(path) == str(folder):
                    raise PermissionError(13, "Permission denied", str(folder))
                return real(path)

            monkeypatch.setattr(os, "scandir", scandir)

        return lock

    @pytest.mark.parametrize("place", ["bob", "bob/deep", "."])
    def test_a_folder(self, train, locked, place):
        (train / "bob" / "deep").mkdir()
        folder = train if place == "." else train / place
        locked(folder)
        with refuses(str(folder), "Permission denied", "allow", error=InputError):
            read_identity_folders(train)

    def test_the_others_are_read(self, train, locked):
        locked(train / "bob")
        wrong: list[tuple[int | str, str]] = []
        found = read_identity_folders(train, lambda *problem: wrong.append(problem))
        assert list(found.paths) == ["ann/0.png", "ann/1.png", "eve/0.png", "eve/1.png"]
        ((identity, sentence),) = wrong
        assert identity == "bob" and says(sentence, str(train / "bob"), "Permission denied")


def test_a_link_to_itself_beside_the_identities_is_no_image(train):
    (train / "loop.png").symlink_to("loop.png")
    with refuses(str(train / "loop.png"), "broken link", "restore", error=InputError):
        read_identity_folders(train)


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
