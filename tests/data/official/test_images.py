"""The images of a list, as `write_benchmark` finds them."""

import os
import shutil

import pytest
from image_files import BLUE, RED, plain, write_image
from pair_files import PAIRS, pairs_of
from says import refuses

from facerec.data.official.layout import write_benchmark
from facerec.data.official.pair_lists import Pair
from facerec.errors import InputError


@pytest.mark.parametrize("suffix", [".png", ".JPG", ".jpeg", ".webp"])
def test_images_may_have_another_suffix_than_the_list_says(root, images, suffix):
    (images / "ann/2.jpg").rename(images / f"ann/2{suffix}")
    write_benchmark(root, "own", PAIRS, images)
    assert pairs_of(root, "own") == [("ann/1.jpg", f"ann/2{suffix}", True), (f"ann/2{suffix}", "bob/1.jpg", False)]


def test_the_listed_file_is_taken_before_one_with_another_suffix(root, images):
    write_image(images / "ann/2.bmp", plain(BLUE))
    write_benchmark(root, "own", PAIRS, images)
    assert pairs_of(root, "own") == PAIRS


@pytest.mark.parametrize("listed", ["ann/f 0.v2", "ann/f 0.txt", "ann/f 0.v2.jpg"])
def test_what_follows_the_last_dot_is_left_out_only_where_it_is_a_suffix_of_images(root, images, listed):
    write_image(images / "ann/f 0.jpg", plain(RED))
    with refuses("1 of the 2 images", "ann/f 0.", error=InputError):
        write_benchmark(root, "own", [Pair(listed, "ann/1.jpg", True)], images)


@pytest.mark.parametrize("listed", ["ann/f 0.v2", "ann/f 0.v2.png"])
def test_a_name_with_dots_is_found_with_any_suffix(root, images, listed):
    write_image(images / "ann/f 0.v2.jpg", plain(RED))
    write_benchmark(root, "own", [Pair(listed, "ann/1.jpg", True)], images)
    assert pairs_of(root, "own") == [("ann/f 0.v2.jpg", "ann/1.jpg", True)]


def test_two_listed_images_are_not_one_file(root, images):
    pairs = [Pair("ann/1.jpg", "ann/1.png", True)]
    with refuses("ann/1.jpg", "ann/1.png", "images/ann/1.jpg", error=InputError):
        write_benchmark(root, "own", pairs, images)
    assert not root.exists()
    write_image(images / "ann/1.png", plain(BLUE))
    write_benchmark(root, "own", pairs, images)
    assert pairs_of(root, "own") == pairs


def test_an_image_may_be_listed_in_two_spellings_of_its_path(root, images):
    write_benchmark(
        root, "own", [Pair("./ann/1.jpg", "ann/2.jpg", True), Pair("ann/1.jpg", "bob/1.jpg", False)], images
    )
    assert pairs_of(root, "own")[0] == PAIRS[0]


def test_hidden_files_are_no_images_of_a_list(root, images):
    write_image(images / "ann/._3.jpg", plain(RED))
    with refuses("1 of the 2 images", "ann/._3.png", error=InputError):
        write_benchmark(root, "own", [Pair("ann/._3.png", "ann/1.jpg", True)], images)


def test_missing_images_are_counted_and_the_first_named_before_anything_is_written(root, images):
    (images / "ann/2.jpg").unlink()
    shutil.rmtree(images / "bob")
    (images / "ann/2.jpg").symlink_to("nowhere.jpg")
    with refuses("2 of the 3 images", "ann/2.jpg", "bob/1.jpg", error=InputError):
        write_benchmark(root, "own", PAIRS, images)
    assert not root.exists()


@pytest.mark.parametrize("path", ["../images/ann/1.jpg", "/etc/passwd.jpg", "ann/../../1.jpg"])
def test_paths_that_lead_out_of_the_folder_are_refused(root, images, path):
    with refuses(path, str(images), error=InputError):
        write_benchmark(root, "own", [Pair(path, "ann/1.jpg", True)], images)
    assert not root.exists()


def test_images_beyond_the_pairs_may_be_missing(root, images):
    assert write_benchmark(root, "own", PAIRS, images, others=["eve/1.jpg", "eve/2.jpg"]).images == 4
    assert (root / "own/own/eve/1.jpg").is_file()


def test_a_missing_folder_of_images_is_named(root, images):
    with refuses("nowhere", "not exist", "lists", error=InputError):
        write_benchmark(root, "own", PAIRS, images / "nowhere")


def test_a_link_to_itself_hides_no_other_image(root, images):
    before = write_benchmark(root, "one", PAIRS, images)
    for folder in {file.parent for file in images.rglob("*.*")}:
        (folder / "loop.png").symlink_to("loop.png")
    assert write_benchmark(root, "two", PAIRS, images).images == before.images


def test_images_in_a_folder_that_may_not_be_read_are_not_called_missing(root, images, monkeypatch):
    def scandir(path, real=os.scandir):
        if os.fspath(path) != str(images):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with refuses(str(images), "Permission denied", "allow", error=InputError):
        write_benchmark(root, "mine", PAIRS, images)
