"""Celebrities in Frontal-Profile, CFP-FF and CFP-FP, from the ``Protocol`` folder of its archive (see its readme).

``Pair_list_F.txt`` and ``Pair_list_P.txt`` number the frontal and the profile images, in lines ``NUMBER PATH`` with
paths such as ``../Data/Images/001/frontal/01.jpg``. ``Split/FF/01/same.txt`` to ``Split/FP/10/diff.txt`` contain each
fold's pairs, in lines ``NUMBER,NUMBER``: two frontal images in FF, a frontal and a profile image in FP.
"""

from pathlib import Path, PurePosixPath

from facerec.data.official.pair_lists import FOLDS, Pair, pair_lines, wrong_line
from facerec.errors import InputError

_FETCH = "fetch the Protocol folder again"
_GIVE = "give CFP's Protocol folder, which holds Pair_list_F.txt and Split, as protocol=FOLDER"


def read_cfp_pairs(protocol: str | Path, split: str) -> list[Pair]:
    """Read the pairs of ``split``, FF or FP, in the folder ``protocol``: fold by fold, same-person pairs first.

    Paths are like ``001/frontal/01.jpg``. Raises `InputError` for a missing file, a bad line, or unequal folds.
    """
    protocol = Path(protocol)
    lists = [_read_images(protocol / f"Pair_list_{kind}.txt") for kind in split]
    pairs: list[Pair] = []
    sizes: dict[Path, int] = {}
    for fold in range(1, FOLDS + 1):
        for kind in ("same", "diff"):
            file = protocol / "Split" / split / f"{fold:02d}" / f"{kind}.txt"
            found = [_parse(file, number, line, lists, kind == "same") for number, line in pair_lines(file, _GIVE)]
            sizes[file] = len(found)
            pairs += found
    _refuse_unequal(sizes)
    return pairs


def cfp_images(protocol: str | Path) -> list[str]:
    """Return the paths of all images, frontal and profile."""
    lists = [_read_images(Path(protocol) / f"Pair_list_{kind}.txt") for kind in "FP"]
    return [path for images in lists for path in images.values()]


def _read_images(file: Path) -> dict[str, str]:
    images = {}
    for number, line in pair_lines(file, _GIVE):
        key, _, path = line.partition(" ")
        parts = PurePosixPath(path.strip()).parts[-3:]
        if not key.isdecimal() or len(parts) != 3:
            raise wrong_line(file, number, line, f"not NUMBER ../Data/Images/ID/KIND/NAME: {_FETCH}")
        images[key] = "/".join(parts)
    return images


def _parse(file: Path, number: int, line: str, lists: list[dict[str, str]], is_same: bool) -> Pair:
    keys = [key.strip() for key in line.split(",")]
    if len(keys) != 2:
        raise wrong_line(file, number, line, f"not NUMBER,NUMBER: {_FETCH}")
    for key, images in zip(keys, lists, strict=True):
        if key not in images:
            raise wrong_line(file, number, line, f"and no image has the number {key}: {_FETCH}")
    left, right = (images[key] for key, images in zip(keys, lists, strict=True))
    if (left.split("/")[0] == right.split("/")[0]) != is_same:
        shown = "two people" if is_same else "one person"
        raise wrong_line(file, number, line, f"which shows {shown} ({left} and {right}): {_FETCH}")
    return Pair(left, right, is_same)


def _refuse_unequal(sizes: dict[Path, int]) -> None:
    (first, size), *others = sizes.items()
    for file, found in others:
        if found != size or not found:
            raise InputError(f"{file} holds {found} pairs and {first} {size}: folds are of one size, so {_FETCH}")
