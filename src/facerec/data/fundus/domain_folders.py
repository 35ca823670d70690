"""Photographs with masks, a folder per domain: ``DOMAIN/image/NAME.jpg``, ``DOMAIN/mask/NAME.png``; ``splits.csv``."""

from collections.abc import Sequence
from pathlib import Path

from facerec.data.fundus.image_mask_pairs import MaskedFiles, Pair, paired, refuse_no_pair
from facerec.data.fundus.mask_files import plain
from facerec.data.fundus.split_list import Splits, read_splits, split_by_list, split_evenly
from facerec.data.readers.listing import IMAGE_SUFFIXES, entries_of
from facerec.data.source import ALLOW, OnProblem, refuse, refusing_unreadable
from facerec.errors import InputError, suggestion
from facerec.files import refuse_missing_folder

SPLITS = "splits.csv"


def read_domain_folders(
    root: str | Path, domains: Sequence[str] | None = None, on_problem: OnProblem = refuse
) -> MaskedFiles:
    """Read the index of ``root``: in the folder of each domain, images in ``image`` and masks in ``mask``.

    An image and its mask have one name up to the suffix. ``splits.csv`` says which images are for training and which
    for tests; without it, every fifth image by name is for tests.

    ``on_problem`` is called for each unusable domain, image, mask and line of the list. Raises `InputError` for a
    missing folder, an unknown domain, and if nothing is left.

    Args:
        root: the folder of all data.
        domains: names of the folders to read; None: all that have a folder ``image`` or ``mask``.
        on_problem: see above.
    """
    root = Path(root)
    refuse_missing_folder(root)
    with refusing_unreadable(f"the data in {root}", ALLOW):
        there = _domains_in(root, on_problem)
        names = there if domains is None else [_known(domain, there, root) for domain in domains]
        splits = _splits(root, there, on_problem)
        pairs = [pair for domain in names for pair in _pairs(root, domain, splits, on_problem)]
        refuse_no_pair(pairs, root, "folders DOMAIN/image and DOMAIN/mask")
        return MaskedFiles(root, pairs, names, plain)


def _splits(root: Path, there: Sequence[str], on_problem: OnProblem) -> Splits | None:
    """Read the list of splits, if there is one."""
    file = root / SPLITS
    if not file.exists():
        return None
    splits = read_splits(file, on_problem)
    for domain in dict.fromkeys(domain for domain, _ in splits):
        if domain not in there:
            on_problem(domain, f"{file} lists images of {domain}, which is no domain in {root}: remove its lines")
    return splits


def _pairs(root: Path, domain: str, splits: Splits | None, on_problem: OnProblem) -> list[Pair]:
    found = paired(root, f"{domain}/image", f"{domain}/mask", domain, on_problem)
    if splits is None:
        split_of = dict(zip(found, split_evenly(len(found)), strict=True))
    else:
        split_of = split_by_list(splits, domain, list(found), root / SPLITS, on_problem)
    return [Pair(*found[name], domain, split) for name, split in split_of.items()]


def _domains_in(root: Path, on_problem: OnProblem) -> list[str]:
    """Return the folders that have a folder ``image`` or ``mask``; others with images of their own are a problem."""
    names = []
    for folder in sorted(root / entry.name for entry in entries_of(root) if entry.is_dir()):
        inside = entries_of(folder)
        if any(entry.name in ("image", "mask") and entry.is_dir() for entry in inside):
            names.append(folder.name)
        elif any(entry.name.lower().endswith(IMAGE_SUFFIXES) for entry in inside):
            remedy = "move its images to a folder image and their masks to a folder mask"
            on_problem(folder.name, f"{folder} has images and is no domain: {remedy}")
    return names


def _known(domain: str, there: Sequence[str], root: Path) -> str:
    if domain not in there:
        raise InputError(f"data.domains names {domain!r}, which is no domain in {root}: {suggestion(domain, there)}")
    return domain
