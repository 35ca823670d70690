"""Checks of masks and their images, of the domains' sizes, and for images that are there twice."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np

from facerec.data.fundus.masked_source import TEST, TRAIN, MaskedSource, MaskedSubset
from facerec.doctor.duplicates import Pair, pair_examples
from facerec.doctor.findings import SHOWN, Example, Finding, Severity, report
from facerec.doctor.mask_survey import Domain
from facerec.errors import InputError
from facerec.segmentation.mask_scoring import structures

_COLOURS = ((255, 255, 0), (0, 255, 0))  # of cup and disc in the examples
_UNREADABLE = "training would stop at each of these images: fetch them again or remove them with their masks"
_UNUSABLE = "training would stop at each of these masks: make each as described, or remove it with its image"
_ACROSS = (
    "two domains have the same image, so if one of them is left out, it is not unseen: find out which clinic's it is "
    "and remove the other"
)
_WITHIN = (
    "a domain has the same image more than once, which counts double, and one may be held out while the other is "
    "trained on: keep one of each"
)
_SAME_MASK = (
    "these images differ and have the same mask, pixel by pixel, so all but one of them may have another's: compare "
    "each with its image"
)
# Of readable masks.
_MASKS = {
    "masks_without_disc": (
        "these masks are all background; each counts with an empty truth, so that the Dice of any prediction is 0: "
        "draw the disc or remove the image"
    ),
    "masks_without_cup": (
        "these masks have no cup, which is rare; each counts with an empty truth, so that the Dice of any predicted "
        "cup is 0: draw it or remove the image"
    ),
    "cups_outside_disc": (
        "these cups touch the background without a rim between, so they reach the edge of the disc or leave it; the "
        "disc that is scored includes the cup: look at them"
    ),
    "discs_in_parts": "these discs have several parts, as stray pixels do: keep the largest",
    "cups_in_parts": "these cups have several parts, as stray pixels do: keep the largest",
}
# Of readable images.
_IMAGES = {
    "flat_images": "these images have only one colour: remove them",
    "not_square": "resizing them to {wanted} distorts the eyes: crop them alike",
    "small_images": "they are smaller than {wanted} and are enlarged: use larger ones or lower image_size",
    "other_sizes": (
        "the others of this domain are {usual}: distances are in pixels of each mask, so their means mix two scales: "
        "resize the images and their masks to one size"
    ),
}
_FORMATS = (
    "these files have more than 8 bits of grey or colour, and they are read without it: 16 bits lose the lower 8, and "
    "transparent pixels keep the colour below; save them as a viewer should show them"
)


def judge_masks(domain: Domain, image_size: tuple[int, int]) -> list[Finding]:
    """Report a domain's unreadable images, unusable masks, masks of odd shape, and images of odd size or format."""
    title, source = domain.part.title, domain.source
    unusable, others = (
        [
            {"mask": source.mask_name(index), "problem": reason}
            for index, reason in domain.reasons.items()
            if domain.masks["readable"][index] == readable
        ]
        for readable in (False, True)
    )
    unreadable = [{"image": source.name(i), "problem": reason} for i, reason in domain.part.reasons.items()]
    formats = [{"image": source.name(i), "format": format} for i, format in domain.formats.items()]
    return [
        *report("unreadable_images", title, _UNREADABLE, unreadable, severity="error"),
        *report("unusable_masks", title, _UNUSABLE, unusable, severity="error"),
        *report("masks_of_other_sizes", title, _UNUSABLE, others, severity="error"),
        *_shapes(domain),
        *_sizes(domain, image_size),
        *report("unusual_files", title, _FORMATS, formats),
    ]


def judge_splits(domains: Sequence[Domain]) -> list[Finding]:
    """Report a single domain, and domains whose images are all for training or all for tests."""
    found: list[Finding] = []
    if len(domains) == 1:
        alone = "one domain is left out of training, and there is no other one to train on: add the images of another"
        found += report("one_domain", "all data", alone, [{"domain": domains[0].name}], severity="error")
    for name, split, sentence in (
        ("no_training_images", TRAIN, "nothing of this domain is trained on: make some of its images training images"),
        ("no_test_images", TEST, "this domain cannot be the unseen one: make some of its images test images"),
    ):
        for domain in domains:
            if len(domain) and not (domain.source.split == split).any():
                found += report(name, domain.part.title, sentence, [{"images": len(domain)}])
    return found


def judge_repeated(domains: Sequence[Domain], pairs: Sequence[Pair]) -> list[Finding]:
    """Report the pairs of `find_similar`, in two domains and in one, and masks of several images."""
    names = {id(domain.part): domain for domain in domains}
    across = [pair for pair in pairs if pair.left[0] is not pair.right[0]]
    within = [pair for pair in pairs if pair.left[0] is pair.right[0]]
    found: list[Finding] = []
    kinds: tuple[tuple[str, Severity, list[Pair], str], ...] = (
        ("duplicates_across_domains", "error", [p for p in across if p.is_exact], _ACROSS),
        ("near_duplicates_across_domains", "error", [p for p in across if not p.is_exact], _ACROSS),
        ("duplicates", "warning", [p for p in within if p.is_exact], _WITHIN),
        ("near_duplicates", "warning", [p for p in within if not p.is_exact], _WITHIN),
    )
    for name, severity, some, sentence in kinds:
        details = [_details(pair, names) for pair in some]
        found += report(name, "all data", sentence, details, pair_examples(some), severity=severity)
    return found + _same_masks(domains, pairs)


