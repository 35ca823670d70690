"""One pass over photographs and their masks: worker processes decode each pair and return only its features."""

import sys
from dataclasses import dataclass
from functools import partial
from io import BytesIO

import cv2
import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from facerec.data.fundus.masked_source import MaskedSource, MaskedSubset, refuse_other_size
from facerec.data.image_header import PNG_START
from facerec.data.loading import in_workers
from facerec.data.source import EncodedSource, ImageSource
from facerec.doctor.image_hashes import FEATURES, content_digest, measure
from facerec.doctor.survey import Part
from facerec.errors import InputError
from facerec.segmentation.mask_scoring import structures, vertical_cup_to_disc

MASK_FEATURES = np.dtype(
    [
        ("readable", "?"),  # the mask, whatever its image
        ("digest", "u8", 2),
        ("pixels", "u4", 2),  # of cup and disc
        ("share", "f4", 2),  # of the mask's area
        ("parts", "u4", 2),  # that are not connected
        ("outside", "u4"),  # cup pixels beside the background
        ("cup_to_disc", "f4"),  # vertical
    ]
)
_CHUNK = 8  # pairs that a worker decodes at a time
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


@dataclass(frozen=True, eq=False)
class Domain:
    """The images of a domain with their measurements.

    Attributes:
        name: of the domain.
        part: its images; ``reasons`` are those of unreadable images.
        source: the same images, with their masks.
        masks: `MASK_FEATURES` ``(N,)``, all zero for an unreadable mask.
        reasons: a sentence for each unreadable mask, and each readable one of another size than its image, by index.
        formats: what is unusual about the files of some images, by their index.
    """

    name: str
    part: Part
    source: MaskedSource
    masks: np.ndarray
    reasons: dict[int, str]
    formats: dict[int, str]

    def __len__(self) -> int:
        return len(self.masks)


@dataclass(frozen=True, eq=False)
class _Measured:
    image: np.ndarray
    mask: np.ndarray
    image_reason: str
    mask_reason: str
    format: str


def survey_masks(source: MaskedSource, num_workers: int) -> list[Domain]:
    """Measure all images and masks; returns the domains in their order.

    A progress bar is shown on standard error.
    """
    measured: list[_Measured] = []
    loader = in_workers(partial(_measure, source), range(len(source)), _CHUNK, num_workers)
    with Progress(console=Console(file=sys.stderr)) as progress:
        task = progress.add_task("decoding images and masks", total=len(source))
        for some in loader:
            measured += some
            progress.advance(task, len(some))
    return [_domain(source, number, measured) for number in range(len(source.domain_names))]


def measure_mask(mask: np.ndarray) -> np.ndarray:
    """Measure a mask, uint8 ``(H, W)``; returns a scalar of type `MASK_FEATURES`."""
    features, found = np.zeros((), MASK_FEATURES), structures(mask)
    features["readable"], features["digest"] = True, content_digest(mask)
    features["pixels"], features["share"] = found.sum(axis=(1, 2)), found.mean(axis=(1, 2))
    features["parts"] = [cv2.connectedComponents(one.astype(np.uint8), connectivity=8)[0] - 1 for one in found]
    features["outside"] = np.count_nonzero(cup_beside_background(mask))
    features["cup_to_disc"] = vertical_cup_to_disc(mask)
    return features


def cup_beside_background(mask: np.ndarray) -> np.ndarray:
    """Return which pixels of the cup have a background pixel above, below, left or right of them, bool ``(H, W)``."""
    cup, disc = structures(mask)
    # What is beyond the border of the image is not known to be background.
    inside = cv2.erode(disc.astype(np.uint8), _CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return cup & (inside == 0)


def unusual_format(data: bytes) -> str:
    """Return what an image file has beside 8 bits of grey or colour: 16 bits, transparency; empty for others."""
    if data.startswith(PNG_START) and len(data) > 25:
        found = ["16 bits a channel"] * (data[24] == 16) + ["transparency"] * (data[25] in (4, 6))
        return " and ".join(found)
    try:
        with Image.open(BytesIO(data)) as image:
            return "transparency" if image.mode.endswith(("A", "a")) else ""
    except (OSError, ValueError):  # then it is unreadable
        return ""


def _measure(source: MaskedSource, indices: list[int]) -> list[_Measured]:
    return [_measure_pair(source, index) for index in indices]


def _measure_pair(source: MaskedSource, index: int) -> _Measured:
    image_features, mask_features = np.zeros((), FEATURES), np.zeros((), MASK_FEATURES)
    image, image_reason, mask_reason = None, "", ""
    try:
        image = source.load(index)
        image_features = measure(image)
    except InputError as error:
        image_reason = str(error)
    try:
        mask = source.mask(index)
        mask_features = measure_mask(mask)
        if image is not None:
            refuse_other_size(source, index, image, mask)
    except InputError as error:
        mask_reason = str(error)
    format = "" if image is None else unusual_format(_encoded(source, index))
    return _Measured(image_features, mask_features, image_reason, mask_reason, format)


def _encoded(source: ImageSource, index: int) -> bytes:
    """Return the bytes of an image file, or none of an image that is drawn."""
    return source.encoded(index) if isinstance(source, EncodedSource) else b""


def _domain(source: MaskedSource, number: int, measured: list[_Measured]) -> Domain:
    positions = np.flatnonzero(source.domains == number)
    own, name = [measured[position] for position in positions.tolist()], source.domain_names[number]
    images = MaskedSubset(source, positions)
    features = np.array([one.image for one in own], FEATURES)
    part = Part(f"domain {name}", images, None, features, _given([one.image_reason for one in own]))
    masks = np.array([one.mask for one in own], MASK_FEATURES)
    reasons, formats = _given([one.mask_reason for one in own]), _given([one.format for one in own])
    return Domain(name, part, images, masks, reasons, formats)


def _given(texts: list[str]) -> dict[int, str]:
    return {index: text for index, text in enumerate(texts) if text}
