import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facerec.doctor.neighbours import COMPLETE, FARTHEST, close_pairs


def distances(hashes: np.ndarray) -> dict[tuple[int, int], int]:
    """Every pair of rows, compared bit by bit."""
    bits = np.unpackbits(hashes.view(np.uint8), axis=1)
    return {(i, j): int((bits[i] != bits[j]).sum()) for j in range(len(bits)) for i in range(j)}


def found(hashes: np.ndarray, *limits: int) -> dict[tuple[int, int], int]:
    first, second, distance = close_pairs(hashes, *limits)
    pairs = list(zip(first.tolist(), second.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    return dict(zip(pairs, distance.tolist(), strict=True))


@st.composite
def families(draw):
    """A few hashes, and copies of them with up to 60 flipped bits."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    bits = rng.integers(0, 2, (draw(st.integers(1, 4)), 256)).astype(np.uint8)
    rows = [*bits]
    for flips in draw(st.lists(st.integers(0, 60), max_size=12)):
        row = rows[rng.integers(len(rows))].copy()
        row[rng.choice(256, flips, replace=False)] ^= 1
        rows.append(row)
    return np.packbits(np.stack(rows), axis=1).view(np.uint64)


@settings(deadline=None)
@given(families(), st.integers(3, 31), st.integers(0, 40))
def test_every_pair_within_the_promised_distance_is_found_and_none_beyond_the_farthest(hashes, complete, more):
    near, truth = found(hashes, complete, complete + more), distances(hashes)
    assert near.items() <= truth.items()
    assert all(distance <= complete + more for distance in near.values())
    assert {pair for pair, distance in truth.items() if distance <= complete} <= near.keys()


@settings(deadline=None)
@given(families(), st.integers(0, 12), st.integers(3, 31), st.integers(0, 40))
def test_rows_of_two_tables_are_paired_each_with_each(hashes, count, complete, more):
    one, other = hashes[:count], hashes[count // 2 :]  # some are in both
    first, second, distance = close_pairs(one, complete, complete + more, others=other)
    near = dict(zip(zip(first.tolist(), second.tolist(), strict=True), distance.tolist(), strict=True))
    assert len(near) == len(first)
    bits = [np.unpackbits(rows.view(np.uint8), axis=1) for rows in (one, other)]
    truth = {(i, j): int((a != b).sum()) for i, a in enumerate(bits[0]) for j, b in enumerate(bits[1])}
    assert near.items() <= truth.items() and all(d <= complete + more for d in near.values())
    assert {pair for pair, d in truth.items() if d <= complete} <= near.keys()


def test_all_bits_flipped_evenly_over_the_hash_are_found_up_to_twelve():
    hashes = np.zeros((COMPLETE + 2, 32), np.uint8)
    for row in range(COMPLETE + 2):
        hashes[row, np.arange(row) * 2] = 1  # one bit in each of so many places
    near = found(hashes.view(np.uint64))
    assert all((0, row) in near for row in range(1, COMPLETE + 1))


def test_many_equal_hashes_are_all_paired():
    hashes = np.full((40, 4), 7, np.uint64)
    assert found(hashes) == {(i, j): 0 for j in range(40) for i in range(j)}


@pytest.mark.parametrize("rows", [0, 1])
def test_fewer_than_two_hashes_have_no_pairs(rows):
    assert found(np.zeros((rows, 4), np.uint64)) == {}


def test_hashes_by_chance_are_far_from_each_other():
    hashes = np.random.default_rng(0).integers(0, 2**64, (3000, 4), np.uint64)
    assert found(hashes) == {} and FARTHEST < 60 < min(distances(hashes[:200]).values())
