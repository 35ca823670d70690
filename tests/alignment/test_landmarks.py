import unicodedata
from pathlib import Path

import numpy as np
import pytest
from says import refuses

from facerec.alignment.landmarks import ListedLandmarks, read_landmarks
from facerec.alignment.placement import template
from facerec.errors import InputError

TEN = "11 12 21 22 31 32 41 42 51 52"
POINTS = np.array([[11, 12], [21, 22], [31, 32], [41, 42], [51, 52.0]])
HEADER = ["left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y", "nose_x", "nose_y"]
HEADER += ["left_mouth_x", "left_mouth_y", "right_mouth_x", "right_mouth_y"]


def read(tmp_path: Path, text: str, left: str = "viewer") -> dict[str, np.ndarray]:
    file = tmp_path / "points.txt"
    file.write_text(text, encoding="utf-8")
    return read_landmarks(file, tmp_path, left).points


def commas(text: str) -> str:
    return text.replace(" ", ",")


FORMS = {
    "spaces": f"ann/a b.jpg {TEN}\n",
    "spaces, aligned": f"ann/a b.jpg     {TEN.replace(' ', '   ')}  \r\n",
    "tabs": f"ann/a b.jpg\t{TEN.replace(' ', chr(9))}\n",
    "tabs, with an identity": f"ann/a b.jpg\t17\t{TEN.replace(' ', chr(9))}\n",
    "commas": f"ann/a b.jpg,{commas(TEN)}\n",
    "CSV": f"path,{','.join(HEADER)}\nann/a b.jpg,{commas(TEN)}\n",
    "CSV, byte order mark and semicolons": f"\ufeffimage;{';'.join(HEADER)}\nann/a b.jpg;{TEN.replace(' ', ';')}\n",
    "CSV, quoted": f'path,{",".join(HEADER)}\n"ann/a b.jpg",{commas(TEN)}\n',
    "CSV, the other way round": f"{','.join(HEADER[::-1])},age,path\n{commas(TEN)[::-1]},7,ann/a b.jpg\n",
    "Kaggle's CelebA": (
        "image_id,lefteye_x,lefteye_y,righteye_x,righteye_y,nose_x,nose_y,leftmouth_x,leftmouth_y,rightmouth_x,"
        f"rightmouth_y\nann/a b.jpg,{commas(TEN)}\n"
    ),
    "CelebA": f"1\nlefteye_x lefteye_y righteye_x righteye_y nose_x nose_y\nann/a b.jpg  {TEN}\n",
    "CelebA, a space after the number": f"1 \nlefteye_x lefteye_y righteye_x righteye_y\nann/a b.jpg  {TEN}\n",
    "a comment": f"#ann/b.jpg {TEN}\nann/a b.jpg {TEN}\n",
    "./": f"./ann/a b.jpg {TEN}\n",
    "line ends of old Macs": f"# new\r\rann/a b.jpg {TEN}\r",
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_five_points(tmp_path: Path, form: str) -> None:
    text = FORMS[form]
    if form.endswith("round"):  # the cells, not their digits, stand the other way round
        text = text.replace(commas(TEN)[::-1], ",".join(reversed(TEN.split())))
    (path, points), *others = read(tmp_path, text).items()
    assert (path, others) == ("ann/a b.jpg", [])
    np.testing.assert_array_equal(points, POINTS)


def test_an_empty_cell_is_a_hidden_point(tmp_path: Path) -> None:
    points = read(tmp_path, f"path,{','.join(HEADER)}\na.jpg,11,12,,,31,32,41,42,51,52\n")["a.jpg"]
    np.testing.assert_array_equal(np.isnan(points).any(axis=1), [False, True, False, False, False])


def test_the_subjects_left_is_the_viewers_right(tmp_path: Path) -> None:
    points = read(tmp_path, f"a.jpg {TEN}", left="subject")["a.jpg"]
    np.testing.assert_array_equal(points, POINTS[[1, 0, 2, 4, 3]])


def test_an_absolute_path_below_the_images_is_a_relative_one(tmp_path: Path) -> None:
    assert list(read(tmp_path, f"{tmp_path}/ann/a.jpg {TEN}")) == ["ann/a.jpg"]


def test_a_path_that_looks_like_a_comment_can_be_written(tmp_path: Path) -> None:
    assert list(read(tmp_path, f"./#1/a.jpg {TEN}")) == ["#1/a.jpg"]


def test_white_space_of_a_path_is_its_own(tmp_path: Path) -> None:
    assert list(read(tmp_path, f" ann/\u00a0a .jpg,{commas(TEN)}\n")) == [" ann/\u00a0a .jpg"]


def test_accents_compare_however_they_are_written(tmp_path: Path) -> None:
    apart, composed = (unicodedata.normalize(form, "zoë/müller.jpg") for form in ("NFD", "NFC"))
    listed = ListedLandmarks(read(tmp_path, f"{apart} {TEN}"))
    assert apart != composed
    assert listed.not_among([composed]) == listed.not_among([apart]) == []
    assert listed.key(composed) == listed.key(apart)


def test_landmarks_decide_the_key_and_place_the_face(tmp_path: Path) -> None:
    points = {"a.jpg": template(112) + 5, "b.jpg": template(112) + 6}
    listed = ListedLandmarks(points)
    assert listed.key("a.jpg") != listed.key("b.jpg")
    assert listed.not_among(["a.jpg", "c.jpg"]) == ["b.jpg"]
    placement = listed.place("a.jpg", np.zeros((130, 130, 3), np.uint8), 112)
    np.testing.assert_allclose(placement.matrix, [[1, 0, -5], [0, 1, -5]], atol=1e-12)
    assert placement.residual == pytest.approx(0, abs=1e-9)
    assert not placement.is_mirrored


def test_a_face_whose_left_and_right_are_exchanged_is_noticed() -> None:
    listed = ListedLandmarks({"a.jpg": template(112)[[1, 0, 2, 4, 3]] + 5})
    assert listed.place("a.jpg", np.zeros((130, 130, 3), np.uint8), 112).is_mirrored


FAR = np.array([[-1, 0], [1, 0], [0, 0], [0, -1], [0, 1]])  # from the centre


@pytest.mark.parametrize(
    ("points", "width"),
    [
        (FAR * 1e300 + 60, "inf"),
        (FAR * 1e150 + 60, "9.79e+150"),
        (FAR * 1e7 + 60, "9.79e+07"),
        (template(112) / 130, "0.862"),  # parts of the image's sides
    ],
)
def test_landmarks_of_no_possible_face_are_refused(points: np.ndarray, width: str) -> None:
    listed, image = ListedLandmarks({"a.jpg": points}), np.zeros((130, 130, 3), np.uint8)
    with refuses(f"{width} pixels", "130x130", "pixels of the image", error=InputError):
        listed.place("a.jpg", image, 112)


@pytest.mark.parametrize(
    ("path", "facts"),
    [
        ("b.jpg", ("no landmarks", "add a line")),
        ("a.jpg", ("landmarks", "1056, 1072", "120x130")),
    ],
)
def test_a_face_that_cannot_be_placed_says_why(path: str, facts: tuple[str, ...]) -> None:
    listed = ListedLandmarks({"a.jpg": template(112) + 1000})
    with refuses(*facts, error=InputError):
        listed.place(path, np.zeros((130, 120, 3), np.uint8), 112)


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("", ("points.txt", "empty")),
        ("a.jpg 1 2 3\n", ("line 1", "points.txt", "'a.jpg 1 2 3'", "CSV", "PATH X1 Y1")),
        ("a.jpg,1,2,3\n", ("line 1", "points.txt", "4 cells")),
        (f"a.jpg {TEN}\nb.jpg {TEN[:-2]}left\n", ("line 2", "points.txt", "ten numbers", "left")),
        (f"a.jpg {TEN}\n./a.jpg {TEN}\n", ("line 2", "points.txt", "./a.jpg", "again")),
        ("path,left_eye_x\na.jpg,1\n", ("header", "points.txt", "left_eye_y", "path")),
        (f"path,{','.join(HEADER)}\na.jpg,1\n", ("line 2", "points.txt", "2 cells", "11")),
    ],
)
def test_what_is_no_list_of_landmarks_is_refused(tmp_path: Path, text: str, facts: tuple[str, ...]) -> None:
    with refuses(*facts, error=InputError):
        read(tmp_path, text)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with refuses("no.csv", "No such file or directory", error=InputError):
        read_landmarks(tmp_path / "no.csv", tmp_path)
    (tmp_path / "latin.csv").write_bytes(b"m\xfcller.jpg 1 2")
    with refuses("latin.csv", "UTF-8", "byte 1", error=InputError):
        read_landmarks(tmp_path / "latin.csv", tmp_path)
