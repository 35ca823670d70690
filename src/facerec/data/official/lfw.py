"""Labeled Faces in the Wild, View 2, from its ``pairs.txt`` (the README on the benchmark's page describes it).

The first line gives the number of folds and the number of pairs of each kind per fold: ``10 300``. Each fold lists its
same-person pairs, ``NAME NUMBER NUMBER``, and then its different-person pairs, ``NAME NUMBER NAME NUMBER``, with tabs
between the fields. Image 7 of NAME is ``NAME/NAME_0007.jpg``.
"""

from pathlib import Path

from facerec.data.official.pair_lists import FOLDS, Pair, pair_lines, wrong_line
from facerec.data.readers.text_lines import words
from facerec.errors import InputError

_FETCH = "so fetch the official pairs.txt of View 2 again"


def read_lfw_pairs(file: str | Path) -> list[Pair]:
    """Read the pairs in the order of ``file``; raise `InputError` for a line that is not as expected."""
    file = Path(file)
    lines = list(pair_lines(file))
    per_kind = _read_first_line(file, lines)
    pairs = [_parse(file, index, per_kind, number, line) for index, (number, line) in enumerate(lines[1:])]
    if len(pairs) != FOLDS * 2 * per_kind:
        problem = f"lists {len(pairs)} pairs, and its first line promises {FOLDS * 2 * per_kind}"
        raise InputError(f"{file} {problem}: it is cut off or was changed, {_FETCH}")
    return pairs


def _read_first_line(file: Path, lines: list[tuple[int, str]]) -> int:
    if not lines:
        raise InputError(f"pair list {file} is empty: fetch the official pairs.txt of View 2 again")
    number, line = lines[0]
    fields = words(line)
    if len(fields) != 2 or fields[0] != str(FOLDS) or not fields[1].isdecimal() or int(fields[1]) == 0:
        problem = f"not the number of folds, {FOLDS}, and of pairs of each kind in a fold: {_FETCH}"
        raise wrong_line(file, number, line, problem)
    return int(fields[1])


def _parse(file: Path, index: int, per_kind: int, number: int, line: str) -> Pair:
    fold, is_same = index // (2 * per_kind) + 1, index // per_kind % 2 == 0
    fields = line.split("\t") if "\t" in line else words(line)
    names, images = (fields[:1] * 2, fields[1:]) if is_same else (fields[::2], fields[1::2])
    if len(fields) != (3 if is_same else 4) or not all(image.isdecimal() for image in images):
        expected = "NAME NUMBER NUMBER" if is_same else "NAME NUMBER NAME NUMBER"
        position = f"pair {index % per_kind + 1} of {per_kind} {expected} of fold {fold}"
        problem = f"and {position} is expected there: the list is incomplete or out of order, {_FETCH}"
        raise wrong_line(file, number, line, problem)
    left, right = (f"{name}/{name}_{int(image):04d}.jpg" for name, image in zip(names, images, strict=True))
    return Pair(left, right, is_same)
