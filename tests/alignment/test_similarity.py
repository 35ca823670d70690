import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from says import refuses

from facerec.alignment.placement import fit_similarity, mirrored, residual, template, transform
from facerec.errors import InputError

coordinates = st.floats(-500, 500, width=32)
five_points = arrays(np.float64, (5, 2), elements=coordinates)


def naive_fit(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """x' = a x - b y + s, y' = b x + a y + t: linear in (a, b, s, t)."""
    rows, values = [], []
    for (x, y), (u, v) in zip(points, targets, strict=True):
        rows += [[x, -y, 1, 0], [y, x, 0, 1]]
        values += [u, v]
    a, b, s, t = np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0]
    return np.array([[a, -b, s], [b, a, t]])


def similarity(scale: float, angle: float, x: float, y: float) -> np.ndarray:
    a, b = scale * math.cos(angle), scale * math.sin(angle)
    return np.array([[a, -b, x], [b, a, y]])


@given(five_points, five_points)
def test_the_fit_is_the_solution_of_the_linear_least_squares_problem(points: np.ndarray, targets: np.ndarray) -> None:
    assume(np.ptp(points, axis=0).max() > 1)
    np.testing.assert_allclose(fit_similarity(points, targets), naive_fit(points, targets), rtol=1e-6, atol=1e-5)


@given(st.floats(0.01, 50), st.floats(-math.pi, math.pi), coordinates, coordinates)
def test_a_planted_similarity_is_found(scale: float, angle: float, x: float, y: float) -> None:
    planted = similarity(scale, angle, x, y)
    moved = transform(planted, template(112))
    found = fit_similarity(moved, template(112))
    np.testing.assert_allclose(transform(found, moved), template(112), atol=1e-6)


@given(st.integers(0, 4), st.integers(0, 4))
def test_two_points_are_enough_for_a_planted_similarity(first: int, second: int) -> None:
    assume(first != second)
    points = transform(similarity(3, 0.4, 50, 60), template(112))
    hidden = np.full((5, 2), np.nan)
    hidden[[first, second]] = points[[first, second]]
    np.testing.assert_allclose(transform(fit_similarity(hidden, template(112)), points), template(112), atol=1e-8)


def test_hidden_points_count_neither_for_the_fit_nor_for_the_residual() -> None:
    points = template(112) + np.array([[1, 2], [-3, 0], [0, 1], [2, -2], [1, 1]])
    hidden = points.copy()
    hidden[1] = np.nan
    seen = [0, 2, 3, 4]
    matrix = fit_similarity(hidden, template(112))
    np.testing.assert_allclose(matrix, naive_fit(points[seen], template(112)[seen]))
    distances = np.linalg.norm(transform(matrix, points[seen]) - template(112)[seen], axis=1)
    assert residual(transform(matrix, hidden), template(112)) == pytest.approx(math.sqrt((distances**2).mean()))


def test_a_mirrored_face_is_not_mirrored_back() -> None:
    points = template(112) * [-1, 1] + [112, 0]
    assert np.linalg.det(fit_similarity(points, template(112))[:, :2]) >= 0
    np.testing.assert_allclose(mirrored(points)[:, 0].argsort(), template(112)[:, 0].argsort())


@pytest.mark.parametrize(
    ("points", "facts"),
    [
        (np.full((5, 2), np.nan), ("0 of the face's points", "two or more")),
        (np.array([[3, 4]] + [[np.nan, np.nan]] * 4), ("1 of the face's points", "two or more")),
        (np.full((5, 2), 7.0), ("one place", "landmarks")),
    ],
)
def test_too_little_to_fit_is_refused(points: np.ndarray, facts: tuple[str, ...]) -> None:
    with refuses(*facts, error=InputError):
        fit_similarity(points, template(112))


def test_the_template_of_another_size_is_the_resized_one() -> None:
    # A pixel's left edge is its centre less one half, and edges scale: 0 stays 0 and 112 becomes 96.
    for size in (96, 112, 224):
        np.testing.assert_allclose((template(size) + 0.5) / size, (template(112) + 0.5) / 112)
    np.testing.assert_array_equal(template(112)[0], [38.2946, 51.6963])
