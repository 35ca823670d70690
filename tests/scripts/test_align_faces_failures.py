import json
import os
from pathlib import Path

import pytest
from image_files import encode, plain, write_image
from photos import align_faces, failures


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
