import csv
import json
import math
import os
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import pytest
from image_files import encode, plain, write_image, write_text
from running import program
from shared_data import FACES, needs_faces

from facerec.alignment import align
from facerec.alignment.similarity import POINTS, template, transform
from facerec.data.decode import decode_rgb

HEADER = ["path", *(f"{point}_{axis}" for point in POINTS for axis in "xy")]


def align_faces(*arguments: object) -> int:
    return program("scripts/align_faces.py").main([str(argument) for argument in arguments])


def result(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def write_points(file: Path, points: dict[str, np.ndarray]) -> None:
    with file.open("w", encoding="utf-8", newline="") as lines:
        csv.writer(lines).writerows([HEADER, *([path, *place.ravel().tolist()] for path, place in points.items())])


def failures(out: Path) -> dict[str, str]:
    with (out / "failures.csv").open(encoding="utf-8", newline="") as lines:
        return {row["path"]: row["reason"] for row in csv.DictReader(lines)}


def write_photos(folder: Path, number: int = 5) -> dict[str, np.ndarray]:
    """Photos of one colour each, and landmarks for them."""
    for index in range(number):
        write_image(folder / "ann é" / f"{index}.png", plain((25 * index, 99, 200), (160, 200)))
    return {f"ann é/{index}.png": template(112) + 20 for index in range(number)}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    write_points(tmp_path / "points.csv", write_photos(tmp_path / "photos"))
    return tmp_path / "photos"


def test_photos_become_faces_with_a_page_to_look_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = tmp_path / "photos"
    write_points(tmp_path / "points.csv", write_photos(photos, 9))  # more than go to one process
    assert align_faces(photos, tmp_path / "out", "--landmarks", tmp_path / "points.csv", "--workers", 2) == 0
    assert result(capsys) == dict(aligned=9, skipped=0, failed=0, removed=0, mean_residual=0.0, largest_residual=0.0)
    face = cv2.imread(str(tmp_path / "out" / "ann é" / "3.jpg"))
    assert face is not None and face.shape == (112, 112, 3)
    assert np.abs(face[..., ::-1].reshape(-1, 3).mean(axis=0) - (75, 99, 200)).max() < 2
    assert failures(tmp_path / "out") == {}
    page = cv2.imread(str(tmp_path / "out" / "contact_sheet.png"))
    assert page is not None and (page[..., 1] > page[..., 2].astype(int) + 100).any()  # green marks


def test_a_second_run_skips_what_is_done(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = (photos, tmp_path / "out", "--landmarks", tmp_path / "points.csv", "--workers", 1, "--format", "png")
    assert align_faces(*arguments) == 0
    write_image(photos / "ann é" / "2.png", plain((1, 2, 3), (170, 200)))
    assert align_faces(*arguments) == 0
    found = result(capsys)
    assert (found["aligned"], found["skipped"]) == (1, 4)
    assert align_faces(*arguments, "--again") == 0
    assert result(capsys)["aligned"] == 5


def test_an_interrupted_run_keeps_what_it_made_and_goes_on(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (photos, tmp_path / "out", "--landmarks", tmp_path / "points.csv", "--workers", 1)
    write, written = align.write_aligned, []

    def write_two(path: Path, *rest: Any) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path)
        write(path, *rest)

    with mock.patch.object(align, "write_aligned", write_two):
        assert align_faces(*arguments) == 130
    assert "which are kept: run the same command again to go on" in capsys.readouterr().err
    assert sorted((tmp_path / "out").rglob("*.*")) == written
    assert align_faces(*arguments) == 0
    found = result(capsys)
    assert (found["aligned"], found["skipped"]) == (3, 2)


def test_failures_are_listed_and_the_rest_is_made(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(photos / "eve" / "1.png", plain((1, 2, 3)))
    (photos / "ann é" / "4.png").unlink()
    assert align_faces(photos, tmp_path / "out", "--landmarks", tmp_path / "points.csv", "--workers", 1) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["failed"] == 2
    assert "not aligned: 2 of 6 images, see" in printed.err
    assert "  1: the image has no landmarks" in printed.err
    found = failures(tmp_path / "out")
    assert found["eve/1.png"] == "the image has no landmarks: add a line for it"
    assert found["ann é/4.png"].startswith("the image is listed and not below")


def test_faces_whose_image_is_gone_or_fails_now_do_not_stay(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (photos, tmp_path / "out", "--landmarks", tmp_path / "points.csv", "--workers", 1)
    assert align_faces(*arguments) == 0
    (photos / "ann é/1.png").write_bytes(b"no image")
    (photos / "ann é/2.png").unlink()
    (photos / "ann é/3.png").rename(photos / "moved.png")
    assert align_faces(*arguments) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out.splitlines()[-1])
    assert (found["skipped"], found["failed"], found["removed"]) == (2, 4, 3)
    assert "faces of earlier runs removed: 3, such as ann é/" in printed.err
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.jpg")) == ["0.jpg", "4.jpg"]


def test_a_setting_by_which_nothing_can_be_aligned_leaves_the_earlier_faces_alone(photos: Path, tmp_path: Path) -> None:
    assert align_faces(photos, tmp_path / "out", "--landmarks", tmp_path / "points.csv", "--workers", 1) == 0
    assert align_faces(photos, tmp_path / "out", "--crop", "lfw", "--workers", 1) == 1
    assert len(list((tmp_path / "out").rglob("*.jpg"))) == 5


def test_faces_in_another_format_take_the_place_of_those_before(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (photos, tmp_path / "out", "--landmarks", tmp_path / "points.csv", "--workers", 1)
    assert align_faces(*arguments) == 0
    assert align_faces(*arguments, "--format", "png") == 0
    found = result(capsys)
    assert (found["aligned"], found["removed"]) == (5, 5)
    assert {path.suffix for path in (tmp_path / "out/ann é").iterdir()} == {".png"}


def test_faces_of_another_folder_of_images_stay_and_are_named(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(tmp_path / "more" / "bob" / "1.png", plain((1, 2, 3), (120, 120)))
    assert align_faces(tmp_path / "more", tmp_path / "out", "--crop", "0,0,112,112", "--workers", 1) == 0
    assert align_faces(photos, tmp_path / "out", "--landmarks", tmp_path / "points.csv", "--workers", 1) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out.splitlines()[-1])["removed"] == 0
    assert "out: 1, such as bob/1.jpg, which stay" in printed.err
    assert (tmp_path / "out/bob/1.jpg").is_file()


def test_a_name_with_a_line_break_is_a_sentence_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(9):  # more than go to one process
        write_image(tmp_path / "photos" / "n\nl" / f"\n{number}.png", plain((1, 2, 3), (120, 120)))
    (tmp_path / "file").touch()
    arguments = (tmp_path / "photos", tmp_path / "file", "--crop", "0,0,112,112", "--workers", 2)
    assert align_faces(*arguments) == 1
    assert r"file/n\nl/\n0.jpg cannot be written (Not a directory)" in capsys.readouterr().err.splitlines()[-1]


def test_names_that_are_no_text_are_aligned_and_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos").mkdir()
    for name, content in ((b"m\xfcller.png", encode(plain((1, 2, 3), (40, 40)))), (b"b\xfcd.png", b"no image")):
        try:
            (tmp_path / "photos" / os.fsdecode(name)).write_bytes(content)
        except OSError:
            pytest.skip("this file system has no such names")
    assert align_faces(tmp_path / "photos", tmp_path / "out", "--crop", "0,0,40,40", "--workers", 1) == 0
    assert (tmp_path / "out" / os.fsdecode(b"m\xfcller.jpg")).is_file()
    assert list(failures(tmp_path / "out")) == ["b\\udcfcd.png"]
    assert (tmp_path / "out" / "contact_sheet.png").is_file()


def test_nothing_aligned_is_exit_status_1(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert align_faces(photos, tmp_path / "out", "--crop", "lfw", "--workers", 1) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out) == dict(
        aligned=0, skipped=0, failed=5, removed=0, mean_residual=None, largest_residual=None
    )
    assert "  5: the crop of 134 pixels from (58, 51) reaches beyond the image" in printed.err


def test_a_list_that_speaks_of_the_subjects_left_is_noticed(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_points(tmp_path / "points.csv", {path: points[[1, 0, 2, 4, 3]] for path, points in read(tmp_path).items()})
    arguments = (photos, tmp_path / "out", "--landmarks", tmp_path / "points.csv", "--workers", 1)
    assert align_faces(*arguments) == 0
    printed = capsys.readouterr()
    assert "most faces fit better with left and right exchanged" in printed.err
    assert json.loads(printed.out)["mean_residual"] > 10
    assert align_faces(*arguments, "--left", "subject") == 0
    printed = capsys.readouterr()
    assert "exchanged" not in printed.err
    assert json.loads(printed.out)["mean_residual"] == 0


def read(folder: Path) -> dict[str, np.ndarray]:
    with (folder / "points.csv").open(encoding="utf-8", newline="") as lines:
        return {row[0]: np.array(row[1:], float).reshape(5, 2) for row in list(csv.reader(lines))[1:]}


def test_profiles_of_cfp_are_aligned_by_their_fiducials(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images, fiducials = tmp_path / "Images", tmp_path / "Fiducials"
    points = np.full((30, 2), 60.0)
    points[12:18], points[21], points[25], points[0] = *(template(112)[[0, 2, 3]] + 20), (10, 60)
    for view in ("profile", "frontal"):
        write_image(images / "001" / view / "01.jpg", plain((9, 99, 200), (160, 200)))
        write_text(fiducials / "001" / view / "01.txt", "".join(f"{x},{y}\n" for x, y in points))
    assert align_faces(images, tmp_path / "out", "--fiducials", fiducials, "--workers", 1) == 0
    found = result(capsys)
    assert (found["aligned"], found["failed"], found["largest_residual"]) == (1, 1, 0)
    assert failures(tmp_path / "out")["001/frontal/01.jpg"].endswith("is not known: give --frontal-points")


def test_faces_that_the_detector_finds_are_aligned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx")
    from yunet_file import Face, write_yunet

    write_photos(tmp_path / "photos", 9)
    write_yunet(tmp_path / "yunet.onnx", [Face(30, 20, 110, 130, template(112) + 20)])
    found = tmp_path / "photos", tmp_path / "out", "--detector", tmp_path / "yunet.onnx"
    assert align_faces(*found, "--workers", 2) == 0
    printed = result(capsys)
    assert (printed["aligned"], printed["failed"]) == (9, 0)
    assert printed["largest_residual"] < 0.01


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["no", "out", "--crop", "lfw"], "no is not a folder: give the folder of images to align"),
        (["empty", "out", "--crop", "lfw"], "empty holds no image: give the folder of images to align"),
        (["photos", "photos", "--crop", "lfw"], "aligned faces in photos could overwrite the images in photos"),
        (["photos", "out", "--crop", "1,2"], "--crop 1,2 is not a crop"),
        (["photos", "out", "--crop", "lfw", "--size", "0"], "--size 0 is not between 16 and 1024 pixels"),
        (["photos", "out", "--landmarks", "no.csv"], "landmarks file no.csv cannot be read"),
        (["photos", "out", "--detector", "no.onnx"], "detector no.onnx cannot be read"),
        (["photos", "out", "--fiducials", "no", "--profile-points", "x"], "'x' does not name points"),
        (["photos", "out", "--crop", ""], "--crop  is not a crop"),
        (["photos", "out", "--crop", "lfw", "--workers", "0"], "--workers 0 is not 1 or more: give the number of"),
        (["photos", "out", "--crop", "lfw", "--left", "viewer"], "--left goes with --landmarks, which is not given"),
        (["photos", "out", "--landmarks", "points.csv", "--face", "largest"], "--face goes with --detector, which"),
        (["photos", "out", "--landmarks", "points.csv", "--min-score", "0"], "--min-score goes with --detector"),
        (["photos", "out", "--crop", "lfw", "--frontal-points", "1/2/3"], "--frontal-points goes with --fiducials"),
        (["photos", "out", "--detector", "no.onnx", "--profile-points", "1/2/3"], "--profile-points goes with"),
        (["photos", "out", "--detector", "no.onnx", "--min-score", "90"], "--min-score 90.0 is not between 0 and 1"),
        (["photos", "out", "--detector", "no.onnx", "--min-score", "nan"], "--min-score nan is not between 0 and 1"),
        (["page", "out", "--crop", "lfw", "--format", "png"], "the face of contact_sheet.jpg would become contact_she"),
        (["twice", "out", "--crop", "lfw"], "1.jpg and 1.png would both become 1.jpg"),
        (["photos", "file", "--landmarks", "points.csv"], "3.jpg cannot be written (Not a directory)"),
    ],
)
def test_wrong_input_ends_in_one_sentence(
    arguments: list[str],
    sentence: str,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("file").touch()
    for name in ("twice/1.png", "twice/1.jpg", "page/contact_sheet.jpg"):
        write_image(Path(name), plain((1, 2, 3)))
    assert align_faces(*arguments[:2], "--workers", 1, *arguments[2:]) == 1
    printed = capsys.readouterr()
    assert sentence.replace("3.jpg", "0.jpg") in printed.err.splitlines()[-1]
    assert printed.out == ""


def planted(rng: np.random.Generator, side: int) -> np.ndarray:
    """A similarity that takes an aligned face into the middle of a picture of ``side``."""
    scale, angle = np.exp(rng.uniform(0, np.log(side / 112 / 1.6))), rng.uniform(-math.pi, math.pi)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) * scale
    middle = side / 2 + rng.uniform(-20, 20, 2)
    return np.column_stack([turn, middle - turn @ [55.5, 55.5]])


@needs_faces
def test_real_faces_that_were_put_into_photos_come_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng, points = np.random.default_rng(0), {}
    listed = (FACES / "train_mini.txt").read_text(encoding="utf-8").split("\n")[:13000:650]
    faces = [line.rsplit(maxsplit=1)[0] for line in listed]
    for path in faces:
        face = decode_rgb((FACES / path).read_bytes(), path)
        matrix = planted(rng, 480)
        photo = cv2.warpAffine(face, matrix, (480, 480), flags=cv2.INTER_CUBIC)
        name = str(Path(path).with_suffix(".png"))
        write_image(tmp_path / "in" / name, photo)
        points[name] = transform(matrix, template(112))
    write_points(tmp_path / "points.csv", points)
    source = (tmp_path / "in", tmp_path / "out", "--landmarks", tmp_path / "points.csv")
    assert align_faces(*source, "--format", "png", "--workers", 1) == 0
    printed = result(capsys)
    assert (printed["aligned"], printed["failed"]) == (20, 0)
    assert printed["largest_residual"] < 0.01
    for path in faces:
        before = decode_rgb((FACES / path).read_bytes(), path).astype(int)
        after = decode_rgb((tmp_path / "out" / path).with_suffix(".png").read_bytes(), path)
        # Its outermost pixels mix with the black around it.
        assert np.abs(before - after)[3:-3, 3:-3].mean() < 4
