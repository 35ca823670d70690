"""What is kept of an image when its pixels are gone: 178 bytes."""

import hashlib

import cv2
import numpy as np

ZOOMS = (0.018, 0.036, 0.054)  # of each side, what a copy may lack: up to 6 pixels of 112
FEATURES = np.dtype(
    [
        ("readable", "?"),
        ("flat", "?"),  # one colour, so nothing below but size and digest means anything
        ("size", "u4", 2),  # height, width
        ("digest", "u8", 2),  # of size and pixels
        ("hash", "u8", 4),
        ("zoomed", "u8", (len(ZOOMS), 4)),  # hashes of the middle, without so much at each side
        ("border", "u4", 4),  # lines of one colour at the top, bottom, left and right edge
        ("border_level", "u1", 4),  # how bright they are
        ("redness", "f4"),  # NaN: a grey image
    ]
)
HASH_BITS = 256
_SIDE = 32  # of the image that is hashed
_FLAT = 2.0  # grey levels, standard deviation
_COLOURLESS = 2.0  # grey levels between the channels, on average
_SAME_LINE = 4  # grey levels: JPEG makes that much of a plain edge, and a dark background has more


def _lowest_frequencies() -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the DCT coefficients that are hashed: the lowest but the mean, nearest to it first."""
    row, column = np.divmod(np.arange(_SIDE**2), _SIDE)
    order = np.lexsort((row, row**2 + column**2))[1 : HASH_BITS + 1]
    return row[order], column[order]


_FREQUENCIES = _lowest_frequencies()
_ODD = np.packbits(_FREQUENCIES[1] % 2 == 1, bitorder="little").view(np.uint64)


def measure(image: np.ndarray) -> np.ndarray:
    """The features of an RGB image, uint8 ``(H, W, 3)``: a scalar of type `FEATURES`."""
    features = np.zeros((), FEATURES)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    features["readable"], features["size"] = True, image.shape[:2]
    features["digest"] = content_digest(image)
    features["flat"] = cv2.meanStdDev(grey)[1] < _FLAT
    features["hash"] = perceptual_hash(grey)
    features["zoomed"] = [perceptual_hash(_middle(grey, share)) for share in ZOOMS]
    features["border"], features["border_level"] = measure_border(grey)
    features["redness"] = measure_redness(image)
    return features


def content_digest(image: np.ndarray) -> np.ndarray:
    """The same two uint64 for images of the same size and pixels, however they are stored."""
    sha = hashlib.sha256(str(image.shape).encode())
    sha.update(np.ascontiguousarray(image).data)
    return np.frombuffer(sha.digest()[:16], np.uint64)


def perceptual_hash(grey: np.ndarray) -> np.ndarray:
    """The signs of the 256 lowest DCT frequencies of a grey image, as four uint64.

    Few bits change when the image is compressed again, resized or made brighter. It has more bits than the usual 64
    since aligned faces are alike in the lowest frequencies.
    """
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.packbits(cv2.dct(small)[_FREQUENCIES] > 0, bitorder="little").view(np.uint64)


def mirrored(hashes: np.ndarray) -> np.ndarray:
    """The hashes ``(..., 4)`` that the images would have from left to right: cosines of odd frequency change sign."""
    return hashes ^ _ODD


def _middle(grey: np.ndarray, share: float) -> np.ndarray:
    height, width = grey.shape
    top, left = round(height * share), round(width * share)
    return grey[top : height - top, left : width - left]


def measure_border(grey: np.ndarray) -> tuple[list[int], list[int]]:
    """Number of lines of one colour, and their brightness, at the top, bottom, left and right edge."""
    low, high = (grey.min(1), grey.min(0)), (grey.max(1), grey.max(0))
    sides = [(low[0], high[0]), (low[0][::-1], high[0][::-1]), (low[1], high[1]), (low[1][::-1], high[1][::-1])]
    return [_equal_lines(*side) for side in sides], [int(darkest[0]) for darkest, _ in sides]


def _equal_lines(low: np.ndarray, high: np.ndarray) -> int:
    """How many lines from the first on differ by little from its darkest pixel."""
    if high[0] > int(low[0]) + _SAME_LINE:
        return 0
    differ = (high > int(low[0]) + _SAME_LINE) | (low.astype(int) + _SAME_LINE < int(low[0]))
    return int(np.argmax(differ)) if differ.any() else len(low)


def measure_redness(image: np.ndarray) -> float:
    """Median of ``(R - B) / (R + G + B)`` over the middle of the image: above 0 on skin of any tone, unless red and
    blue are swapped; NaN for a grey image."""
    height, width = image.shape[:2]
    middle = image[height // 4 : height - height // 4, width // 4 : width - width // 4]
    step = max(1, min(middle.shape[:2]) // 16)
    red, green, blue = middle[::step, ::step].reshape(-1, 3).T.astype(np.float32)
    if np.abs(red - green).sum() + np.abs(green - blue).sum() < _COLOURLESS * len(red):
        return float("nan")
    values = (red - blue) / (red + green + blue + 1)
    return float(np.partition(values, len(values) // 2)[len(values) // 2])  # the median, four times as fast
