from pathlib import Path

import numpy as np
import pytest
from image_files import write_text
from says import refuses

from facerec.alignment.fiducials import PROFILE_LINES, Fiducials, parse_lines
from facerec.alignment.placement import template, transform
from facerec.errors import InputError

EYE, NOSE, MOUTH = range(12, 18), 21, 25
PICTURE = np.zeros((300, 300, 3), np.uint8)


def half_face(eye: int, mouth: int, ear: float) -> np.ndarray:
    """Thirty points around the template's points ``eye``, nose and ``mouth``, the ear at the column ``ear``."""
    points = np.full((30, 2), 60.0)
    points[0] = ear, 60
    circle = np.exp(2j * np.pi * np.arange(6) / 6)
    points[EYE] = template(112)[eye] + 4 * np.stack([circle.real, circle.imag], axis=1)
    points[NOSE], points[MOUTH] = template(112)[2], template(112)[mouth]
    return points


def write_points(folder: Path, path: str, points: np.ndarray) -> None:
    write_text(folder / path, "".join(f"{x:.6f},{y:.6f}\n" for x, y in points))


@pytest.mark.parametrize(("eye", "mouth", "ear"), [(0, 3, 5.0), (1, 4, 105.0)])
def test_a_profile_is_placed_by_the_half_that_is_seen(tmp_path: Path, eye: int, mouth: int, ear: float) -> None:
    planted = np.array([[2.0, -0.5, 40], [0.5, 2.0, 10]])
    write_points(tmp_path, "001/profile/02.txt", transform(planted, half_face(eye, mouth, ear)))
    fiducials = Fiducials(tmp_path, parse_lines(PROFILE_LINES), None)
    placement = fiducials.place("001/profile/02.jpg", PICTURE, 112)
    np.testing.assert_allclose(transform(placement.matrix, transform(planted, template(112))), template(112), atol=1e-4)
    assert placement.points is not None
    assert np.flatnonzero(~np.isnan(placement.points[:, 0])).tolist() == [eye, 2, mouth]


def test_frontal_files_need_to_be_told_which_lines_make_the_points(tmp_path: Path) -> None:
    points = np.full((68, 2), 60.0)
    points[[37, 40]], points[[43, 46]] = template(112)[0], template(112)[1]
    points[[30, 48, 54]] = template(112)[2:]
    write_points(tmp_path, "001/frontal/02.txt", points)
    with refuses("CFP", "points", "frontal_points=", error=InputError):
        Fiducials(tmp_path, parse_lines(PROFILE_LINES), None).key("001/frontal/02.jpg")
    fiducials = Fiducials(tmp_path, parse_lines(PROFILE_LINES), parse_lines("38,41/44,47/31/49/55"))
    placement = fiducials.place("001/frontal/02.jpg", PICTURE, 112)
    np.testing.assert_allclose(placement.matrix, [[1, 0, 0], [0, 1, 0]], atol=1e-5)


def test_lines_are_counted_from_one() -> None:
    assert parse_lines("13-18/22/26") == ((12, 13, 14, 15, 16, 17), (21,), (25,))


@pytest.mark.parametrize("text", ["", "1/2", "1/2/3/4", "0/1/2", "a/b/c", "3-1/1/2", "5-3,7/1/2"])
def test_what_names_no_points_is_refused(text: str) -> None:
    with refuses("points", "three groups", error=InputError):
        parse_lines(text)


def test_files_that_are_not_what_they_should_be_are_refused(tmp_path: Path) -> None:
    fiducials = Fiducials(tmp_path, parse_lines(PROFILE_LINES), None)
    with refuses("01.txt", "No such file or directory", error=InputError):
        fiducials.key("001/profile/01.jpg")
    for text in ("1,2\n3\n", "7\n" * 60, "1,2,3\n" * 30):
        write_text(tmp_path / "001/profile/01.txt", text)
        with refuses("01.txt", "X,Y", error=InputError):
            fiducials.key("001/profile/01.jpg")
    write_points(tmp_path, "001/profile/01.txt", np.zeros((21, 2)))
    with refuses("fiducial file", "21 points", "line 26", error=InputError):
        fiducials.key("001/profile/01.jpg")
