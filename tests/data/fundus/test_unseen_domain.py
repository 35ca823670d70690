"""Who is trained on, who is held out, and who is unseen."""

import numpy as np
import pytest
from says import refuses

from facerec.data.fundus.drawn_eyes.drawn_source import DrawnEyes
from facerec.data.fundus.masked_source import MaskedSubset
from facerec.data.fundus.unseen_domain import check_domain, leave_out
from facerec.errors import InputError

EYES = DrawnEyes(20, 3)


def names(indices) -> set[tuple[str, str]]:
    return {(EYES.domain_names[EYES.domains[index]], EYES.split[index]) for index in indices.tolist()}


def test_the_parts_are_those_of_the_domains_and_splits():
    parts = leave_out(EYES, "drawn_b", 0.1, 0)
    seen = {(domain, "train") for domain in ("drawn_a", "drawn_c", "drawn_d")}
    assert names(parts.train) == names(parts.held_out) == seen and names(parts.unseen) == {("drawn_b", "test")}
    assert [len(part) for part in parts] == [54, 6, 3]
    assert len(np.unique(np.concatenate(parts))) == 63
    assert all((np.diff(part) > 0).all() for part in parts)


@pytest.mark.parametrize(("share", "number"), [(0.01, 1), (0.1, 2), (0.5, 10), (0.9, 18)])
def test_the_share_is_one_of_each_domain(share, number):
    held_out = leave_out(EYES, "drawn_a", share, 0).held_out
    assert np.bincount(EYES.domains[held_out], minlength=4).tolist() == [0, number, number, number]


def test_the_seed_alone_chooses_them():
    first, again, other = (leave_out(EYES, "drawn_a", 0.2, seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.held_out, again.held_out)
    assert (first.held_out != other.held_out).any()


def test_without_a_share_all_are_trained_on():
    parts = leave_out(EYES, "drawn_a", 0, 0)
    assert len(parts.train) == 60 and not len(parts.held_out)


def where(*conditions) -> MaskedSubset:
    kept = [index for index in range(len(EYES)) if (EYES.name(index).rpartition(" ")[0]) in conditions]
    return MaskedSubset(EYES, np.array(kept))


def test_one_domain_of_a_single_image_holds_out_nothing():
    one = MaskedSubset(EYES, np.r_[0:20, 23, 46:69])  # drawn_a, one image of drawn_b, drawn_c
    parts = leave_out(one, "drawn_c", 0.5, 0)
    assert np.bincount(one.domains[parts.held_out], minlength=4).tolist() == [10, 0, 0, 0]


@pytest.mark.parametrize(
    ("source", "unseen", "facts"),
    [
        (EYES, "drawn_e", ("data.unseen=drawn_e", "did you mean 'drawn_")),
        (EYES, None, ("data.unseen=null", "choose one of drawn_a, drawn_b")),
        (EYES, "mars", ("data.unseen=mars", "drawn_a, drawn_b")),
        (DrawnEyes(2, 2, domain_names=["drawn_a"]), "drawn_a", ("drawn_a", "only domain", "add another")),
        (where("drawn_a train", "drawn_b train"), "drawn_b", ("drawn_b", "no test images")),
        (where("drawn_a test", "drawn_b test"), "drawn_b", ("drawn_b", "no training images")),
        (MaskedSubset(EYES, np.array([0, 23, 46 + 20])), "drawn_c", ("data.held_out=0.5", "2 training", "held_out=0")),
    ],
)
def test_what_cannot_be_left_out_is_refused(source, unseen, facts):
    with refuses(*facts, error=InputError):
        leave_out(source, check_domain(unseen, source.domain_names), 0.5, 0)


def test_a_subset_is_that_part_of_its_source():
    part = MaskedSubset(DrawnEyes(2, 1, side=32), np.array([7, 2]))
    assert [part.name(0), part.name(1)] == ["drawn_c train 1", "drawn_a test 0"] and len(part) == 2
    assert part.domains.tolist() == [2, 0] and part.split.tolist() == ["train", "test"]
    np.testing.assert_array_equal(part.load(1), part.source.load(2))
    np.testing.assert_array_equal(part.mask(1), part.source.mask(2))
    assert part.fingerprint() != MaskedSubset(part.source, np.array([2, 7])).fingerprint()
    assert part.state() == part.source.state()
