import json
import os
from pathlib import Path

import pytest
from image_files import encode, plain, write_image
from photos import align_faces, failures
from says import says


def test_failures_are_listed_and_the_rest_is_made(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(photos / "eve" / "1.png", plain((1, 2, 3)))
    (photos / "ann é" / "4.png").unlink()
    assert align_faces(photos, tmp_path / "out", f"landmarks={tmp_path / 'points.csv'}", "workers=1") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["failed"] == 2
    assert says(printed.err, "2 of 6 images", "1: the image has no landmarks")
    found = failures(tmp_path / "out")
    assert says(found["eve/1.png"], "no landmarks", "add a line")
    assert says(found["ann é/4.png"], "listed", str(photos))


def test_a_name_with_a_line_break_is_a_sentence_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(9):  # more than go to one process
        write_image(tmp_path / "photos" / "n\nl" / f"\n{number}.png", plain((1, 2, 3), (120, 120)))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "n\nl").touch()  # where a folder must be
    arguments = (tmp_path / "photos", tmp_path / "out", "crop=0,0,112,112", "workers=2")
    assert align_faces(*arguments) == 1
    assert says(capsys.readouterr().err.splitlines()[-1], r"out/n\nl/\n0.jpg", "File exists")


def test_names_that_are_no_text_are_aligned_and_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos").mkdir()
    for name, content in ((b"m\xfcller.png", encode(plain((1, 2, 3), (40, 40)))), (b"b\xfcd.png", b"no image")):
        try:
            (tmp_path / "photos" / os.fsdecode(name)).write_bytes(content)
        except OSError:
            pytest.skip("this file system has no such names")
    assert align_faces(tmp_path / "photos", tmp_path / "out", "crop=0,0,40,40", "workers=1") == 0
    assert (tmp_path / "out" / os.fsdecode(b"m\xfcller.jpg")).is_file()
    assert list(failures(tmp_path / "out")) == ["b\\udcfcd.png"]
    assert (tmp_path / "out" / "contact_sheet.png").is_file()


def test_nothing_aligned_is_exit_status_1(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert align_faces(photos, tmp_path / "out", "crop=lfw", "workers=1") == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out) == dict(
        aligned=0, skipped=0, failed=5, removed=0, mean_residual=None, largest_residual=None
    )
    assert says(printed.err, "  5: ", "134 pixels", "(58, 51)")


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["no", "out", "crop=lfw"], ("no", "folder", "folder of images")),
        (["empty", "out", "crop=lfw"], ("empty", "no image", "images to align")),
        (["photos", "photos", "crop=lfw"], ("photos", "overwrite", "another folder")),
        (["photos", "out", "crop=1,2"], ("crop=1,2", "LEFT,TOP,WIDTH,HEIGHT")),
        (["photos", "out", "crop=lfw", "size=0"], ("size", "16", "1024", "'0'")),
        (["photos", "out", "landmarks=no.csv"], ("landmarks file", "no.csv", "No such file or directory")),
        (["photos", "out", "detector=no.onnx"], ("detector", "no.onnx", "No such file or directory")),
        (["photos", "out", "fiducials=no", "profile_points=x"], ("'x'", "points", "three groups")),
        (["photos", "out", "crop="], ("crop= has no value",)),
        (["photos", "out", "crop=lfw", "workers=0"], ("workers", "at least 1", "'0'")),
        (["photos", "out", "crop=lfw", "workers=1000000"], ("workers=1000000", "cores", "at most")),
        (["photos", "out", "crop=lfw", "left=viewer"], ("left=", "landmarks=")),
        (["photos", "out", "landmarks=points.csv", "face=largest"], ("face=", "detector=")),
        (["photos", "out", "landmarks=points.csv", "min_score=0"], ("min_score=", "detector=")),
        (["photos", "out", "crop=lfw", "frontal_points=1/2/3"], ("frontal_points=", "fiducials=")),
        (["photos", "out", "detector=no.onnx", "profile_points=1/2/3"], ("profile_points=", "fiducials=")),
        (["photos", "out", "detector=no.onnx", "min_score=90"], ("min_score", "0 and 1", "'90'")),
        (["photos", "out", "detector=no.onnx", "min_score=nan"], ("min_score", "0 and 1", "'nan'")),
        (["photos", "out"], ("landmarks, detector, fiducials, crop", "got 0")),
        (["photos", "out", "crop=lfw", "landmarks=a"], ("landmarks, detector, fiducials, crop", "got 2")),
        (["page", "out", "crop=lfw", "format=png"], ("contact_sheet.jpg", "contact_sheet.png", "rename")),
        (["twice", "out", "crop=lfw"], ("1.jpg", "1.png", "rename")),
        (["photos", "file", "landmarks=points.csv"], ("out=file", "file", "name a folder")),
    ],
)
def test_wrong_input_ends_in_one_sentence(
    arguments: list[str],
    facts: tuple[str, ...],
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
    assert align_faces(*arguments[:2], "workers=1", *arguments[2:]) == 1
    printed = capsys.readouterr()
    assert says(printed.err.splitlines()[-1], *facts)
    assert printed.out == ""
