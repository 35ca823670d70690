import os
import pickle
import shutil
from pathlib import Path

import pytest
from image_files import BLUE, GREEN, RED, encode, plain, write_image, write_text
from recordio_writer import png
from shared_data import FACES, INSIGHTFACE, needs_faces, needs_insightface

from facerec.data.bin import open_bin, write_bin
from facerec.data.folders import read_pairs
from facerec.data.official import images as official_images
from facerec.data.official.layout import unpack_bin, write_benchmark
from facerec.data.official.lfw import read_lfw_pairs
from facerec.data.official.pairs import Pair
from facerec.errors import InputError

PAIRS = [Pair("ann/1.jpg", "ann/2.jpg", True), Pair("ann/2.jpg", "bob/1.jpg", False)]


@pytest.fixture
def images(tmp_path):
    """A folder with the three images of the pairs, and one more."""
    for path, colour in {"ann/1.jpg": RED, "ann/2.jpg": GREEN, "bob/1.jpg": BLUE, "eve/1.jpg": RED}.items():
        write_image(tmp_path / "images" / path, plain(colour))
    return tmp_path / "images"


@pytest.fixture
def root(tmp_path):
    return tmp_path / "data"


def pairs_of(root, name):
    found = read_pairs(root, name)
    sides = zip(found.left, found.right, found.is_same.tolist(), strict=True)
    return [Pair(found.images.name(left), found.images.name(right), same) for left, right, same in sides]


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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
    with pytest.raises(
        InputError, match=r"^1 of the 2 images that are listed are not below .*images, such as ann/f 0\.\w"
    ):
        write_benchmark(root, "own", [Pair(listed, "ann/1.jpg", True)], images)


@pytest.mark.parametrize("listed", ["ann/f 0.v2", "ann/f 0.v2.png"])
def test_a_name_with_dots_is_found_with_any_suffix(root, images, listed):
    write_image(images / "ann/f 0.v2.jpg", plain(RED))
    write_benchmark(root, "own", [Pair(listed, "ann/1.jpg", True)], images)
    assert pairs_of(root, "own") == [("ann/f 0.v2.jpg", "ann/1.jpg", True)]


def test_two_listed_images_are_not_one_file(root, images):
    pairs = [Pair("ann/1.jpg", "ann/1.png", True)]
    with pytest.raises(
        InputError, match=r"^the listed images ann/1\.jpg and ann/1\.png would both be .*images/ann/1\.jpg: restore the"
    ):
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
    with pytest.raises(InputError, match=r"^1 of the 2 images"):
        write_benchmark(root, "own", [Pair("ann/._3.png", "ann/1.jpg", True)], images)


def test_missing_images_are_counted_and_the_first_named_before_anything_is_written(root, images):
    (images / "ann/2.jpg").unlink()
    shutil.rmtree(images / "bob")
    (images / "ann/2.jpg").symlink_to("nowhere.jpg")
    with pytest.raises(
        InputError,
        match=r"^2 of the 3 images that are listed are not below .*images, such as ann/2\.jpg, bob/1\.jpg: restore",
    ):
        write_benchmark(root, "own", PAIRS, images)
    assert not root.exists()


@pytest.mark.parametrize("path", ["../images/ann/1.jpg", "/etc/passwd.jpg", "ann/../../1.jpg"])
def test_paths_that_lead_out_of_the_folder_are_refused(root, images, path):
    with pytest.raises(InputError, match=rf"^the listed path {path} leads out of .*images: list paths that start from"):
        write_benchmark(root, "own", [Pair(path, "ann/1.jpg", True)], images)
    assert not root.exists()


def test_images_beyond_the_pairs_may_be_missing(root, images):
    assert write_benchmark(root, "own", PAIRS, images, others=["eve/1.jpg", "eve/2.jpg"]).images == 4
    assert (root / "own/own/eve/1.jpg").is_file()


def test_a_missing_folder_of_images_is_named(root, images):
    with pytest.raises(
        InputError, match=r"^image folder .*nowhere does not exist: name the folder that the lists' paths"
    ):
        write_benchmark(root, "own", PAIRS, images / "nowhere")


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
    with pytest.raises(
        InputError, match=r"^image '.*' cannot stand in a pair list, where a first #, tabs, line breaks"
    ):
        write_benchmark(root, "own", [Pair(name, "ann/1.jpg", True)], images)
    assert not root.exists()


