import csv
import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from image_files import plain, write_image, write_text
from photos import align_faces, failures, result, write_photos, write_points
from says import says
from shared_data import FACES, needs_faces

from facerec.alignment.placement import template, transform
from facerec.data.decode import decode_rgb


def test_photos_become_faces_with_a_page_to_look_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = tmp_path / "photos"
    write_points(tmp_path / "points.csv", write_photos(photos, 9))  # more than go to one process
    assert align_faces(photos, tmp_path / "out", f"landmarks={tmp_path / 'points.csv'}", "workers=2") == 0
    assert result(capsys) == dict(aligned=9, skipped=0, failed=0, removed=0, mean_residual=0.0, largest_residual=0.0)
    face = cv2.imread(str(tmp_path / "out" / "ann é" / "3.jpg"))
    assert face is not None and face.shape == (112, 112, 3)
    assert np.abs(face[..., ::-1].reshape(-1, 3).mean(axis=0) - (75, 99, 200)).max() < 2
    assert failures(tmp_path / "out") == {}
    page = cv2.imread(str(tmp_path / "out" / "contact_sheet.png"))
    assert page is not None and (page[..., 1] > page[..., 2].astype(int) + 100).any()  # green marks


def test_a_list_that_speaks_of_the_subjects_left_is_noticed(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_points(tmp_path / "points.csv", {path: points[[1, 0, 2, 4, 3]] for path, points in read(tmp_path).items()})
    arguments = (photos, tmp_path / "out", f"landmarks={tmp_path / 'points.csv'}", "workers=1")
    assert align_faces(*arguments) == 0
    printed = capsys.readouterr()
    assert says(printed.err, "most faces", "left and right", "exchanged")
    assert json.loads(printed.out)["mean_residual"] > 10
    assert align_faces(*arguments, "left=subject") == 0
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
    assert align_faces(images, tmp_path / "out", f"fiducials={fiducials}", "workers=1") == 0
    found = result(capsys)
    assert (found["aligned"], found["failed"], found["largest_residual"]) == (1, 1, 0)
    assert says(failures(tmp_path / "out")["001/frontal/01.jpg"], "CFP", "frontal_points=LINES")


def test_faces_that_the_detector_finds_are_aligned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx")
    from yunet_file import Face, write_yunet

    write_photos(tmp_path / "photos", 9)
    write_yunet(tmp_path / "yunet.onnx", [Face(30, 20, 110, 130, template(112) + 20)])
    found = tmp_path / "photos", tmp_path / "out", f"detector={tmp_path / 'yunet.onnx'}"
    assert align_faces(*found, "workers=2") == 0
    printed = result(capsys)
    assert (printed["aligned"], printed["failed"]) == (9, 0)
    assert printed["largest_residual"] < 0.01


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
    source = (tmp_path / "in", tmp_path / "out", f"landmarks={tmp_path / 'points.csv'}")
    assert align_faces(*source, "format=png", "workers=1") == 0
    printed = result(capsys)
    assert (printed["aligned"], printed["failed"]) == (20, 0)
    assert printed["largest_residual"] < 0.01
    for path in faces:
        before = decode_rgb((FACES / path).read_bytes(), path).astype(int)
        after = decode_rgb((tmp_path / "out" / path).with_suffix(".png").read_bytes(), path)
        # Its outermost pixels mix with the black around it.
        assert np.abs(before - after)[3:-3, 3:-3].mean() < 4
