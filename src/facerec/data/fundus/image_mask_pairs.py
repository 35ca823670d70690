"""Photographs and masks as files: which belong together."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facerec.data.fundus.mask_files import Coding, decode_mask
from facerec.data.fundus.masked_source import MaskedSource
from facerec.data.readers.folders import FolderImages
from facerec.data.readers.listing import image_paths
from facerec.data.source import OnProblem, digest
from facerec.errors import InputError


@dataclass(frozen=True)
class Pair:
    """An image and its mask, paths relative to the data's root."""

    image: str
    mask: str
    domain: str
    split: str


class MaskedFiles(FolderImages, MaskedSource):
    """Image files with mask files.

    Args:
        root: the folder that paths are relative to.
        pairs: the files.
        domain_names: the domains, in their order.
        coding: what the values of the mask files mean.
    """

    def __init__(self, root: Path, pairs: Sequence[Pair], domain_names: Sequence[str], coding: Coding) -> None:
        super().__init__(root, [pair.image for pair in pairs])
        self._masks, self._coding = FolderImages(root, [pair.mask for pair in pairs]), coding
        self.domain_names = tuple(domain_names)
        self.domains = np.array([self.domain_names.index(pair.domain) for pair in pairs], np.int64)
        self.split = np.array([pair.split for pair in pairs])

    def mask(self, index: int) -> np.ndarray:
        return decode_mask(self._masks.encoded(index), self.mask_name(index), self._coding)

    def mask_name(self, index: int) -> str:
        return self._masks.full_name(index)

    def fingerprint(self) -> str:
        domains = (self.domain_names[domain] for domain in self.domains.tolist())
        rows = zip(self.paths, self._masks.paths, domains, self.split.tolist(), strict=True)
        return digest(" ".join(row) for row in rows)

    def state(self) -> str:
        return digest([super().state(), self._masks.state()])


def paired(root: Path, images: str, masks: str, domain: str, on_problem: OnProblem) -> dict[str, tuple[str, str]]:
    """Return the paths of image and mask by their name without suffix, sorted, in two folders of ``root``.

    ``on_problem`` is called for a missing or empty folder, an image without a mask, a mask without an image, two files
    of one name, and files that are passed over.
    """
    where = {kind: root / folder for kind, folder in (("image", images), ("mask", masks))}
    for kind, folder in where.items():
        if not folder.is_dir():
            remedy = f"add it, or leave {domain} out of data.domains"
            on_problem(domain, f"domain {domain} has no {kind}s, folder {folder} does not exist: {remedy}")
            return {}
    found = _by_name(root, images, domain, on_problem)
    theirs = _by_name(root, masks, domain, on_problem)
    for name in sorted(found.keys() - theirs.keys()):
        remedy = f"add it to {where['mask']}, or remove the image"
        on_problem(found[name], f"image {root / found[name]} has no mask: {remedy}")
    for name in sorted(theirs.keys() - found.keys()):
        on_problem(theirs[name], f"mask {root / theirs[name]} has no image: add it to {where['image']}, or remove it")
    if not found:
        on_problem(domain, f"domain {domain} has no image in {where['image']}: add some, or remove the folder")
    return {name: (found[name], theirs[name]) for name in sorted(found.keys() & theirs.keys())}


def refuse_no_pair(pairs: Sequence[Pair], root: Path, layout: str) -> None:
    """Raise `InputError` if there is no pair at all."""
    if not pairs:
        raise InputError(f"{root} has no image with a mask: it must have {layout}")


def _by_name(root: Path, folder: str, domain: str, on_problem: OnProblem) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in image_paths(root, folder, on_problem):
        name = path[len(folder) + 1 :].rpartition(".")[0]
        if name in found:
            on_problem(path, f"{root / path} and {root / found[name]} have one name: rename or remove one of them")
        else:
            found[name] = path
    return found