def test_a_benchmark_that_is_there_is_left_alone(root, images):
    write_benchmark(root, "own", PAIRS, images)
    before = files(root)
    with pytest.raises(
        InputError, match=r"own/own_pair\.txt is there already: remove .*own or choose another --root or"
    ):
        write_benchmark(root, "own", PAIRS[:1], images)
    (root / "own/own_pair.txt").unlink()
    with pytest.raises(InputError, match=r"data/own is there already: remove it, choose .* as --images .*own/own$"):
        write_benchmark(root, "own", PAIRS, images)
    (root / "own/own_pair.txt").write_bytes(before["own/own_pair.txt"])
    assert files(root) == before


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../own"])
def test_a_name_that_leads_elsewhere_is_refused(root, images, name):
    with pytest.raises(InputError, match=rf"^'{name}' cannot be the name of a benchmark: give one without slashes"):
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
    with pytest.raises(
        InputError, match=r"data/own cannot be written \(Not a directory, .*\): free space or choose another"
    ):
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


IMAGES, ANSWERS = [png(0), png(1), encode(plain(RED, (6, 5)), ".jpg"), png(0)], [True, False]


@pytest.fixture
def bin_file(tmp_path):
    (tmp_path / "lfw.bin").write_bytes(pickle.dumps((IMAGES, ANSWERS)))
    return tmp_path / "lfw.bin"


def test_a_bin_becomes_the_layout_and_back_with_the_same_bytes(root, bin_file, tmp_path):
    prepared = unpack_bin(bin_file, root)
    assert prepared[:3] == ("lfw", 2, 3)
    assert sorted(files(root / "lfw/lfw").items()) == [
        ("000000.png", png(0)), ("000001.png", png(1)), ("000002.jpg", IMAGES[2])
    ]  # fmt: skip
    assert (root / "lfw/lfw_pair.txt").read_text() == "000000.png 000001.png 1\n000002.jpg 000000.png -1\n"
    write_bin(read_pairs(root, "lfw"), tmp_path / "back.bin")
    assert pickle.loads((tmp_path / "back.bin").read_bytes()) == (IMAGES, ANSWERS)


def test_the_layout_becomes_a_bin_and_back_with_equal_images_and_pairs(root, images, tmp_path):
    write_benchmark(root, "own", PAIRS, images)
    write_bin(read_pairs(root, "own"), tmp_path / "own.bin")
    unpack_bin(tmp_path / "own.bin", root, "again")
    before, after = read_pairs(root, "own"), read_pairs(root, "again")
    assert before.is_same.tolist() == after.is_same.tolist() and len(before.images) == len(after.images)
    for left, right in ((before.left, after.left), (before.right, after.right)):
        assert [before.images.encoded(index) for index in left] == [after.images.encoded(index) for index in right]


def test_what_is_no_image_is_named_and_nothing_is_written(root, tmp_path):
    (tmp_path / "lfw.bin").write_bytes(pickle.dumps(([png(0), b"text"], [True])))
    with pytest.raises(
        InputError, match=r"^image lfw\.bin image 1 is not a JPEG, PNG, BMP or WebP file: fetch it again"
    ):
        unpack_bin(tmp_path / "lfw.bin", root)
    assert not root.exists() or not list(root.iterdir())


@needs_insightface
def test_the_sample_of_insightface_makes_the_round_trip(root, tmp_path):
    unpack_bin(INSIGHTFACE / "lfw_sample.bin", root)
    write_bin(read_pairs(root, "lfw_sample"), tmp_path / "back.bin")
    sample, back = open_bin(INSIGHTFACE / "lfw_sample.bin"), open_bin(tmp_path / "back.bin")
    assert pickle.loads((tmp_path / "back.bin").read_bytes()) == pickle.loads(
        (INSIGHTFACE / "lfw_sample.bin").read_bytes()
    )
    assert sample.left.tolist() == back.left.tolist() and len(sample.images) == len(back.images)


@needs_faces
def test_the_official_list_of_lfw_gives_the_one_layout_byte_for_byte(root):
    write_benchmark(root, "lfw", read_lfw_pairs(FACES / "lfw/pairs.txt"), FACES / "lfw/lfw", link="symbolic")
    assert (root / "lfw/lfw_pair.txt").read_bytes() == (FACES / "lfw/lfw_pair.txt").read_bytes()
