import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from says import refuses

from facerec.data.held_out import NUM_FOLDS, _pair, split_identities
from facerec.data.synthetic.synthetic_faces import SyntheticFaces
from facerec.errors import InputError


class Faces(SyntheticFaces):
    """People with so many images each; nothing is drawn."""

    def __init__(self, counts: list[int]) -> None:
        super().__init__(len(counts), 1, image_size=32)
        self.labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))

    def name(self, index: int) -> str:
        return f"{index}"

    def people(self, images: np.ndarray, subset) -> np.ndarray:
        return self.labels[subset.positions[images]]


COUNTS = [1, 2, 3, 30, 5, 4] * 20


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 40), min_size=40, max_size=80), st.integers(0, 5))
def test_nobody_is_trained_on_and_verified_and_nobody_is_lost(counts, seed):
    source = Faces(counts)
    number = min(int((np.array(counts) > 1).sum()), len(counts) - 2)
    if number < 20:
        return
    train, held_out = split_identities(source, number, seed)
    trained = set(source.labels[train.positions])
    verified = set(source.people(np.arange(len(held_out.images)), held_out.images))
    assert not trained & verified and len(trained) == train.num_identities == len(counts) - number
    assert len(train) == sum(counts[person] for person in trained)


@pytest.mark.parametrize("wanted", [20, 60, 0.5])
def test_pairs_come_in_ten_folds_of_other_people_half_of_them_of_one_person(wanted):
    source = Faces(COUNTS)
    _, benchmark = split_identities(source, wanted, seed=1)
    per_fold = len(benchmark) // NUM_FOLDS
    assert len(benchmark) == NUM_FOLDS * per_fold and benchmark.name == "held_out"
    left, right = (source.people(side, benchmark.images) for side in (benchmark.left, benchmark.right))
    assert ((left == right) == benchmark.is_same).all()
    assert (benchmark.is_same.reshape(NUM_FOLDS, -1).mean(axis=1) == 0.5).all()
    people = [set(fold.ravel()) for fold in np.split(np.stack((left, right), axis=1), NUM_FOLDS)]
    assert sum(map(len, people)) == len(set.union(*people))
    assert len({frozenset(pair) for pair in zip(benchmark.left, benchmark.right, strict=True)}) == len(benchmark)
    assert (benchmark.left != benchmark.right).all()


def test_there_are_as_many_pairs_as_in_lfw_where_there_are_images_enough():
    _, benchmark = split_identities(Faces([30] * 60), 50, seed=0)
    assert len(benchmark) == 6000
    _, few = split_identities(Faces([2] * 60), 50, seed=0)
    assert len(few) == 2 * NUM_FOLDS * 5  # five people in a fold, a pair of each


def test_people_count_alike_however_many_images_they_have():
    source = Faces([200, *[4] * 99])
    _, benchmark = split_identities(source, 98, seed=4)
    same = benchmark.left[benchmark.is_same]
    counts = np.bincount(source.people(same, benchmark.images), minlength=100)
    assert counts.max() <= 6 + 1  # the fold's other people have six pairs each


def test_every_number_is_another_pair():
    pairs = _pair(np.arange(7 * 6 // 2)).tolist()
    assert sorted(map(tuple, pairs)) == [(one, other) for one in range(7) for other in range(one + 1, 7)]
    images = 30_000_000
    last = images * (images - 1) // 2 - 1
    assert _pair(np.array([last, last - images + 2, last - images + 1])).tolist() == [
        [images - 2, images - 1],
        [0, images - 1],
        [images - 3, images - 2],
    ]


def test_the_pairs_of_a_person_with_many_images_are_not_listed():
    source = Faces([12_000, *[2] * 39])
    tracemalloc.start()
    _, benchmark = split_identities(source, 38, seed=3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 12_000 in np.bincount(source.labels)[source.people(benchmark.left, benchmark.images)]
    assert peak < 20e6  # a list of 72 million pairs has 1.2e9 bytes


def test_the_seed_chooses_and_nothing_else():
    source = Faces(COUNTS)
    first, again, other = (split_identities(source, 40, seed) for seed in (1, 1, 2))
    assert [part.fingerprint() for part in first] == [part.fingerprint() for part in again]
    assert not {part.fingerprint() for part in first} & {part.fingerprint() for part in other}


@pytest.mark.parametrize(
    ("counts", "wanted", "facts"),
    [
        ([2] * 100, 19, ("19", "20", "10 folds", "0 for none")),
        ([2] * 100, 0.1, ("10", "20", "10 folds", "0 for none")),
        ([1] * 30 + [2] * 30, 31, ("31", "60 identities", "30 have two images", "lower")),
        ([2] * 30, 29, ("29", "30 identities", "30 have two images", "lower")),
    ],
)
def test_a_number_that_cannot_be_held_out_is_refused(counts, wanted, facts):
    with refuses("data.held_out_identities", *facts, error=InputError):
        split_identities(Faces(counts), wanted, 0)
