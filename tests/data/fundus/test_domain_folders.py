"""The folder layout against its files, with every problem listed."""

import csv
import os
import pickle

import numpy as np
import pytest
from fundus_files import small_image, small_mask, write_domains, write_mask
from image_files import write_image, write_text
from says import refuses, says
from shared_data import FUNDUS, needs_fundus

from facerec.data.fundus.domain_folders import read_domain_folders
from facerec.errors import InputError


@pytest.fixture
def root(tmp_path):
    write_domains(tmp_path)
    return tmp_path


def problems(root, domains=None) -> list[str]:
    found: list[str] = []
    read_domain_folders(root, domains, lambda _, sentence: found.append(sentence))
    return found


def write_splits(root, rows) -> None:
    write_text(root / "splits.csv", "domain,name,split,width\n" + "".join(f"{','.join(row)},9\n" for row in rows))


def all_rows(root) -> list[tuple[str, str, str]]:
    names = [(path.parts[-3], path.stem) for path in sorted(root.glob("*/image/*.png"))]
    return [(*name, "train" if place % 2 else "test") for place, name in enumerate(names)]


def test_images_masks_domains_and_splits_are_those_of_the_files(root):
    source = read_domain_folders(root)
    assert source.domain_names == ("east", "north", "west") and len(source) == 30
    for index, path in enumerate(sorted(root.glob("*/image/*.png"))):
        domain, number = path.parts[-3], int(path.stem)
        assert source.domain_names[source.domains[index]] == domain
        assert source.name(index) == f"{domain}/image/{number:02}.png"
        assert source.split[index] == ("test" if number % 5 == 0 else "train")
        first = 100 * source.domain_names.index(domain)
        np.testing.assert_array_equal(source.load(index), small_image(first + number))
        np.testing.assert_array_equal(source.mask(index), small_mask(shift=number % 5))


def test_the_list_says_what_is_for_tests(root):
    write_splits(root, reversed(all_rows(root)))
    source = read_domain_folders(root)
    assert source.split.tolist() == [split for *_, split in all_rows(root)]


def test_some_domains_in_the_order_asked_for(root):
    source = read_domain_folders(root, ["west", "east"])
    assert source.domain_names == ("west", "east") and source.name(0) == "west/image/00.png"


def test_other_folders_are_passed_over(root):
    (root / ".git" / "image").mkdir(parents=True)
    write_text(root / "notes" / "readme.txt", "nothing")
    assert read_domain_folders(root).domain_names == ("east", "north", "west")


def test_the_fingerprint_follows_names_domains_and_splits_and_the_state_the_files(root):
    source = read_domain_folders(root)
    again = pickle.loads(pickle.dumps(source))
    assert again.fingerprint() == source.fingerprint() and again.state() == source.state()
    state = source.state()
    mask = root / "east" / "mask" / "03.png"
    os.utime(mask, ns=(1, 1))
    assert source.state() != state
    write_splits(root, all_rows(root))
    assert read_domain_folders(root).fingerprint() != source.fingerprint()


