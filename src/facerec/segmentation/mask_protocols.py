"""The two protocols by which a predicted mask becomes numbers: an honest one, and that of the published code.

TVConv (arXiv 2203.10489, section 4.2, table 1) prints Dice and "Hausdorff distance" of cup and disc. Its published
code cuts probabilities at 0.75, cleans the prediction up, smooths Dice by 1, reports the 95th percentile of the
distances, and keeps the epoch that is best on the test images of the unseen domain. `TVCONV` differs where that
flatters or hides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np
from scipy.special import expit

from facerec.segmentation.mask_scoring import (
    dice,
    fill_holes,
    labelled,
    largest_component,
    structures,
    surface_distances,
    vertical_cup_to_disc,
)


@dataclass(frozen=True)
class Protocol:
    """How a prediction is cut, cleaned up and scored.

    Attributes:
        name: as in ``protocol=NAME``.
        description: for users, one line.
        threshold: a pixel belongs to a structure if its probability is larger.
        clean_up: keep the largest component of a prediction and fill its holes.
        smooth: added to numerator and denominator of Dice.
        empty_distance: in pixels, where a prediction is empty; None: the image's diagonal.
        cup_decides_empty: where a cup is missed, the disc has the ``empty_distance`` too.
        distance: which of the two distances is printed.
        best_epoch_on: the images whose Dice decides which epoch is best: held-out ones of the seen domains, or the test
            images of the unseen domain, which are no longer unseen.
    """

    name: str
    description: str
    threshold: float
    clean_up: bool
    smooth: float
    empty_distance: float | None
    cup_decides_empty: bool
    distance: Literal["hd", "hd95"]
    best_epoch_on: Literal["held_out", "unseen"]

    @property
    def columns(self) -> tuple[str, ...]:
        """The numbers of an `ImageScore` that are printed."""
        return ("cup_dice", "disc_dice", f"cup_{self.distance}", f"disc_{self.distance}", "cdr_error")


FLAGS = ("cup_empty", "disc_empty", "cup_absent", "disc_absent")  # the last fields of a score


class ImageScore(NamedTuple):
    """The numbers of one image.

    Attributes:
        cup_dice, disc_dice: from 0 to 1.
        cup_hd, disc_hd: Hausdorff distance in pixels of the mask.
        cup_hd95, disc_hd95: the 95th percentile of the distances.
        cdr_error: absolute error of the vertical cup-to-disc ratio, from 0 to 1.
        cup_empty, disc_empty: whether nothing was predicted.
        cup_absent, disc_absent: whether the truth has nothing.
    """

    cup_dice: float
    disc_dice: float
    cup_hd: float
    disc_hd: float
    cup_hd95: float
    disc_hd95: float
    cdr_error: float
    cup_empty: bool
    disc_empty: bool
    cup_absent: bool
    disc_absent: bool

    @classmethod
    def of_numbers(cls, numbers: Sequence[float]) -> "ImageScore":
        """Return the score whose numbers, in this order, were floats."""
        named = zip(cls._fields, numbers, strict=True)
        return cls._make(bool(number) if name in FLAGS else float(number) for name, number in named)

    @property
    def mean_dice(self) -> float:
        """The mean of both structures, by which epochs are compared."""
        return (self.cup_dice + self.disc_dice) / 2


def probabilities_at(logits: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the probabilities ``(2, *size)`` of float logits ``(2, h, w)``, which are interpolated bilinearly.

    As published, the sigmoid comes last: the network's image is small, and the mask keeps its own size.
    """
    last = np.ascontiguousarray(logits.transpose(1, 2, 0), np.float32)
    logits = cv2.resize(last, (size[1], size[0]), interpolation=cv2.INTER_LINEAR).transpose(2, 0, 1)
    return expit(logits)


def predicted(probabilities: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Return cup and disc, bool ``(2, H, W)``, of probabilities ``(2, H, W)``."""
    found = probabilities > protocol.threshold
    return np.stack([fill_holes(largest_component(one)) for one in found]) if protocol.clean_up else found


def score(probabilities: np.ndarray, mask: np.ndarray, protocol: Protocol) -> ImageScore:
    """Score probabilities ``(2, H, W)`` of cup and disc against a mask, uint8 ``(H, W)``.

    Raises:
        ValueError: probabilities and mask are not of one size.
    """
    return score_structures(predicted(probabilities, protocol), mask, protocol)


def dice_of_structures(prediction: np.ndarray, truth: np.ndarray, protocol: Protocol) -> tuple[float, float]:
    """Return the Dice of cup and disc, bool ``(2, H, W)`` each."""
    cup, disc = (dice(*pair, protocol.smooth) for pair in zip(prediction, truth, strict=True))
    return cup, disc


def score_structures(prediction: np.ndarray, mask: np.ndarray, protocol: Protocol) -> ImageScore:
    """Score a predicted cup and disc, bool ``(2, H, W)``, as they are."""
    (cup, disc), (true_cup, true_disc) = prediction, (truth := structures(mask))
    cup_dice, disc_dice = dice_of_structures(prediction, truth, protocol)
    of_cup = surface_distances(cup, true_cup, protocol.empty_distance)
    of_disc = surface_distances(disc, true_disc, protocol.empty_distance)
    if protocol.cup_decides_empty and true_cup.any() and not cup.any():
        of_disc = of_cup
    return ImageScore(
        cup_dice=cup_dice,
        disc_dice=disc_dice,
        cup_hd=float(of_cup.max()),
        disc_hd=float(of_disc.max()),
        cup_hd95=float(np.percentile(of_cup, 95)),
        disc_hd95=float(np.percentile(of_disc, 95)),
        cdr_error=abs(vertical_cup_to_disc(labelled(cup, disc)) - vertical_cup_to_disc(mask)),
        cup_empty=not cup.any(),
        disc_empty=not disc.any(),
        cup_absent=not true_cup.any(),
        disc_absent=not true_disc.any(),
    )


TVCONV = Protocol(
    name="tvconv",
    description="threshold 0.5, nothing cleaned up, Hausdorff distance, best epoch on held-out images of seen domains",
    threshold=0.5,
    clean_up=False,
    smooth=0.0,
    empty_distance=None,
    cup_decides_empty=False,
    distance="hd",
    best_epoch_on="held_out",
)

TVCONV_REFERENCE = Protocol(
    name="tvconv_reference",
    description="for the TVConv paper's printed table only: its published code, whose best epoch is chosen on the test",
    threshold=0.75,
    clean_up=True,
    smooth=1.0,
    empty_distance=100.0,
    cup_decides_empty=True,
    distance="hd95",
    best_epoch_on="unseen",
)

PROTOCOLS = {protocol.name: protocol for protocol in (TVCONV, TVCONV_REFERENCE)}
