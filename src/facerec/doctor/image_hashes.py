"""The features of an image that all checks but those by faces use: 178 bytes per image."""

import hashlib

import cv2
import numpy as np

ZOOMS = (0.018, 0.036, 0.054)  # fractions of the side that a cropped copy may lack at each edge: up to 6 of 112 pixels
FEATURES = np.dtype(
    [
        ("readable", "?"),
        ("flat", "?"),  # one colour: only size and digest are meaningful
        ("size", "u4", 2),  # height, width
        ("digest", "u8", 2),  # of size and pixels
        ("hash", "u8", 4),
        ("zoomed", "u8", (len(ZOOMS), 4)),  # hashes of the image without `ZOOMS` at each edge
        ("border", "u4", 4),  # number of lines of one colour at top, bottom, left and right
        ("border_level", "u1", 4),  # grey level of these lines
        ("redness", "f4"),  # NaN for a grey image
    ]
)
HASH_BITS = 256
_SIDE = 32  # pixels, of the image that is hashed
_FLAT = 2.0  # standard deviation in grey levels
_COLOURLESS = 2.0  # mean difference between the channels in grey levels
_SAME_LINE = 4  # grey levels: JPEG changes a uniform border by as much, and a dark background varies more


def _lowest_frequencies() -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of the DCT coefficients that are hashed, the lowest first, without the mean."""
    row, column = np.divmod(np.arange(_SIDE**2), _SIDE)
    order = np.lexsort((row, row**2 + column**2))[1 : HASH_BITS + 1]
    return row[order], column[order]


_FREQUENCIES = _lowest_frequencies()
_ODD = np.packbits(_FREQUENCIES[1] % 2 == 1, bitorder="little").view(np.uint64)


def measure(image: np.ndarray) -> np.ndarray:
    """Measure an RGB image, uint8 ``(H, W, 3)``; returns a scalar of type `FEATURES`."""
    features = np.zeros((), FEATURES)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    features["readable"], features["size"] = True, image.shape[:2]
    features["digest"] = content_digest(image)
    features["flat"] = cv2.meanStdDev(grey)[1] < _FLAT
    features["hash"] = perceptual_hash(grey)
    features["zoomed"] = [perceptual_hash(_middle(grey, fraction)) for fraction in ZOOMS]
    features["border"], features["border_level"] = measure_border(grey)
    features["redness"] = measure_redness(image)
    return features


def content_digest(image: np.ndarray) -> np.ndarray:
    """Return a digest of size and pixels, uint64 ``(2,)``, that does not depend on the memory layout."""
    sha = hashlib.sha256(str(image.shape).encode())
    sha.update(np.ascontiguousarray(image).data)
    return np.frombuffer(sha.digest()[:16], np.uint64)


def perceptual_hash(grey: np.ndarray) -> np.ndarray:
    """Return the signs of the 256 lowest DCT frequencies of a grey image, uint64 ``(4,)``.

    Few bits change if the image is compressed again, resized or brightened. The usual 64 bits would be too few, because
    aligned faces are similar in the lowest frequencies.
    """
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.packbits(cv2.dct(small)[_FREQUENCIES] > 0, bitorder="little").view(np.uint64)


def flipped(hashes: np.ndarray) -> np.ndarray:
    """Return the hashes ``(..., 4)`` of the flipped images: cosines of odd horizontal frequency change their sign."""
    return hashes ^ _ODD


def _middle(grey: np.ndarray, fraction: float) -> np.ndarray:
    height, width = grey.shape
    top, left = round(height * fraction), round(width * fraction)
    return grey[top : height - top, left : width - left]


def measure_border(grey: np.ndarray) -> tuple[list[int], list[int]]:
    """Return the number of lines of one colour, and their grey level, at top, bottom, left and right."""
    low, high = (grey.min(1), grey.min(0)), (grey.max(1), grey.max(0))
    sides = [(low[0], high[0]), (low[0][::-1], high[0][::-1]), (low[1], high[1]), (low[1][::-1], high[1][::-1])]
    return [_equal_lines(*side) for side in sides], [int(darkest[0]) for darkest, _ in sides]


def _equal_lines(low: np.ndarray, high: np.ndarray) -> int:
    """Count the lines, from the first on, whose pixels are all close to the first line's darkest pixel."""
    if high[0] > int(low[0]) + _SAME_LINE:
        return 0
    differ = (high > int(low[0]) + _SAME_LINE) | (low.astype(int) + _SAME_LINE < int(low[0]))
    return int(np.argmax(differ)) if differ.any() else len(low)


def measure_redness(image: np.ndarray) -> float:
    """Return the median of ``(R - B) / (R + G + B)`` over the middle of the image; NaN for a grey image.

    It is above 0 on skin of any tone, unless red and blue are swapped.
    """
    height, width = image.shape[:2]
    middle = image[height // 4 : height - height // 4, width // 4 : width - width // 4]
    step = max(1, min(middle.shape[:2]) // 16)
    red, green, blue = middle[::step, ::step].reshape(-1, 3).T.astype(np.float32)
    if np.abs(red - green).sum() + np.abs(green - blue).sum() < _COLOURLESS * len(red):
        return float("nan")
    values = (red - blue) / (red + green + blue + 1)
    return float(np.partition(values, len(values) // 2)[len(values) // 2])  # the median, four times as fast