class TestProblems:
    """Each is a sentence; the first one ends a run, and a check lists all of them."""

    def refused(self, root, *facts: str) -> None:
        (sentence,) = problems(root)
        assert says(sentence, *facts), sentence
        with refuses(*facts, error=InputError):
            read_domain_folders(root)

    def test_a_domain_without_masks(self, root):
        for file in (root / "north" / "mask").iterdir():
            file.unlink()
        (root / "north" / "mask").rmdir()
        self.refused(root, "domain north has no masks", str(root / "north" / "mask"), "data.domains")

    def test_a_domain_without_images(self, root):
        write_mask(root / "south" / "mask" / "1.png", small_mask())
        self.refused(root, "domain south has no images", "data.domains")

    def test_an_image_without_a_mask(self, root):
        (root / "west" / "mask" / "04.png").unlink()
        self.refused(root, str(root / "west/image/04.png"), "has no mask", "remove the image")

    def test_a_mask_without_an_image(self, root):
        (root / "west" / "image" / "04.png").unlink()
        self.refused(root, str(root / "west/mask/04.png"), "has no image")

    def test_two_images_of_one_name(self, root):
        write_image(root / "west" / "image" / "04.jpg", small_image(1))
        self.refused(root, "west/image/04.jpg", "west/image/04.png", "one name")

    def test_an_image_that_would_be_passed_over(self, root):
        (root / "west" / "image" / "04.png").rename(root / "west" / "image" / "04.tif")
        found = problems(root)
        assert len(found) == 2 and says(found[0], "04.tif", "passed over") and says(found[1], "has no image")

    def test_a_folder_of_images_that_is_no_domain(self, root):
        write_image(root / "more" / "1.png", small_image(1))
        self.refused(root, str(root / "more"), "no domain", "folder mask")

    def test_an_empty_domain(self, root):
        (root / "south" / "image").mkdir(parents=True)
        (root / "south" / "mask").mkdir()
        self.refused(root, "domain south has no image", "remove the folder")

    def test_an_image_that_is_not_listed(self, root):
        write_splits(root, all_rows(root)[1:])
        self.refused(root, "image 00", "domain east", "splits.csv", "add a line")
        assert len(read_domain_folders(root, None, lambda *_: None)) == 29

    def test_a_listed_image_that_is_not_there(self, root):
        write_splits(root, [*all_rows(root), ("west", "99", "test")])
        self.refused(root, "image 99", "domain west", "remove the line")

    def test_a_listed_domain_that_is_not_there(self, root):
        write_splits(root, [*all_rows(root), ("mars", "1", "test"), ("mars", "2", "test")])
        self.refused(root, "splits.csv", "mars", "remove its lines")

    @pytest.mark.parametrize(
        ("row", "facts"),
        [
            (("west", "00", "val"), ("line 32", "'val'", "train or test")),
            (("west", "00", "test"), ("line 32", "00 of west", "again")),
        ],
    )
    def test_a_wrong_line(self, root, row, facts):
        write_splits(root, [*all_rows(root), row])
        self.refused(root, *facts)

    def test_a_short_line(self, root):
        write_splits(root, all_rows(root))
        with (root / "splits.csv").open("a") as file:
            file.write("west,00\n")
        self.refused(root, "line 32", "'west,00'", "domain, name, split")

    def test_all_are_listed(self, root):
        for number in range(4):
            (root / "west" / "mask" / f"0{number}.png").unlink()
        (root / "east" / "image" / "00.png").unlink()
        assert len(problems(root)) == 5 and problems(root, ["north"]) == []


def test_a_list_without_a_column_is_refused(root):
    write_text(root / "splits.csv", "domain,file,split\n")
    with refuses("splits.csv", "no column name", "domain, name, split", error=InputError):
        read_domain_folders(root)


def test_what_cannot_be_read_at_all_is_refused(root):
    with refuses("nowhere", "does not exist", "data.root", error=InputError):
        read_domain_folders(root / "nowhere")
    with refuses("'wset'", "data.domains", "did you mean 'west'", error=InputError):
        read_domain_folders(root, ["wset"])
    (root / "empty").mkdir()
    with refuses("empty", "no image with a mask", "DOMAIN/mask", error=InputError):
        read_domain_folders(root / "empty")


@needs_fundus
def test_the_real_folders_are_those_of_their_list():
    source = read_domain_folders(FUNDUS)
    with (FUNDUS / "splits.csv").open(newline="") as file:
        rows = {(row["domain"], row["name"]): row for row in csv.DictReader(file)}
    assert source.domain_names == ("drishti_gs", "origa", "refuge") and len(source) == len(rows) == 452
    for index in range(0, len(source), 30):
        domain, name = source.domain_names[source.domains[index]], source.name(index).rpartition("/")[2][:-4]
        row, mask = rows[domain, name], source.mask(index)
        assert source.split[index] == row["split"] and mask.shape == (int(row["height"]), int(row["width"]))
        assert source.load(index).shape[:2] == mask.shape and np.unique(mask).tolist() == [0, 1, 2]
