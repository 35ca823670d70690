"""Verification pairs as listed by the authors of a benchmark, before the images are located."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from facerec.data.readers.text_lines import BLANKS, numbered_lines, quote, words
from facerec.errors import InputError

FOLDS = 10


class Pair(NamedTuple):
    """Two images by their paths in the benchmark's own folder, and whether they show the same person."""

    left: str
    right: str
    is_same: bool


def pair_lines(file: Path, remedy: str = "check its name") -> Iterator[tuple[int, str]]:
    """Yield the lines like `numbered_lines`, without outer spaces and tabs; official lists have no comments."""
    for number, line in numbered_lines(file, "pair list", remedy):
        yield number, line.strip(BLANKS)


def wrong_line(file: Path, number: int, line: str, problem: str) -> InputError:
    return InputError(f"line {number} of {file} is {quote(line)}, {problem}")


def refuse_other_numbers(file: Path, pairs: Sequence[Pair]) -> None:
    """Raise `InputError` for a number of pairs that is not a multiple of ten, which protocols divide in different ways,
    and for fewer than two pairs per fold."""
    if len(pairs) < 2 * FOLDS:
        need = f"{FOLDS} folds with pairs of one person and of two need {2 * FOLDS}: add pairs"
        raise InputError(f"{file} lists {len(pairs)} pairs, and {need}")
    more = len(pairs) % FOLDS
    if more:
        need = f"{FOLDS} folds of one size need a multiple of {FOLDS}: remove {more} or add {FOLDS - more}"
        raise InputError(f"{file} lists {len(pairs)} pairs, and {need}")


def refuse_one_sided_folds(file: Path, pairs: Sequence[Pair]) -> None:
    """Raise `InputError` if one of the contiguous tenths, the protocol's folds, has only one kind of pair."""
    size = len(pairs) // FOLDS
    for fold in range(FOLDS):
        start, end = fold * size, (fold + 1) * size
        if len({pair.is_same for pair in pairs[start:end]}) < 2:
            problem = f"pairs {start + 1} to {end} of {file}, fold {fold + 1} of {FOLDS}, are all of one kind"
            remedy = "list them fold by fold, each with both kinds, as facerec prepare_benchmark list deal=true does"
            raise InputError(f"{problem}: {remedy}")


def dealt(file: Path, pairs: Sequence[Pair]) -> list[Pair]:
    """Return the pairs in another order, dealt in turn into ten folds of one size, each with both kinds.

    Raises `InputError` if there are fewer than ten pairs of a kind.
    """
    same, different = ([pair for pair in pairs if pair.is_same is kind] for kind in (True, False))
    for kind, found in (("one person", same), ("two people", different)):
        if len(found) < FOLDS:
            raise InputError(f"{file} lists {len(found)} pairs of {kind}, and {FOLDS} folds need {FOLDS}: add pairs")
    in_order = same + different
    return [pair for fold in range(FOLDS) for pair in in_order[fold::FOLDS]]


_FORM = "write LEFT RIGHT FLAG with FLAG 1 for one person and -1 (or 0) for two, and tabs if a path has spaces"


def read_plain_pairs(file: str | Path, deal: bool = False) -> list[Pair]:
    """Read the pairs in the order of ``file``, or as `dealt`.

    Raises `InputError` for a bad line, a number of pairs that does not make ten folds, and, unless they are dealt, a
    fold with one kind of pairs.
    """
    file = Path(file)
    pairs, two_people = [], ""
    for number, line in pair_lines(file):
        fields = next((found for found in (line.split("\t"), line.split(",")) if len(found) == 3), words(line))
        if len(fields) != 3 or not all(fields) or fields[2].strip(BLANKS) not in ("1", "-1", "0"):
            raise wrong_line(file, number, line, f"not a pair: {_FORM}")
        flag = fields[2].strip(BLANKS)
        if flag != "1":
            two_people = two_people or flag
            if flag != two_people:
                raise wrong_line(file, number, line, f"and a line above marks two people with {two_people}: use one")
        pairs.append(Pair(fields[0].strip(BLANKS), fields[1].strip(BLANKS), flag == "1"))
    if not pairs:
        raise InputError(f"pair list {file} is empty: {_FORM}")
    refuse_other_numbers(file, pairs)
    if deal:
        return dealt(file, pairs)
    refuse_one_sided_folds(file, pairs)
    return pairs
