"""Where the real faces are, on machines that have them."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("FACEREC_SHARED", Path(__file__).resolve().parents[2] / "shared"))
FACES = SHARED / "faces"
DETECTOR = SHARED / "detector" / "yunet_n_640_640.onnx"
INSIGHTFACE = SHARED / "insightface_sample"
FUNDUS = SHARED / "fundus"

needs_faces = pytest.mark.skipif(not FACES.is_dir(), reason="needs the real faces beside the checkout (shared/faces)")
needs_detector = pytest.mark.skipif(
    not DETECTOR.is_file(), reason="needs a YuNet detector beside the checkout (shared/detector)"
)
needs_insightface = pytest.mark.skipif(
    not INSIGHTFACE.is_dir(), reason="needs the InsightFace sample beside the checkout (shared/insightface_sample)"
)
needs_fundus = pytest.mark.skipif(
    not FUNDUS.is_dir(), reason="needs the real fundus photographs beside the checkout (shared/fundus)"
)
