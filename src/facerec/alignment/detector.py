"""Face detection by OpenCV's YuNet detector, with a model file that the user provides."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
from cv2.utils import logging

from facerec.alignment.placement import Placement, place_points
from facerec.errors import InputError
from facerec.files import digest_of_file, refuse_no_regular_file

# Input size of the published YuNet files, some of which accept no other. An image is shrunk to fit and padded.
_SIDE = 640
# YuNet finds faces of up to about 300 pixels; a face that fills the image is found in a smaller version of the image.
_LONGER_SIDES = (640, 320, 160)


@dataclass(frozen=True, eq=False)
class DetectedFace:
    """A face in an image.

    Attributes:
        box: left, top, width and height in pixels; it may reach beyond the image.
        points: the five points ``(5, 2)``, in the order of `facerec.alignment.placement.POINTS`.
        score: of the detector, 0 to 1.
    """

    box: tuple[float, float, float, float]
    points: np.ndarray
    score: float

    @property
    def area(self) -> float:
        return self.box[2] * self.box[3]


class FaceDetector:
    """Finds faces with YuNet, and places one of them.

    Args:
        model: an ONNX file of YuNet (``face_detection_yunet_*.onnx`` of OpenCV's model zoo); `InputError` if it is not
            one.
        face: which of several faces to choose, the ``largest`` or the most ``central``.
        min_score: faces with a lower score of the detector (0 to 1) are ignored.
    """

    version: ClassVar[int] = 1

    def __init__(self, model: Path, face: str = "largest", min_score: float = 0.9) -> None:
        self.model, self.face, self.min_score = model, face, min_score
        refuse_no_regular_file(model)
        try:
            self._digest = digest_of_file(model)
            self._detector.detect(np.zeros((_SIDE, _SIDE, 3), np.uint8))
        except OSError as error:
            raise InputError(f"detector {model} cannot be read ({error.strerror}): check detector=") from error
        except cv2.error as error:
            raise InputError(
                f"{model} is not a YuNet face detector that OpenCV {cv2.__version__} can run: take "
                "face_detection_yunet from OpenCV's model zoo"
            ) from error

    def key(self, path: str) -> str:
        return f"detector {self._digest} {self.face} {self.min_score}"

    def place(self, path: str, image: np.ndarray, size: int) -> Placement:
        faces = self.detect(image)
        if not faces:
            raise InputError("no face was found in the image: lower min_score or give landmarks")
        middle = np.array([image.shape[1], image.shape[0]]) / 2
        chosen = faces[0] if self.face == "largest" else min(faces, key=lambda face: _distance(face, middle))
        return place_points(chosen.points, image, size)

    def detect(self, image: np.ndarray) -> list[DetectedFace]:
        """Return the faces in ``image``, uint8 RGB ``(H, W, 3)``, the largest first."""
        # The detector's first point is the subject's right eye, which is the viewer's left one.
        rows = self._detect(image).astype(float)
        faces = [DetectedFace(tuple(row[:4].tolist()), row[4:14].reshape(5, 2), float(row[14])) for row in rows]
        return sorted(faces, key=lambda face: -face.area)

    def _detect(self, image: np.ndarray) -> np.ndarray:
        """Return one row per face: left, top, width, height, five points, score."""
        for side in _LONGER_SIDES:
            scale = min(1.0, side / max(image.shape[:2]))
            canvas = _fitted(image, scale)
            _, faces = self._detector.detect(canvas)
            if faces is not None and len(faces):
                faces[:, 2:4] /= scale
                faces[:, [0, 1, *range(4, 14)]] = (faces[:, [0, 1, *range(4, 14)]] + 0.5) / scale - 0.5
                return faces
        return np.empty((0, 15), np.float32)

    @cached_property
    def _detector(self) -> cv2.FaceDetectorYN:
        before = logging.setLogLevel(logging.LOG_LEVEL_ERROR)  # it warns about a target that was not requested
        try:
            return cv2.FaceDetectorYN.create(str(self.model), "", (_SIDE, _SIDE), self.min_score)
        finally:
            logging.setLogLevel(before)

    def __getstate__(self) -> dict[str, object]:
        """Leave out the detector, which each process creates for itself."""
        return {name: value for name, value in self.__dict__.items() if name != "_detector"}


def _distance(face: DetectedFace, place: np.ndarray) -> float:
    return float(np.linalg.norm(np.array(face.box[:2]) + np.array(face.box[2:]) / 2 - place))


def _fitted(image: np.ndarray, scale: float) -> np.ndarray:
    """Shrink ``image``, RGB, by ``scale`` and put it into the corner of the detector's input, BGR."""
    height, width = (max(1, round(length * scale)) for length in image.shape[:2])
    canvas = np.zeros((_SIDE, _SIDE, 3), np.uint8)
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    canvas[:height, :width] = small[..., ::-1]
    return canvas
