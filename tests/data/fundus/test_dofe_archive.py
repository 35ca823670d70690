"""DoFE's archive, a small one and the real files."""

import shutil

import numpy as np
import pytest
from fundus_files import small_mask, write_dofe
from says import refuses, says
from shared_data import FUNDUS, needs_fundus

from facerec.data.fundus.dofe_archive import FOLDERS, read_dofe
from facerec.data.fundus.domain_folders import read_domain_folders
from facerec.errors import InputError


def test_four_domains_with_their_splits(tmp_path):
    write_dofe(tmp_path)
    source = read_dofe(tmp_path)
    assert source.domain_names == ("drishti_gs", "rim_one", "refuge", "refuge_val")
    assert source.domains.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert source.split.tolist() == 4 * ["train", "train", "test"]
    assert source.name(2) == "Domain1/test/ROIs/image/c.png"
    np.testing.assert_array_equal(source.mask(7), small_mask())


def test_a_missing_domain_is_named(tmp_path):
    write_dofe(tmp_path, (1, 3))
    found: list[str] = []
    source = read_dofe(tmp_path, on_problem=lambda _, sentence: found.append(sentence))
    assert len(source) == 6 and len(found) == 2
    assert says(found[0], "rim_one", "Domain2", "unpack", "data.domains") and says(found[1], "refuge_val", "Domain4")
    with refuses("rim_one", "Domain2", error=InputError):
        read_dofe(tmp_path)
    assert read_dofe(tmp_path, ["refuge", "drishti_gs"]).domain_names == ("refuge", "drishti_gs")


@pytest.mark.parametrize("part", ["image", "mask"])
def test_a_missing_part_of_a_domain_is_named(tmp_path, part):
    write_dofe(tmp_path)
    shutil.rmtree(tmp_path / "Domain3" / "test" / "ROIs" / part)
    with refuses("refuge", f"no {part}s", "Domain3/test/ROIs", error=InputError):
        read_dofe(tmp_path)


def test_what_is_no_archive_is_refused(tmp_path):
    with refuses("'refug'", "did you mean 'refuge'", error=InputError):
        read_dofe(tmp_path, ["refug"])
    with refuses(str(tmp_path), "no image with a mask", "Domain1/train", error=InputError):
        read_dofe(tmp_path, on_problem=lambda *_: None)


@needs_fundus
def test_the_centre_of_the_real_masks_is_that_of_the_plain_ones():
    """The folders hold the centre of DoFE's regions, so that one reader checks the other."""
    archive = read_dofe(FUNDUS / "dofe_sample", [domain for domain in FOLDERS if domain != "rim_one"])
    plain = read_domain_folders(FUNDUS)
    names = [plain.name(index).rpartition("/")[2][:-4] for index in range(len(plain))]
    compared = 0
    for index in range(len(archive)):
        name = archive.name(index).rpartition("/")[2][:-4]
        mask = archive.mask(index)
        assert mask.shape == archive.load(index).shape[:2] == (800, 800) and np.unique(mask).tolist() == [0, 1, 2]
        if name in names and archive.domains[index] < 2:
            np.testing.assert_array_equal(mask[144:656, 144:656], plain.mask(names.index(name)))
            compared += 1
    assert compared == 4