class Outlined(MaskedSubset):
    """The images of ``source`` with the outlines of cup and disc, to look at."""

    def __init__(self, source: MaskedSource) -> None:
        super().__init__(source, np.arange(len(source)))

    def load(self, index: int) -> np.ndarray:
        image = np.ascontiguousarray(super().load(index))
        try:
            mask = self.mask(index)
        except InputError:
            return image
        if mask.shape == image.shape[:2]:
            thickness = max(1, max(mask.shape) // 60)  # seen on a sheet of small images
            for structure, colour in zip(structures(mask)[::-1], _COLOURS[::-1], strict=True):
                outline, _ = cv2.findContours(structure.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
                cv2.drawContours(image, outline, -1, colour, thickness)
        return image


def _shapes(domain: Domain) -> list[Finding]:
    masks, (cups, discs) = domain.masks, domain.masks["pixels"].T
    usable = masks["readable"]
    found = {
        "masks_without_disc": (usable & (discs == 0), None),
        "masks_without_cup": (usable & (cups == 0) & (discs > 0), None),
        "cups_outside_disc": (usable & (masks["outside"] > 0), masks["outside"]),
        "discs_in_parts": (usable & (masks["parts"][:, 1] > 1), masks["parts"][:, 1]),
        "cups_in_parts": (usable & (masks["parts"][:, 0] > 1), masks["parts"][:, 0]),
    }
    words = {"cups_outside_disc": "pixels"}
    return [
        finding
        for name, (chosen, numbers) in found.items()
        for finding in _report(domain, name, _MASKS, chosen, numbers, words.get(name, "parts"))
    ]


def _sizes(domain: Domain, wanted: tuple[int, int]) -> list[Finding]:
    features = domain.part.features
    readable, sizes = features["readable"], features["size"].astype(np.int64)
    if not readable.any():
        return []
    known, counts = np.unique(sizes[readable], axis=0, return_counts=True)
    usual = known[np.argmax(counts)]
    found = {
        "flat_images": features["flat"],
        "not_square": sizes[:, 0] * wanted[1] != sizes[:, 1] * wanted[0],
        "small_images": (sizes < wanted).any(1),
        "other_sizes": (sizes != usual).any(1),
    }
    texts = {"wanted": _size(*wanted), "usual": _size(*usual.tolist())}
    sentences = {name: text.format(**texts) for name, text in _IMAGES.items()}
    shown = np.array([_size(*size) for size in sizes.tolist()])
    return [
        finding
        for name, chosen in found.items()
        for finding in _report(domain, name, sentences, chosen & readable, shown, "size")
    ]


def _report(
    domain: Domain,
    name: str,
    sentences: Mapping[str, str],
    chosen: np.ndarray,
    numbers: np.ndarray | None,
    word: str,
) -> list[Finding]:
    """Report the ``chosen`` images, bool ``(N,)``, with what ``numbers`` say about each, under the name ``word``."""
    source, images = Outlined(domain.source), np.flatnonzero(chosen).tolist()
    said = {i: {} if numbers is None else {word: numbers[i].item()} for i in images}
    details = [{"image": source.name(i), **said[i]} for i in images]
    examples = [
        Example(source, i, "\n".join([source.name(i), *(f"{key} {value}" for key, value in said[i].items())]))
        for i in images[:SHOWN]
    ]
    return report(name, domain.part.title, sentences[name], details, examples)


def _details(pair: Pair, domains: Mapping[int, Domain]) -> dict[str, object]:
    sides = [(domains[id(part)], index) for part, index in (pair.left, pair.right)]
    one, other = (domain.masks[index] for domain, index in sides)
    known = bool(one["readable"] and other["readable"])
    return {
        "images": [domain.source.name(index) for domain, index in sides],
        "domains": [domain.name for domain, _ in sides],
        "splits": [str(domain.source.split[index]) for domain, index in sides],
        "same_mask": bool((one["digest"] == other["digest"]).all()) if known else None,
        "likeness": pair.likeness,
        "distance": pair.distance,
    }


def _same_masks(domains: Sequence[Domain], pairs: Sequence[Pair]) -> list[Finding]:
    """Report masks that two different images have, unless they are empty."""
    alike = {frozenset((id(part), index) for part, index in (pair.left, pair.right)) for pair in pairs}
    details = [
        {"images": [domain.source.name(index) for domain, index in group]}
        for group in _of_one_mask(domains)
        if not _all_alike(group, alike)
    ]
    return report("masks_of_several_images", "all data", _SAME_MASK, details)


def _of_one_mask(domains: Sequence[Domain]) -> Iterator[list[tuple[Domain, int]]]:
    groups: dict[bytes, list[tuple[Domain, int]]] = defaultdict(list)
    for domain in domains:
        for index in np.flatnonzero(domain.masks["pixels"][:, 1]).tolist():
            groups[domain.masks["digest"][index].tobytes()].append((domain, index))
    return (group for group in groups.values() if len(group) > 1)


def _all_alike(group: Sequence[tuple[Domain, int]], alike: set[frozenset[tuple[int, int]]]) -> bool:
    """Whether the images are one: each is a duplicate of another one of the group."""
    places = [(id(domain.part), index) for domain, index in group]
    return all(any(frozenset((one, other)) in alike for other in places if other != one) for one in places)


def _size(height: int, width: int) -> str:
    return f"{width}x{height}"
