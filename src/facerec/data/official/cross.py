"""CALFW and CPLFW, LFW's pairs across age and across pose, from ``pairs_CALFW.txt`` and ``pairs_CPLFW.txt``.

There are two lines ``IMAGE TOKEN`` per pair, with the same token: 0 for different people; for the same person the
number of the fold, 1 to 10, in CALFW, and 1 in CPLFW. All 3,000 same-person pairs come before the 3,000
different-person pairs, whose folds the lists do not give. As in FaceX-Zoo's ``pairs_parser.py``, each fold is a tenth
of the former and a tenth of the latter, in the order of the list. All images are in one folder, ``NAME_0001.jpg`` in
CALFW, ``NAME_1.jpg`` in CPLFW.
"""

from pathlib import Path

from facerec.data.official.pair_lists import FOLDS, Pair, pair_lines, wrong_line
from facerec.data.readers.text_lines import words
from facerec.errors import InputError

_FETCH = "so fetch the official list again"


def read_cross_pairs(file: str | Path) -> list[Pair]:
    """Read the pairs, fold by fold, same-person pairs first; raise `InputError` for a bad line or unequal folds."""
    file = Path(file)
    lines = list(pair_lines(file))
    if len(lines) % 2 or not lines:
        raise InputError(f"{file} has {len(lines)} lines, and two make a pair: it is cut off, {_FETCH}")
    pairs = [_parse(file, first, second) for first, second in zip(lines[::2], lines[1::2], strict=True)]
    # Sorting is stable: pairs with the same token, in CPLFW all same-person pairs, keep the order of the list.
    same = [pair for token, pair in sorted(pairs, key=lambda found: found[0]) if token]
    different = [pair for token, pair in pairs if not token]
    _refuse_unequal(file, [token for token, _ in pairs])
    size = len(same) // FOLDS
    folds = [slice(fold * size, (fold + 1) * size) for fold in range(FOLDS)]
    return [pair for fold in folds for pair in same[fold] + different[fold]]


def _parse(file: Path, first: tuple[int, str], second: tuple[int, str]) -> tuple[int, Pair]:
    (left, token), (right, other) = _fields(file, *first), _fields(file, *second)
    if token != other:
        raise wrong_line(file, *second, f"and line {first[0]}, the other image of the pair, has {token}: {_FETCH}")
    return token, Pair(left, right, token > 0)


def _fields(file: Path, number: int, line: str) -> tuple[str, int]:
    fields = words(line)
    if len(fields) != 2 or not fields[1].isdecimal() or int(fields[1]) > FOLDS:
        problem = f"not IMAGE and a number from 0 to {FOLDS}, {_FETCH}, or give another list to `list`"
        raise wrong_line(file, number, line, problem)
    return fields[0], int(fields[1])


def _refuse_unequal(file: Path, tokens: list[int]) -> None:
    counts = {token: tokens.count(token) for token in sorted(set(tokens))}
    same = len(tokens) - counts.get(0, 0)
    if same != counts.get(0, 0) or same % FOLDS:
        problem = f"{same} pairs of one person and {counts.get(0, 0)} of two, where {FOLDS} equal folds need as many"
        raise InputError(f"{file} lists {problem} of each: it was changed, {_FETCH}")
    if set(counts) != {0, 1} and counts != {0: same, **dict.fromkeys(range(1, FOLDS + 1), same // FOLDS)}:
        problem = f"lists {counts} pairs by number, where each fold from 1 to {FOLDS} needs {same // FOLDS}"
        raise InputError(f"{file} {problem}: it was changed, {_FETCH}")
