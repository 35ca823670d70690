"""Drawn eyes: photographs with masks that need no download and show no real person's eye."""

from collections.abc import Sequence

import cv2
import numpy as np

from facerec.checks import check_counts, check_seed
from facerec.data.fundus.drawn_eyes.eye import Eye, draw_eye
from facerec.data.fundus.drawn_eyes.eye_painter import paint_eye
from facerec.data.fundus.drawn_eyes.looks import LOOKS
from facerec.data.fundus.drawn_eyes.outlines import draw_mask
from facerec.data.fundus.masked_source import TEST, TRAIN, MaskedSource
from facerec.data.source import digest

# Raise it when an eye is painted with different pixels than before.
VERSION = 1

SMALLEST, LARGEST = 32, 1024  # sides of a drawn image, in pixels
# Keys of the independent random streams of an image.
_ANATOMY, _PHOTOGRAPH = range(2)


class DrawnEyes(MaskedSource):
    """Eyes of four clinics, each photographed once; an image is painted when it is loaded, its mask when it is asked
    for.

    An image is determined by ``seed``, its domain, its split and its number in them alone, up to the last bit of
    OpenCV's arithmetic. Masks are exact: a pixel belongs to what its centre is in.

    Args:
        num_train: training images per domain.
        num_test: test images per domain.
        side: height and width of images and masks.
        domain_names: which clinics, of `LOOKS`.
        seed: seed of the eyes.
    """

    def __init__(
        self,
        num_train: int = 50,
        num_test: int = 20,
        *,
        side: int = 512,
        domain_names: Sequence[str] = tuple(LOOKS),
        seed: int = 0,
    ) -> None:
        check_counts(num_train=num_train, num_test=num_test)
        if not SMALLEST <= side <= LARGEST or side % 2:
            raise ValueError(f"side is {side}, but eyes are drawn at an even number from {SMALLEST} to {LARGEST}")
        check_seed("seed", seed)
        self.num_train, self.num_test, self.side, self.seed = num_train, num_test, side, seed
        self.domain_names = tuple(domain_names)
        self.domains = np.repeat(np.arange(len(self.domain_names)), num_train + num_test)
        self.split = np.tile([TRAIN] * num_train + [TEST] * num_test, len(self.domain_names))

    def __len__(self) -> int:
        return len(self.domains)

    def load(self, index: int) -> np.ndarray:
        look = LOOKS[self._locate(index)[0]]
        return paint_eye(self._stream(index, _PHOTOGRAPH), self.eye(index), look, self.side)

    def mask(self, index: int) -> np.ndarray:
        eye = self.eye(index)
        return draw_mask(eye.disc, eye.cup, self.side)

    def eye(self, index: int) -> Eye:
        """Return the anatomy of the eye in image ``index``."""
        return draw_eye(self._stream(index, _ANATOMY), LOOKS[self._locate(index)[0]])

    def name(self, index: int) -> str:
        return "{} {} {}".format(*self._locate(index))

    def fingerprint(self) -> str:
        return digest([repr((self.num_train, self.num_test, self.side, self.domain_names, self.seed))])

    def state(self) -> str:
        return digest([f"eye painter {VERSION}, OpenCV {cv2.__version__}"])

    def _locate(self, index: int) -> tuple[str, str, int]:
        """Return domain, split and the number in them."""
        if not 0 <= index < len(self):
            raise IndexError(f"image {index} was asked for, but there are only {len(self)}")
        domain, number = divmod(int(index), self.num_train + self.num_test)
        is_test = number >= self.num_train
        return self.domain_names[domain], TEST if is_test else TRAIN, number - is_test * self.num_train

    def _stream(self, index: int, kind: int) -> np.random.Generator:
        domain, split, number = self._locate(index)
        entropy = np.random.SeedSequence((self.seed, tuple(LOOKS).index(domain), split == TEST, number, kind))
        return np.random.Generator(np.random.PCG64(entropy))
