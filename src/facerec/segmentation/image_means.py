"""Means over images with 95 % intervals, and whether one network is better than another on the same images.

Images are a sample, and so are seeds where there are several. One network's mean gets a bootstrap interval over images,
since distances are skewed; two networks are compared image by image; two groups of runs by
`verification.paired_comparison`, where each image stands for itself.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from facerec.segmentation.mask_protocols import FLAGS, ImageScore
from facerec.verification import paired_comparison
from facerec.verification.dependence import PairPeople, named_people
from facerec.verification.headline import Headline
from facerec.verification.intervals import Interval, quantile
from facerec.verification.paired_comparison import Comparison, Measured

_RESAMPLES, _BLOCK = 5000, 100  # a block at a time is in memory


class ImageMean(NamedTuple):
    """A mean over images, and its 95 % interval, None with one image."""

    mean: float
    interval: Interval | None
    num_images: int


class PairedTest(NamedTuple):
    """The mean over images of the second network's value minus the first's.

    ``interval`` is its 95 % interval, and ``p`` that of the two-sided test that neither network is better; both are
    about these two networks and not about others of their kind.
    """

    difference: float
    interval: Interval | None
    p: float
    num_images: int


def columns(scores: Sequence[ImageScore]) -> dict[str, np.ndarray]:
    """Return the numbers of all images by name, each ``(N,)``: float64, and bool for what is empty or absent."""
    return {name: np.array([getattr(one, name) for one in scores]) for name in ImageScore._fields}


def means(scores: Sequence[ImageScore]) -> dict[str, ImageMean]:
    """Return the mean of each number over the images."""
    return {name: mean_over_images(values) for name, values in columns(scores).items() if name not in FLAGS}


def headline(scores: Sequence[ImageScore], protocol: str) -> Headline:
    """Return the mean of both structures' Dice over the images, which ``protocol`` has scored."""
    values = np.array([score.mean_dice for score in scores])
    return Headline("mean Dice", float(values.mean()), float(values.std()), len(values), "images", protocol)


def counts(scores: Sequence[ImageScore]) -> dict[str, int]:
    """Return in how many images a structure was not predicted, or does not exist."""
    return {name: int(values.sum()) for name, values in columns(scores).items() if name in FLAGS}


def mean_over_images(values: np.ndarray, resamples: int = _RESAMPLES) -> ImageMean:
    """Return the mean of ``values`` ``(N,)`` with its bootstrap interval, the same at each call.

    The quantiles are those that make the interval of a normal mean as wide as Student's (Hesterberg, arXiv 1411.5279,
    "expanded percentile"); the plain ones are too narrow for few images.
    """
    number, mean = len(values), float(np.mean(values))
    if number < 2:
        return ImageMean(mean, None, number)
    rng = np.random.default_rng(0)
    blocks = [values[rng.integers(0, number, (_BLOCK, number))].mean(axis=1) for _ in range(resamples // _BLOCK)]
    tail = stats.norm.cdf(-quantile(number - 1) * np.sqrt(number / (number - 1)))
    low, high = np.quantile(np.concatenate(blocks), [tail, 1 - tail])
    return ImageMean(mean, Interval(float(low), float(high)), number)


def mean_over_seeds(values: np.ndarray, most: float = math.inf) -> ImageMean:
    """Return the mean of ``values`` ``(runs, N)`` of the same images, with its interval over seeds and images.

    A value is from 0 to ``most``, and so is the interval.
    """
    found = paired_comparison.variances([_measured(run) for run in values], _apart(values.shape[1]))
    mean, freedom = float(values.mean()), found.degrees_of_freedom(*values.shape)
    reach = quantile(freedom) * float(np.sqrt(found.total()))
    return ImageMean(mean, Interval(max(mean - reach, 0.0), min(mean + reach, most)), values.shape[1])


def compare_networks(first: np.ndarray, second: np.ndarray, resamples: int = _RESAMPLES) -> PairedTest:
    """Compare the values ``(N,)`` of two networks on the same images.

    p is the share of random signs of the differences whose mean is as far from 0 as theirs (a permutation test: if
    neither is better, each image's two values could as well be the other's).
    """
    differences = second - first
    mean, interval, number = mean_over_images(differences, resamples)
    rng = np.random.default_rng(0)
    signs = (rng.choice([-1.0, 1.0], (_BLOCK, number)) for _ in range(resamples // _BLOCK))
    drawn = np.abs([block @ differences for block in signs])
    # A sum in another order may be smaller by rounding.
    as_far = np.count_nonzero(drawn >= abs(number * mean) * (1 - 1e-12))
    return PairedTest(mean, interval, (1 + as_far) / (1 + drawn.size), number)


def compare_over_seeds(first: np.ndarray, second: np.ndarray) -> Comparison:
    """Compare two groups of runs, ``(runs, N)`` each, in the same order of seeds, on the same images.

    Difference and interval are in the units of the values, which are at least 0.
    """
    # `paired_comparison` is for rates, which are at most 1.
    scale = max(float(first.max()), float(second.max())) or 1.0
    of_first, of_second = ([_measured(run / scale) for run in values] for values in (first, second))
    found = paired_comparison.compare(of_first, of_second, _apart(first.shape[1]))
    low, high = found.interval
    return found._replace(difference=scale * found.difference, interval=Interval(scale * low, scale * high))


def _measured(values: np.ndarray) -> Measured:
    mean = float(values.mean())
    return Measured(mean, (values - mean) / len(values), noise=1.0)


def _apart(number: int) -> PairPeople:
    """Return who is in "pairs" of which each is one image."""
    return named_people(np.arange(number), np.arange(number))
