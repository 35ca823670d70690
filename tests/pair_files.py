"""Two pairs, and what is written of pairs."""

from pathlib import Path

from facerec.data.official.pair_lists import Pair
from facerec.data.readers.folders import read_pairs

PAIRS = [Pair("ann/1.jpg", "ann/2.jpg", True), Pair("ann/2.jpg", "bob/1.jpg", False)]


def pairs_of(root, name):
    found = read_pairs(root, name)
    sides = zip(found.left, found.right, found.is_same.tolist(), strict=True)
    return [Pair(found.images.name(left), found.images.name(right), same) for left, right, same in sides]


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
