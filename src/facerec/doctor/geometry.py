"""Checks of image sizes and borders, and for images of one colour."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from facerec.doctor.findings import LISTED, SHOWN, Example, Finding, report
from facerec.doctor.survey import Part

_BLACK = 8  # maximum grey level of black
_WIDE = 0.1  # fraction of the side
_SAME_LEVEL = 8  # grey levels between opposite edges
_SENTENCES = {
    "flat_images": "these images have only one colour: remove them",
    "other_sizes": "the others are {usual}: images of another size were often aligned differently, so align them all "
    "in the same way",
    "not_square": "resizing them to {wanted} distorts the faces: align or crop them",
    "small_images": "they are smaller than {wanted} and are enlarged: use larger ones or lower image_size",
    "wide_borders": "more than {wide} of a side is black or has one colour, and the network may learn the border "
    "instead of the face: align with a tighter template, or make sure that all sets have the same borders",
}


def count_sizes(parts: Sequence[Part]) -> dict[str, int]:
    """Count the readable images per size ``WIDTHxHEIGHT``, the most frequent first."""
    sizes: Counter[str] = Counter()
    for part in parts:
        found, counts = np.unique(part.features["size"][part.features["readable"]], axis=0, return_counts=True)
        for (height, width), count in zip(found.tolist(), counts.tolist(), strict=True):
            sizes[_size(height, width)] += count
    return dict(sizes.most_common())


def judge_geometry(parts: Sequence[Part], image_size: tuple[int, int]) -> list[Finding]:
    """Report images that have another size than most or another aspect ratio than ``image_size`` (height, width), are
    smaller than it, have wide borders or only one colour, and a training set that is all of one colour."""
    found = [finding for part in parts for finding in _judge(part, image_size)]
    return found + [finding for part in parts if part.train is not None for finding in _judge_sameness(part)]


def _judge_sameness(train: Part) -> list[Finding]:
    """Report a training set whose images are all the same image of one colour, as after a failed conversion."""
    features = train.features[train.features["readable"]]
    if len(features) < 2 or not features["flat"].all() or len(np.unique(features["digest"], axis=0)) > 1:
        return []
    sentence = (
        "all images are the same, of one colour, so nothing can be learned and the loss may become NaN: look at the "
        "files, and convert or fetch them again"
    )
    return report("one_colour_only", train.title, sentence, [{"images": len(features)}], severity="error")


def _judge(part: Part, wanted: tuple[int, int]) -> list[Finding]:
    readable, sizes = part.features["readable"], part.features["size"].astype(np.int64)
    if not readable.any():
        return []
    known, counts = np.unique(sizes[readable], axis=0, return_counts=True)
    usual = known[np.argmax(counts)]
    masks = {
        "flat_images": part.features["flat"],
        "other_sizes": (sizes != usual).any(1),
        "not_square": sizes[:, 0] * wanted[1] != sizes[:, 1] * wanted[0],
        "small_images": (sizes < wanted).any(1),
        "wide_borders": wide_borders(part.features).max(1) > _WIDE,
    }
    words = {"usual": _size(*usual), "wanted": _size(*wanted), "wide": f"{_WIDE:.0%}"}
    found = {name: np.flatnonzero(mask & readable) for name, mask in masks.items()}
    return [
        finding
        for name, images in found.items()
        for finding in _report(part, name, images, _SENTENCES[name].format(**words))
    ]


def wide_borders(features: np.ndarray) -> np.ndarray:
    """Return the width of the borders at top, bottom, left and right as fractions of the side, ``(N, 4)``.

    A border is black or has the same colour at opposite edges; one bright edge alone is a background.
    """
    sides = np.repeat(
        np.maximum(features["size"], 1), 2, axis=1
    )  # heights for top and bottom, widths for left and right
    fraction, level = features["border"] / sides, features["border_level"].astype(int)
    opposite = [1, 0, 3, 2]
    framed = (np.abs(level - level[:, opposite]) <= _SAME_LEVEL) & (features["border"][:, opposite] > 0)
    fraction[(level > _BLACK) & ~framed] = 0
    fraction[features["flat"]] = 0
    return fraction


def _report(part: Part, name: str, images: np.ndarray, sentence: str) -> list[Finding]:
    some = images[:: max(1, len(images) // SHOWN)][:SHOWN].tolist()
    details = [{"image": part.source.name(i), **_measured(part, name, i)} for i in images[:LISTED].tolist()]
    examples = [Example(part.source, i, f"{part.source.name(i)}\n{_caption(part, name, i)}") for i in some]
    return report(name, part.title, sentence, details, examples, count=len(images))


def _measured(part: Part, name: str, image: int) -> dict[str, object]:
    if name != "wide_borders":
        return {"size": _size(*part.features["size"][image])}
    fractions = wide_borders(part.features[image : image + 1])[0].round(2).tolist()
    return dict(zip(("top", "bottom", "left", "right"), fractions, strict=True))


def _caption(part: Part, name: str, image: int) -> str:
    """Return the size of the image or its widest border."""
    if name != "wide_borders":
        return _size(*part.features["size"][image])
    fractions = wide_borders(part.features[image : image + 1])[0]
    return f"{('top', 'bottom', 'left', 'right')[int(fractions.argmax())]} {fractions.max():.0%}"


def _size(height: int, width: int) -> str:
    return f"{width}x{height}"
