"""Pair lists with ``LEFT RIGHT FLAG`` a line: what circulates as ``agedb_30_pair.txt``, and people's own.

Between the fields stand spaces, commas or tabs; paths that hold spaces need tabs. FLAG is 1 for one person, and for two
people -1 or 0, one of them throughout a list.
"""

from pathlib import Path

from facerec.data.official.pair_lists import Pair, pair_lines, refuse_one_sided_folds, wrong_line
from facerec.data.readers.text_lines import BLANKS, words
from facerec.errors import InputError

_FORM = "write LEFT RIGHT FLAG with FLAG 1 for one person and -1 (or 0) for two, and tabs where a path holds spaces"


def read_plain_pairs(file: str | Path) -> list[Pair]:
    """The pairs in the order of ``file``. `InputError` names a line that is not of this form, and a list without
    ten folds, such as one sorted by flag."""
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
    refuse_one_sided_folds(file, pairs)
    return pairs
