"""Labeled Faces in the Wild, View 2, from its ``pairs.txt`` (the README on the benchmark's page describes it).

The first line says how many folds there are and how many pairs of each kind a fold holds: ``10 300``. Each fold lists
its pairs of one person, ``NAME NUMBER NUMBER``, and then those of two, ``NAME NUMBER NAME NUMBER``, with tabs between.
Image 7 of NAME is ``NAME/NAME_0007.jpg``.
"""

from pathlib import Path

from facerec.data.official.pair_lists import FOLDS, Pair, pair_lines, wrong_line
from facerec.data.readers.text_lines import words
from facerec.errors import InputError

_FETCH = "so fetch the official pairs.txt of View 2 again"


def read_lfw_pairs(file: str | Path) -> list[Pair]:
    """The pairs in the order of ``file``. `InputError` names a line that is not what should stand there."""
    file = Path(file)
    lines = list(pair_lines(file))
    per_kind = _read_first_line(file, lines)
    pairs = [_parse(file, place, per_kind, number, line) for place, (number, line) in enumerate(lines[1:])]
    if len(pairs) != FOLDS * 2 * per_kind:
        raise InputError(
            f"{file} lists {len(pairs)} pairs, and its first line promises {FOLDS * 2 * per_kind}: it is cut off or "
            f"was changed, {_FETCH}"
        )
    return pairs


def _read_first_line(file: Path, lines: list[tuple[int, str]]) -> int:
    if not lines:
        raise InputError(f"pair list {file} is empty: fetch the official pairs.txt of View 2 again")
    number, line = lines[0]
    fields = words(line)
    if len(fields) != 2 or fields[0] != str(FOLDS) or not fields[1].isdecimal() or int(fields[1]) == 0:
        raise wrong_line(
            file, number, line, f"not the number of folds, {FOLDS}, and of pairs of each kind in a fold: {_FETCH}"
        )
    return int(fields[1])


def _parse(file: Path, place: int, per_kind: int, number: int, line: str) -> Pair:
    fold, is_same = place // (2 * per_kind) + 1, place // per_kind % 2 == 0
    fields = line.split("\t") if "\t" in line else words(line)
    names, images = (fields[:1] * 2, fields[1:]) if is_same else (fields[::2], fields[1::2])
    if len(fields) != (3 if is_same else 4) or not all(image.isdecimal() for image in images):
        expected = "NAME NUMBER NUMBER" if is_same else "NAME NUMBER NAME NUMBER"
        raise wrong_line(
            file,
            number,
            line,
            f"and pair {place % per_kind + 1} of {per_kind} {expected} of fold {fold} should stand "
            f"there: the list is incomplete or out of order, {_FETCH}",
        )
    left, right = (f"{name}/{name}_{int(image):04d}.jpg" for name, image in zip(names, images, strict=True))
    return Pair(left, right, is_same)
