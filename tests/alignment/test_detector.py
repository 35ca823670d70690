import pickle
from pathlib import Path

import numpy as np
import pytest

from facerec.alignment.detector import FaceDetector
from facerec.alignment.placement import template, transform
from facerec.errors import InputError

pytest.importorskip("onnx")
from says import refuses
from yunet_file import Face, write_yunet

SMALL = Face(400, 300, 60, 80, template(112) * 0.5 + [400, 300])
LARGE = Face(50, 40, 150, 200, template(112) * 1.4 + [50, 40])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_yunet(tmp_path / "yunet.onnx", [SMALL, LARGE])
    return tmp_path / "yunet.onnx"


def picture(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 99, np.uint8)


@pytest.mark.parametrize(("face", "planted"), [("largest", LARGE), ("central", SMALL)])
def test_the_chosen_face_comes_to_the_template(model: Path, face: str, planted: Face) -> None:
    placement = FaceDetector(model, face).place("a.jpg", picture(480, 640), 112)
    np.testing.assert_allclose(transform(placement.matrix, planted.points), template(112), atol=1e-3)
    assert placement.residual == pytest.approx(0, abs=1e-3)


def test_points_are_told_in_pixels_of_the_image_that_was_too_large_for_the_detector(model: Path) -> None:
    placement = FaceDetector(model).place("a.jpg", picture(1280, 960), 112)
    # Twice the size: the detector's pixel p covers the image's pixels 2p and 2p + 1.
    np.testing.assert_allclose(transform(placement.matrix, LARGE.points * 2 + 0.5), template(112), atol=1e-3)


def test_a_face_that_fills_the_image_is_found_when_the_image_is_smaller(tmp_path: Path) -> None:
    # An image of brightness 99 that is half as wide as the detector's input leaves a mean of 25.
    write_yunet(tmp_path / "yunet.onnx", [LARGE], most_brightness=50)
    placement = FaceDetector(tmp_path / "yunet.onnx").place("a.jpg", picture(640, 640), 112)
    np.testing.assert_allclose(transform(placement.matrix, LARGE.points * 2 + 0.5), template(112), atol=1e-3)


def test_an_image_without_a_face_says_so(tmp_path: Path) -> None:
    write_yunet(tmp_path / "yunet.onnx", [])
    with refuses("no face", "min_score", error=InputError):
        FaceDetector(tmp_path / "yunet.onnx").place("a.jpg", picture(640, 640), 112)


def test_a_face_of_too_small_a_score_is_none(tmp_path: Path) -> None:
    write_yunet(tmp_path / "yunet.onnx", [LARGE._replace(score=0.7)])
    with refuses("no face", "min_score", error=InputError):
        FaceDetector(tmp_path / "yunet.onnx", min_score=0.8).place("a.jpg", picture(480, 640), 112)
    assert (
        FaceDetector(tmp_path / "yunet.onnx", min_score=0.6).place("a.jpg", picture(480, 640), 112).points is not None
    )


def test_a_detector_travels_to_other_processes(model: Path) -> None:
    detector = FaceDetector(model)
    copy = pickle.loads(pickle.dumps(detector))
    assert copy.key("a.jpg") == detector.key("a.jpg") != FaceDetector(model, "central").key("a.jpg")
    ours, theirs = (one.place("a.jpg", picture(480, 640), 112).matrix for one in (detector, copy))
    np.testing.assert_array_equal(ours, theirs)


def test_what_is_no_detector_is_refused(tmp_path: Path) -> None:
    with refuses("detector", "no.onnx", "No such file or directory", error=InputError):
        FaceDetector(tmp_path / "no.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with refuses("text.onnx", "YuNet", "OpenCV", error=InputError):
        FaceDetector(tmp_path / "text.onnx")
