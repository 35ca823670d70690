"""The numbers by which segmentations are tabulated and compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from facerec.data.held_out import HELD_OUT
from facerec.errors import InputError
from facerec.runs.differences import Run
from facerec.runs.mask_scores import MaskScores, load_mask_scores
from facerec.runs.mean_accuracy import SCORES_OF, Checkpoint
from facerec.segmentation.image_means import compare_over_seeds, mean_over_images, mean_over_seeds
from facerec.verification.intervals import Interval
from facerec.verification.paired_comparison import Comparison


class _Number(NamedTuple):
    label: str
    unit: str
    factor: float
    most: float


_NUMBERS = {
    "mean_dice": _Number("mean Dice", "points", 100, 1),
    "cup_dice": _Number("cup Dice", "points", 100, 1),
    "disc_dice": _Number("disc Dice", "points", 100, 1),
    "cup_hd": _Number("cup HD (px)", "pixels", 1, np.inf),
    "disc_hd": _Number("disc HD (px)", "pixels", 1, np.inf),
    "cup_hd95": _Number("cup HD95 (px)", "pixels", 1, np.inf),
    "disc_hd95": _Number("disc HD95 (px)", "pixels", 1, np.inf),
    "cdr_error": _Number("CDR error", "points", 100, 1),
}
MASK_NUMBERS = tuple(_NUMBERS)


@dataclass(frozen=True)
class MaskMetric:
    """One of `MASK_NUMBERS`: Dice is better if it is larger, distances and errors if they are smaller."""

    kind: str

    @property
    def label(self) -> str:
        return _NUMBERS[self.kind].label

    @property
    def heading(self) -> str:
        """The label with its unit."""
        return f"{self.label} (%)" if self.factor == 100 else self.label

    @property
    def unit(self) -> str:
        return _NUMBERS[self.kind].unit

    @property
    def factor(self) -> float:
        """What a value is multiplied with in tables: 100 for percent."""
        return _NUMBERS[self.kind].factor

    def is_better(self, difference: float) -> bool:
        """Return whether a second group with this difference from the first is the better one."""
        return difference > 0 if self.kind.endswith("dice") else difference < 0

    def kept(self, run: Run, checkpoint: Checkpoint) -> dict[str, MaskScores]:
        """Return the scores of a run on the unseen domain; `InputError` if its file is missing or damaged."""
        kept = load_mask_scores(run.folder / SCORES_OF[checkpoint])
        return {name: scores for name, scores in kept.items() if name != HELD_OUT}

    def values(self, kept: MaskScores) -> np.ndarray:
        """Return the number of each image, float64 ``(N,)``."""
        if self.kind != "mean_dice":
            return kept.numbers[self.kind].astype(np.float64)
        return (kept.numbers["cup_dice"] + kept.numbers["disc_dice"]) / 2

    def interval(self, kept: Sequence[MaskScores]) -> Interval | None:
        """Return the 95 % interval of the mean over seeds and images; with one seed, over images."""
        values = np.stack([self.values(each) for each in kept])
        return mean_over_images(values[0]).interval if len(kept) == 1 else self._over_seeds(values)

    def _over_seeds(self, values: np.ndarray) -> Interval | None:
        return mean_over_seeds(values, _NUMBERS[self.kind].most).interval

    def compared(
        self, name: str, first: Sequence[MaskScores], second: Sequence[MaskScores]
    ) -> tuple[tuple[Interval, Interval], tuple[float, float], Comparison]:
        """Compare two groups of runs, in the same order of seeds, on set ``name``.

        Returns the means, their intervals and the comparison. Raises `InputError` if the images are not the same.
        """
        for kept in [*first, *second]:
            if not np.array_equal(kept.images, first[0].images):
                raise InputError(f"the runs have other images of {name}: evaluate them on the same data")
        values = [np.stack([self.values(kept) for kept in group]) for group in (first, second)]
        bounds = [self._over_seeds(group) for group in values]
        assert bounds[0] is not None and bounds[1] is not None
        found = compare_over_seeds(values[0], values[1])
        return (bounds[0], bounds[1]), (float(values[0].mean()), float(values[1].mean())), found
