import os
import shutil

import pytest
from image_files import GREEN, RED, encode, plain, write_image, write_text
from pair_files import PAIRS, files, pairs_of
from says import refuses
from shared_data import FACES, needs_faces

from facerec.data.official import image_files as official_images
from facerec.data.official.layout import write_benchmark
from facerec.data.official.lfw import read_lfw_pairs
from facerec.data.official.pair_lists import Pair
from facerec.errors import InputError


@pytest.mark.parametrize("link", official_images.LINKS)
def test_the_layout_is_read_as_the_pairs_that_went_in(root, images, link):
    prepared = write_benchmark(root, "own", PAIRS, images, link=link)
    assert pairs_of(root, "own") == PAIRS
    expected = {f"own/{path}": data for path, data in files(images).items() if not path.startswith("eve")}
    assert files(root / "own") == {"own_pair.txt": (root / "own/own_pair.txt").read_bytes(), **expected}
    assert prepared == ("own", 2, 3, str(root / "own/own"), 0 if link == "copy" else 3, 3 if link == "copy" else 0)


def test_hard_links_share_the_file_symbolic_ones_lead_to_it_and_copies_are_independent(root, images):
    for link in official_images.LINKS:
        write_benchmark(root, link, PAIRS, images, link=link)
    places = [root / link / link / "ann/1.jpg" for link in official_images.LINKS]
    assert [place.samefile(images / "ann/1.jpg") for place in places] == [True, True, False]
    assert [place.is_symlink() for place in places] == [False, True, False]


def test_where_links_cannot_be_made_images_are_copied(root, images, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    assert write_benchmark(root, "own", PAIRS, images).copied == 3
    assert pairs_of(root, "own") == PAIRS


def test_a_link_to_an_image_stands_for_the_image(root, images):
    (images / "ann/1.jpg").rename(images / "elsewhere.jpg")
    (images / "ann/1.jpg").symlink_to("../elsewhere.jpg")
    write_benchmark(root, "own", PAIRS, images)
    assert not (root / "own/own/ann/1.jpg").is_symlink()
    shutil.rmtree(images)
    assert (root / "own/own/ann/1.jpg").read_bytes() == encode(plain(RED), ".jpg")


def test_paths_may_hold_spaces_and_letters_however_they_are_written(root, tmp_path):
    composed, decomposed = "Jos\u00e9 P/1 a.jpg", "Jose\u0301 P/1 a.jpg"
    for path in (decomposed.replace("Jose\u0301 P/", "x/"), composed, "Bo/1.jpg"):
        write_image(tmp_path / "images" / path, plain(RED))
    (tmp_path / "images/x/1 a.jpg").rename(tmp_path / "images/x/Jose\u0301.jpg")
    pairs = [Pair(composed, "x/Jos\u00e9.png", True), Pair("Bo/1.jpg", "Bo/1.jpg", True)]
    write_benchmark(root, "own", pairs, tmp_path / "images")
    lines = (root / "own/own_pair.txt").read_text(encoding="utf-8").splitlines()
    assert lines == [f"{composed}\tx/Jose\u0301.jpg\t1", "Bo/1.jpg Bo/1.jpg 1"]
    assert pairs_of(root, "own") == [(composed, "x/Jose\u0301.jpg", True), ("Bo/1.jpg", "Bo/1.jpg", True)]


@pytest.mark.parametrize("name", ["#1.jpg", "a\tb.jpg", " a.jpg", "a\nb.jpg"])
def test_names_that_a_pair_list_cannot_hold_are_refused(root, images, name):
    write_image(images / "a.jpg", plain(RED))
    (images / "a.jpg").rename(images / name)
    with refuses(repr(name), "pair list", "tabs", "line breaks", error=InputError):
        write_benchmark(root, "own", [Pair(name, "ann/1.jpg", True)], images)
    assert not root.exists()


def test_a_benchmark_that_is_there_is_left_alone(root, images):
    write_benchmark(root, "own", PAIRS, images)
    before = files(root)
    with refuses("own/own_pair.txt", "remove", "root=", error=InputError):
        write_benchmark(root, "own", PAIRS[:1], images)
    (root / "own/own_pair.txt").unlink()
    with refuses("data/own", "remove", "images=", error=InputError):
        write_benchmark(root, "own", PAIRS, images)
    (root / "own/own_pair.txt").write_bytes(before["own/own_pair.txt"])
    assert files(root) == before


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../own"])
def test_a_name_that_leads_elsewhere_is_refused(root, images, name):
    with refuses(f"'{name}'", "name", "slashes", error=InputError):
        write_benchmark(root, name, PAIRS, images)


def test_images_that_stand_in_their_place_are_left_there(root, images):
    (root / "own").mkdir(parents=True)
    images.rename(root / "own/own")
    before = files(root / "own/own")
    prepared = write_benchmark(root, "own", PAIRS, root / "own/own")
    assert files(root / "own/own") == before and pairs_of(root, "own") == PAIRS
    assert (prepared.linked, prepared.copied) == (0, 0)


def test_an_interruption_leaves_nothing(root, images, monkeypatch):
    root.mkdir()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "link", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_benchmark(root, "own", PAIRS, images)
    assert not list(root.iterdir())


def test_a_folder_that_cannot_be_written_is_named(images, tmp_path):
    write_text(tmp_path / "data", "a file")
    with refuses("data/own", "Not a directory", "free space", error=InputError):
        write_benchmark(tmp_path / "data", "own", PAIRS, images)


def test_a_benchmark_of_the_same_images_shares_them(root, images):
    write_benchmark(root, "cfp_ff", PAIRS, images, others=["eve/1.jpg"])
    pairs = [Pair("eve/1.jpg", "ann/1.jpg", False)]
    prepared = write_benchmark(root, "cfp_fp", pairs, images, shared="cfp_ff")
    assert prepared.folder == str(root / "cfp_ff/cfp_ff") and (prepared.linked, prepared.copied) == (0, 0)
    assert files(root / "cfp_fp").keys() == {"cfp_fp_pair.txt"} and pairs_of(root, "cfp_fp") == pairs


@pytest.mark.parametrize("differs", ["pixels", "one is missing", "no benchmark"])
def test_a_benchmark_of_other_images_has_its_own(root, images, differs):
    if differs != "no benchmark":
        write_benchmark(root, "cfp_ff", PAIRS, images, others=["eve/1.jpg"], link="copy")
        write_image(root / "cfp_ff/cfp_ff/eve/1.jpg", plain(GREEN))
    if differs == "one is missing":
        (root / "cfp_ff/cfp_ff/eve/1.jpg").unlink()
    pairs = [Pair("eve/1.jpg", "ann/1.jpg", False)]
    write_benchmark(root, "cfp_fp", pairs, images, shared="cfp_ff")
    assert files(root / "cfp_fp/cfp_fp").keys() == {"eve/1.jpg", "ann/1.jpg"} and pairs_of(root, "cfp_fp") == pairs


@needs_faces
def test_the_official_list_of_lfw_gives_the_one_layout_byte_for_byte(root):
    write_benchmark(root, "lfw", read_lfw_pairs(FACES / "lfw/pairs.txt"), FACES / "lfw/lfw", link="symbolic")
    assert (root / "lfw/lfw_pair.txt").read_bytes() == (FACES / "lfw/lfw_pair.txt").read_bytes()
