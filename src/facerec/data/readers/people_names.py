"""Whom images show, by their paths, and whether two names are of the same person."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

import numpy as np

_NUMBERED = re.compile(r"(.+?)[_\- .]+\d+$")  # Aaron_Peirsol_0001
_AGEDB = re.compile(r"\d+_(.+)_\d+_\w$")  # 16165_FreddieMercury_36_m
# The fraction of pairs that must agree with the names; published lists have a few wrong answers.
_AGREEMENT = 0.99


def _first_folder(path: PurePosixPath) -> str:
    return path.parts[0] if len(path.parts) > 1 else ""


def _pattern(pattern: re.Pattern[str]) -> Callable[[PurePosixPath], str]:
    def name(path: PurePosixPath) -> str:
        found = pattern.match(path.stem)
        return found[1] if found else ""

    return name


_RULES = (_first_folder, lambda path: path.parent.name, _pattern(_AGEDB), _pattern(_NUMBERED))


def people_in_paths(
    paths: Sequence[str], left: np.ndarray, right: np.ndarray, is_same: np.ndarray
) -> tuple[str, ...] | None:
    """Return the name of each image's person; None if no rule suits the paths.

    The name is the first or last folder, or part of the file's name as in AgeDB (``16165_FreddieMercury_36_m.jpg``) or
    LFW (``Aaron_Peirsol_0001.jpg``): the first of these rules by which pairs of one person, and only they, show the
    same name.

    Args:
        paths: of the images ``(N,)``.
        left, right: indices of the pairs' images ``(P,)``.
        is_same: whether a pair shows one person ``(P,)``.
    """
    parsed = [PurePosixPath(path) for path in paths]
    for rule in _RULES:
        names = np.array([rule(path) for path in parsed])
        if all(names) and np.mean((names[left] == names[right]) == is_same) >= _AGREEMENT:
            return tuple(names.tolist())
    return None


def name_key(name: str) -> str:
    """Reduce a name to its letters and digits, without accents, in lower case.

    A name without letters becomes empty, because different data sets give the same number to different people.
    """
    plain = unicodedata.normalize("NFKD", name).casefold()
    return "".join(filter(str.isalnum, plain)) if any(map(str.isalpha, plain)) else ""


def identity_key(name: str) -> str:
    """Return the `name_key` of the last part of an identity such as ``lfw/Aaron_Peirsol``."""
    return name_key(PurePosixPath(name).name)


def image_keys(name: str) -> set[str]:
    """Return the keys of the people whom an image such as ``Aaron_Peirsol/Aaron_Peirsol_0001.jpg`` may show.

    These are its folders' names and, if it ends in a number, its file name.
    """
    path = PurePosixPath(name)
    numbered = _NUMBERED.match(path.stem)
    return {name_key(part) for part in [*path.parts[:-1], *(numbered.groups() if numbered else ())]} - {""}
