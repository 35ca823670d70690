"""Scores of one mask against their definitions, pixel by pixel."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from says import refuses
from scipy import ndimage

from facerec.segmentation.mask_scoring import (
    dice,
    fill_holes,
    hausdorff,
    labelled,
    largest_component,
    structures,
    surface_distances,
    vertical_cup_to_disc,
)

SIZES = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)
STRUCTURES = SIZES.flatmap(lambda size: arrays(bool, size))
PAIRS = SIZES.flatmap(lambda size: st.tuples(arrays(bool, size), arrays(bool, size)))
NEIGHBOURS = [(-1, 0), (1, 0), (0, -1), (0, 1)]
CORNERS = [*NEIGHBOURS, *itertools.product((-1, 1), (-1, 1))]


def pixels(structure):
    return {(int(row), int(column)) for row, column in np.argwhere(structure)}


def edge(structure):
    """Pixels with a neighbour that is not in the structure, as none beyond the image is."""
    inside = pixels(structure)
    return [(r, c) for r, c in inside if any((r + dr, c + dc) not in inside for dr, dc in NEIGHBOURS)]


def definition(one, other):
    """The distance of each edge pixel to the nearest one of the other, both ways."""
    edges = edge(one), edge(other)
    return [min(math.dist(p, q) for q in to) for of, to in (edges, edges[::-1]) for p in of]


def components(structure, neighbours):
    """The parts that steps to ``neighbours`` connect, by flooding."""
    left, found = pixels(structure), []
    while left:
        part, waiting = set(), [min(left)]
        while waiting:
            r, c = waiting.pop()
            if (r, c) in left:
                left.remove((r, c))
                part.add((r, c))
                waiting += [(r + dr, c + dc) for dr, dc in neighbours]
        found.append(part)
    return found


@given(PAIRS)
@settings(deadline=None)
def test_distances_are_those_of_the_definition(pair):
    if not pair[0].any() or not pair[1].any():
        return
    expected = definition(*pair)
    np.testing.assert_allclose(np.sort(surface_distances(*pair)), np.sort(expected), rtol=1e-6)
    assert hausdorff(*pair) == pytest.approx(max(expected), rel=1e-6)
    assert hausdorff(*pair, percentile=95) == pytest.approx(np.percentile(expected, 95), rel=1e-6)


def test_the_hausdorff_distance_of_shifted_circles_is_the_shift():
    rows, columns = np.mgrid[:200, :300]
    one, other = ((rows - 100) ** 2 + (columns - x) ** 2 <= 50**2 for x in (100, 130))
    assert hausdorff(one, other) == 30 > hausdorff(one, other, percentile=95) > 25
    assert hausdorff(one, one) == hausdorff(one, one, percentile=95) == 0


def test_a_structure_at_the_border_has_an_edge_there():
    whole = np.ones((5, 7), bool)
    middle = np.zeros((5, 7), bool)
    middle[2, 3] = True
    assert len(surface_distances(whole, middle)) == 20 + 1
    assert hausdorff(whole, middle) == pytest.approx(math.hypot(2, 3))


def test_distances_at_the_size_of_photographs_are_those_of_scipy():
    rng = np.random.default_rng(0)
    blobs = [ndimage.gaussian_filter(rng.normal(size=(300, 260)), 12) > 0.01 for _ in range(2)]
    edges = [blob ^ ndimage.binary_erosion(blob) for blob in blobs]
    far = [ndimage.distance_transform_edt(~one) for one in edges]
    expected = np.concatenate([far[1][edges[0]], far[0][edges[1]]])
    np.testing.assert_allclose(np.sort(surface_distances(*blobs)), np.sort(expected), rtol=1e-6)


@given(STRUCTURES, st.sampled_from([None, 100.0]))
def test_an_empty_structure_has_one_distance_that_is_defined(structure, given_distance):
    nothing = np.zeros_like(structure)
    expected = math.hypot(*structure.shape) if given_distance is None else given_distance
    for pair in ((structure, nothing), (nothing, structure)):
        assert hausdorff(*pair, 95, given_distance) == (expected if structure.any() else 0)


@given(PAIRS, st.sampled_from([0.0, 1.0]))
def test_dice_is_the_definition(pair, smooth):
    p, t = map(pixels, pair)
    found = dice(*pair, smooth)
    assert type(found) is float  # for JSON
    if not p and not t:
        assert found == 1
    else:
        assert found == pytest.approx((2 * len(p & t) + smooth) / (len(p) + len(t) + smooth))
    if smooth == 0 and bool(p) != bool(t):
        assert found == 0


@given(STRUCTURES)
def test_the_largest_component_is_connected_over_corners_and_the_first_of_equal_ones(structure):
    parts = components(structure, CORNERS)
    expected = max(parts, key=lambda part: (len(part), -min(part)[0], -min(part)[1])) if parts else set()
    assert pixels(largest_component(structure)) == expected
    assert largest_component(structure).dtype == bool


@given(STRUCTURES)
def test_holes_are_what_no_path_connects_with_the_border(structure):
    height, width = structure.shape
    open_parts = [
        part
        for part in components(~structure, NEIGHBOURS)
        if any(r in (0, height - 1) or c in (0, width - 1) for r, c in part)
    ]
    everything = set(itertools.product(range(height), range(width)))
    assert pixels(fill_holes(structure)) == everything - set().union(*open_parts)


@given(SIZES.flatmap(lambda size: arrays(np.uint8, size, elements=st.integers(0, 2))))
def test_a_mask_is_its_structures_and_its_ratio_is_that_of_their_heights(mask):
    cup, disc = structures(mask)
    assert not (cup & ~disc).any()
    np.testing.assert_array_equal(labelled(cup, disc), mask)
    heights = [max(rows) - min(rows) + 1 if (rows := [r for r, _ in pixels(one)]) else 0 for one in (cup, disc)]
    assert vertical_cup_to_disc(mask) == (heights[0] / heights[1] if heights[0] else 0)


def test_a_cup_beside_its_disc_extends_it():
    cup, disc = np.zeros((2, 6, 4), bool)
    cup[4:6, 0], disc[0:4, 3] = True, True
    mask = labelled(cup, disc)
    assert mask.dtype == np.uint8 and (mask == 2).sum() == 2 and (mask == 1).sum() == 4
    assert vertical_cup_to_disc(mask) == 2 / 6


@pytest.mark.parametrize("measure", [dice, hausdorff, surface_distances])
@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 1)])
def test_structures_of_other_sizes_are_refused(measure, shape):
    with refuses("(4, 4)", str(shape), "height, width"):
        measure(np.ones((4, 4), bool), np.ones(shape, bool))
