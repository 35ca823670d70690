"""Dice, Hausdorff distance and cup-to-disc ratio of one predicted mask, and how a prediction is cleaned up.

A structure (optic cup or disc) is bool ``(H, W)``; distances are in its pixels. A mask is uint8 ``(H, W)``: 0
background, 1 disc outside the cup, 2 cup; the disc is ``mask >= 1``, since the cup is a part of it.
"""

import math

import cv2
import numpy as np
from scipy.ndimage import binary_fill_holes

_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def structures(mask: np.ndarray) -> np.ndarray:
    """Return cup and disc of a mask, bool ``(2, H, W)``, in the order of the network's logits."""
    return np.stack([mask == 2, mask >= 1])


def labelled(cup: np.ndarray, disc: np.ndarray) -> np.ndarray:
    """Return the mask of two structures. The cup belongs to the disc, even where only the cup was predicted."""
    return np.where(cup, 2, disc).astype(np.uint8)


def dice(prediction: np.ndarray, truth: np.ndarray, smooth: float = 0.0) -> float:
    """Return ``(2 I + smooth) / (P + T + smooth)`` of two structures with P and T pixels and I in common.

    1 if both are empty, and 0 without ``smooth`` if one is. Raises `ValueError` for structures of different sizes.
    """
    _check_pair(prediction, truth)
    both, total = np.count_nonzero(prediction & truth), np.count_nonzero(prediction) + np.count_nonzero(truth)
    return float((2 * both + smooth) / (total + smooth)) if total else 1.0


def hausdorff(
    prediction: np.ndarray, truth: np.ndarray, percentile: float = 100, empty_distance: float | None = None
) -> float:
    """Return the Hausdorff distance in pixels, or a percentile of the `surface_distances` that are its maximum.

    95 is the published "HD95" (``medpy.metric.hd95``): of the distances in both directions together.
    """
    return float(np.percentile(surface_distances(prediction, truth, empty_distance), percentile))


def surface_distances(prediction: np.ndarray, truth: np.ndarray, empty_distance: float | None = None) -> np.ndarray:
    """Return the distance of each pixel on an edge to the next one on the other structure's edge, both ways, ``(N,)``.

    A pixel is on the edge of a structure if one of its four neighbours is outside, as everything beyond the image is.
    If one structure is empty, the only distance is ``empty_distance``, by default the image's diagonal; 0 if both are.

    Raises:
        ValueError: the structures are not of one size.
    """
    _check_pair(prediction, truth)
    union = prediction | truth
    if not prediction.any() or not truth.any():
        diagonal = math.hypot(*union.shape) if empty_distance is None else empty_distance
        return np.array([diagonal if union.any() else 0.0])
    window = _bounds(union)  # outside of it, there are no edges
    one, other = (_edge(structure[window]) for structure in (prediction, truth))
    found = np.concatenate([_distances_to(other)[one], _distances_to(one)[other]])
    # OpenCV's float32 roots differ in the last bit from call to call, and their squares are integers.
    return np.sqrt(np.rint(np.square(found.astype(np.float64))))


def vertical_cup_to_disc(mask: np.ndarray) -> float:
    """Return the height of the cup over that of the disc, from 0 to 1; 0 without a cup."""
    cup, disc = (np.flatnonzero(structure.any(axis=1)) for structure in structures(mask))
    return float((cup[-1] - cup[0] + 1) / (disc[-1] - disc[0] + 1)) if len(cup) else 0.0


def largest_component(structure: np.ndarray) -> np.ndarray:
    """Return the largest part that is connected over sides and corners, of equal ones the first from the top."""
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(structure.astype(np.uint8), connectivity=8)
    areas = statistics[1:, cv2.CC_STAT_AREA]  # without the background
    if not len(areas):
        return structure.astype(bool)
    largest = np.isin(labels, 1 + np.flatnonzero(areas == areas.max()))
    return labels == labels.flat[np.argmax(largest)]  # OpenCV's own order is not that of the rows


def fill_holes(structure: np.ndarray) -> np.ndarray:
    """Return the structure with what it encloses: what no path over sides connects with the border of the image."""
    return np.asarray(binary_fill_holes(structure))


def _check_pair(prediction: np.ndarray, truth: np.ndarray) -> None:
    if prediction.shape != truth.shape or prediction.ndim != 2:
        raise ValueError(
            f"a prediction of shape {prediction.shape} cannot be compared with a truth of shape {truth.shape}: give "
            "two of one (height, width)"
        )


def _bounds(structure: np.ndarray) -> tuple[slice, slice]:
    rows, columns = (np.flatnonzero(structure.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _edge(structure: np.ndarray) -> np.ndarray:
    # OpenCV counts what is beyond the border as inside unless told otherwise.
    pixels = structure.astype(np.uint8)
    inner = cv2.erode(pixels, _CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return pixels > inner


def _distances_to(edge: np.ndarray) -> np.ndarray:
    return cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
