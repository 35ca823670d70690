"""What a second run does, over the faces that an earlier one left."""

import json
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from image_files import plain, write_image
from photos import align_faces, result
from says import says

from facerec.alignment import align


def test_a_second_run_skips_what_is_done(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = (photos, tmp_path / "out", f"landmarks={tmp_path / 'points.csv'}", "workers=1", "format=png")
    assert align_faces(*arguments) == 0
    write_image(photos / "ann é" / "2.png", plain((1, 2, 3), (170, 200)))
    assert align_faces(*arguments) == 0
    found = result(capsys)
    assert (found["aligned"], found["skipped"]) == (1, 4)
    assert align_faces(*arguments, "again=true") == 0
    assert result(capsys)["aligned"] == 5


def test_an_interrupted_run_keeps_what_it_made_and_goes_on(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (photos, tmp_path / "out", f"landmarks={tmp_path / 'points.csv'}", "workers=1")
    write, written = align.write_aligned, []

    def write_two(path: Path, *rest: Any) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path)
        write(path, *rest)

    with mock.patch.object(align, "write_aligned", write_two):
        assert align_faces(*arguments) == 130
    assert says(capsys.readouterr().err, "after 0 faces", "kept", "same command")
    assert sorted((tmp_path / "out").rglob("*.*")) == written
    assert align_faces(*arguments) == 0
    found = result(capsys)
    assert (found["aligned"], found["skipped"]) == (3, 2)


def test_faces_whose_image_is_gone_or_fails_now_do_not_stay(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (photos, tmp_path / "out", f"landmarks={tmp_path / 'points.csv'}", "workers=1")
    assert align_faces(*arguments) == 0
    (photos / "ann é/1.png").write_bytes(b"no image")
    (photos / "ann é/2.png").unlink()
    (photos / "ann é/3.png").rename(photos / "moved.png")
    assert align_faces(*arguments) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out.splitlines()[-1])
    assert (found["skipped"], found["failed"], found["removed"]) == (2, 4, 3)
    assert says(printed.err, "removed 3 faces", "ann é/")
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.jpg")) == ["0.jpg", "4.jpg"]


def test_a_setting_by_which_nothing_can_be_aligned_leaves_the_earlier_faces_alone(photos: Path, tmp_path: Path) -> None:
    assert align_faces(photos, tmp_path / "out", f"landmarks={tmp_path / 'points.csv'}", "workers=1") == 0
    assert align_faces(photos, tmp_path / "out", "crop=lfw", "workers=1") == 1
    assert len(list((tmp_path / "out").rglob("*.jpg"))) == 5


def test_faces_in_another_format_take_the_place_of_those_before(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (photos, tmp_path / "out", f"landmarks={tmp_path / 'points.csv'}", "workers=1")
    assert align_faces(*arguments) == 0
    assert align_faces(*arguments, "format=png") == 0
    found = result(capsys)
    assert (found["aligned"], found["removed"]) == (5, 5)
    assert {path.suffix for path in (tmp_path / "out/ann é").iterdir()} == {".png"}


def test_faces_of_another_folder_of_images_stay_and_are_named(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(tmp_path / "more" / "bob" / "1.png", plain((1, 2, 3), (120, 120)))
    assert align_faces(tmp_path / "more", tmp_path / "out", "crop=0,0,112,112", "workers=1") == 0
    assert align_faces(photos, tmp_path / "out", f"landmarks={tmp_path / 'points.csv'}", "workers=1") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out.splitlines()[-1])["removed"] == 0
    assert says(printed.err, "out also has 1 faces", "bob/1.jpg", "kept")
    assert (tmp_path / "out/bob/1.jpg").is_file()
