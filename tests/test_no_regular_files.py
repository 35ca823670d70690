"""What is read is a file: nobody waits for a pipe, and none of them is said to be missing."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from says import refuses

from facerec.alignment.detector import FaceDetector
from facerec.alignment.fiducials import Fiducials
from facerec.alignment.landmarks import read_landmarks
from facerec.alignment.outputs import read_origin
from facerec.data.modules import read_benchmark
from facerec.data.official.agedb import read_agedb_pairs
from facerec.data.official.lfw import read_lfw_pairs
from facerec.data.official.pair_lists import read_plain_pairs
from facerec.data.readers.insightface import InsightFaceRecords
from facerec.data.readers.list_rows import read_list
from facerec.data.readers.recordio import RecordFile
from facerec.errors import InputError
from facerec.exporting import formats
from facerec.frontal.classifier import load_classifier
from facerec.runs.folder import checkpoint_to_resume
from facerec.training.checkpoints import load_checkpoint

READERS: dict[str, Callable[[Path], Any]] = {
    "train.txt": lambda file: read_list(file.parent, file),
    "listed.txt": lambda file: read_list(file.parent, file.name),
    "lfw/lfw_pair.txt": lambda file: read_benchmark(file.parents[1], "lfw"),
    "lfw.bin": lambda file: read_benchmark(file.parent, "lfw"),
    "train.rec": lambda file: InsightFaceRecords(file.parent),
    "train.idx": lambda file: RecordFile(file.with_suffix(".rec")),
    "pairs.txt": read_plain_pairs,
    "official.txt": read_lfw_pairs,
    "04_FINAL.mat": read_agedb_pairs,
    "points.csv": lambda file: read_landmarks(file, file.parent),
    "face.txt": lambda file: Fiducials(file.parent, ((0,), (1,), (2,)), ((0,), (1,), (2,))).key("face.png"),
    "yunet.onnx": FaceDetector,
    "frontal.pt": load_classifier,
    "best.ckpt": load_checkpoint,
    "last.ckpt": lambda file: checkpoint_to_resume(str(file), file.parent / "run"),
    **{f"network{suffix}": formats.read for suffix in formats.SUFFIXES.values()},
}


@pytest.mark.parametrize("name", READERS)
def test_a_pipe_and_a_folder_are_called_what_they_are(name, tmp_path):
    file = tmp_path / name
    file.mkdir(parents=True)
    with refuses(str(file), "is a folder", error=InputError):
        READERS[name](file)
    if hasattr(os, "mkfifo"):
        file.rmdir()
        os.mkfifo(file)
        with refuses(str(file), "is a pipe", "give the file", error=InputError):
            READERS[name](file)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_where_a_face_is_to_be_is_none(tmp_path):
    os.mkfifo(tmp_path / "face.png")
    assert read_origin(tmp_path / "face.png") is None
