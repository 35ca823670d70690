"""AgeDB-30 from ``04_FINAL_protocol_30_years.mat``, which its authors distribute with ``03_Protocol_Images``.

The MATLAB file has a variable ``splits`` of ten cells, each a structure of two fields: pairs, a 2 x 600 cell array of
structures whose first field is the name of an image without its suffix, and 600 answers, 1 or -1. InsightFace's
``agedb2pack.py`` and FaceX-Zoo's ``pairs_parser.py`` read it in the same way. The lists that circulate as
``agedb_30_pair.txt`` are in the format `plain`.
"""

from pathlib import Path
from typing import Any

import numpy as np

from facerec.data.official.matlab_file import read_variable
from facerec.data.official.pair_lists import FOLDS, Pair
from facerec.errors import InputError
from facerec.files import refuse_no_regular_file


def read_agedb_pairs(file: str | Path) -> list[Pair]:
    """Read the pairs in the order of ``file``, with ``.jpg`` added to the names.

    Raises `InputError` for a file of another structure and for folds of unequal size.
    """
    file = Path(file)
    splits = _load(file)
    try:
        folds = [_read_fold(split) for split in ([] if splits is None else splits.ravel())]
    except (IndexError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise _wrong(file, f"its splits cannot be read as pairs and answers: {error}") from error
    sizes = {(len(fold), sum(pair.is_same for pair in fold)) for fold in folds}
    if len(folds) != FOLDS or len(sizes) != 1:
        raise _wrong(file, f"it has {len(folds)} folds of {sorted({len(fold) for fold in folds})} pairs")
    return [pair for fold in folds for pair in fold]


def _load(file: Path) -> Any:
    refuse_no_regular_file(file)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"pair list {file} cannot be read ({error.strerror}): check its name") from error
    try:
        return read_variable(data, "splits")
    except Exception as error:  # a damaged file can raise anything
        raise _wrong(file, f"it is damaged: {error or type(error).__name__}") from error


def _read_fold(split: np.ndarray) -> list[Pair]:
    ((pairs, answers, *_),) = split.ravel()
    same = answers.tolist()
    if pairs.shape != (2, len(same)) or not set(same) <= {1, -1}:
        raise ValueError(f"{pairs.shape} names and answers {sorted(set(same))[:4]}")
    names = [[_name(image) for image in side] for side in pairs]
    return [Pair(left, right, answer == 1) for left, right, answer in zip(*names, same, strict=True)]


def _name(image: np.ndarray) -> str:
    ((name, *_),) = image.ravel()
    if not isinstance(name, str):
        raise TypeError("an image has no name")
    return f"{name}.jpg"


def _wrong(file: Path, problem: str) -> InputError:
    return InputError(f"{file} is not AgeDB's 04_FINAL_protocol_30_years.mat ({problem}): fetch it again")
