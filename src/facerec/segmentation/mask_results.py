"""What is kept of the evaluation of a network on one set of images with masks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from facerec.segmentation.image_means import columns, counts, headline, mean_over_images, means
from facerec.segmentation.mask_protocols import ImageScore, Protocol
from facerec.verification.headline import Headline


@dataclass(frozen=True, eq=False)
class MaskResult:
    """The scores of all images, by a protocol.

    Attributes:
        scores: of the network's masks.
        floor: of one constant mask, the mean of the training masks, which a network has to beat.
        protocol: by which both were scored.
    """

    scores: Sequence[ImageScore]
    floor: Sequence[ImageScore]
    protocol: Protocol

    @property
    def mean_dice(self) -> float:
        """The mean over images of both structures' mean, by which epochs are compared."""
        return float(np.mean([score.mean_dice for score in self.scores]))

    @property
    def headline(self) -> Headline:
        """The mean Dice of both structures, a mean over images."""
        return headline(self.scores, self.protocol.name)

    def summary(self) -> dict[str, Any]:
        """Return plain values: of each number mean, 95 % interval over images and floor; what was empty or absent."""
        found, floor = means(self.scores), means(self.floor)
        numbers = {
            name: {"mean": value.mean, "interval": value.interval and list(value.interval), "floor": floor[name].mean}
            for name, value in found.items()
        }
        both = mean_over_images(np.array([score.mean_dice for score in self.scores]))
        return {
            "images": len(self.scores),
            "mean_dice": both.mean,
            "mean_dice_interval": both.interval and list(both.interval),
            "numbers": numbers,
            "counts": counts(self.scores),
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the numbers of all images by name, each ``(N,)``."""
        return columns(self.scores)
