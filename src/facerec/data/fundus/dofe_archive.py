"""The data of DoFE (Wang et al., arXiv 2010.06208), as downloaded: four domains with their published split."""

from collections.abc import Sequence
from pathlib import Path

from facerec.data.fundus.image_mask_pairs import MaskedFiles, Pair, paired, refuse_no_pair
from facerec.data.fundus.mask_files import dofe
from facerec.data.fundus.masked_source import TEST, TRAIN
from facerec.data.source import ALLOW, OnProblem, refuse, refusing_unreadable
from facerec.errors import InputError, suggestion
from facerec.files import refuse_missing_folder

# The folder of each domain: Drishti-GS, RIM-ONE r3, REFUGE's training and its validation set.
FOLDERS = {"drishti_gs": "Domain1", "rim_one": "Domain2", "refuge": "Domain3", "refuge_val": "Domain4"}


def read_dofe(root: str | Path, domains: Sequence[str] | None = None, on_problem: OnProblem = refuse) -> MaskedFiles:
    """Read the index of DoFE's archive: ``DomainN/train/ROIs/image/NAME.png``, with ``mask`` for ``image`` and ``test``
    for ``train``.

    ``on_problem`` is called for each missing domain and each unusable image and mask. Raises `InputError` for a missing
    folder, an unknown domain, and if nothing is left.

    Args:
        root: the folder of ``Domain1`` to ``Domain4``.
        domains: which, of `FOLDERS`; None: all four.
        on_problem: see above.
    """
    root = Path(root)
    refuse_missing_folder(root)
    names = [_known(domain) for domain in (FOLDERS if domains is None else domains)]
    with refusing_unreadable(f"the data in {root}", ALLOW):
        pairs = [pair for domain in names for pair in _pairs(root, domain, on_problem)]
    refuse_no_pair(pairs, root, "folders Domain1/train/ROIs/image and Domain1/train/ROIs/mask, and so on")
    return MaskedFiles(root, pairs, names, dofe)


def _pairs(root: Path, domain: str, on_problem: OnProblem) -> list[Pair]:
    folder = FOLDERS[domain]
    if not (root / folder).is_dir():
        remedy = f"unpack the archive again, or leave {domain} out of data.domains"
        on_problem(domain, f"domain {domain} is missing, folder {root / folder} does not exist: {remedy}")
        return []
    pairs = []
    for split in (TRAIN, TEST):
        rois = f"{folder}/{split}/ROIs"
        found = paired(root, f"{rois}/image", f"{rois}/mask", domain, on_problem)
        pairs += [Pair(*files, domain, split) for files in found.values()]
    return pairs


def _known(domain: str) -> str:
    if domain not in FOLDERS:
        raise InputError(f"data.domains names {domain!r}, which is no domain of DoFE: {suggestion(domain, FOLDERS)}")
    return domain
