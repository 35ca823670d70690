"""What it is worth to choose the epoch on the very images on which it is reported.

The published evaluation of segmentation does so (the code of arXiv 2203.10489); a run's metrics.csv has each epoch.
"""

from collections.abc import Iterable
from statistics import mean
from typing import NamedTuple

from facerec.errors import InputError
from facerec.runs.differences import Run
from facerec.runs.learning_curves import learning_curves


class Gain(NamedTuple):
    """Points of Dice (%) that the epoch which is best on the unseen images has more than another: the reported epoch,
    and the last one."""

    over_reported: float
    over_last: float


def gain_of(run: Run, unseen: str) -> Gain | None:
    """Return the gain on the domain ``unseen``, or None without the run's curves."""
    try:
        curve = learning_curves(run.folder)[f"{unseen}/dice"]
    except (InputError, KeyError):
        return None
    of_epoch = {int(epoch): 100 * value for epoch, value in curve}
    reported = of_epoch.get(int(run.results.best["epoch"]) + 1)
    if reported is None:
        return None
    highest = max(of_epoch.values())
    return Gain(highest - reported, highest - of_epoch[max(of_epoch)])


def gain_sentence(gains: Iterable[Gain | None]) -> str | None:
    """Return what the gains are on average; None if no run has curves."""
    known = [gain for gain in gains if gain is not None]
    if not known:
        return None
    reported, last = zip(*known, strict=True)
    runs = f"{len(known)} run{'s' if len(known) > 1 else ''}"
    return (
        f"had each run's epoch been chosen on the unseen images, its Dice would be {mean(reported):.1f} points higher "
        f"than that of the epoch reported ({min(reported):.1f} to {max(reported):.1f}; {runs}), and {mean(last):.1f} "
        f"points higher than that of the last epoch ({min(last):.1f} to {max(last):.1f})"
    )
