"""Weights in the order in which the kernels of the operator library read them, the same for every instruction set."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Of the layout below and of the structs of ``kernels.h``: what ``facerec_version()`` of a library must say.
VERSION = 2

_PANEL = 16


def pack_pointwise(weight: NDArray[Any]) -> NDArray[np.float32]:
    """Pack a 1x1 convolution ``(out, in)``: float32, 1-D. Panels of 16 outputs; each has the inputs in turn."""
    out_channels, in_channels = weight.shape
    padded = np.zeros((-(-out_channels // _PANEL) * _PANEL, in_channels), np.float32)
    padded[:out_channels] = weight
    return np.ascontiguousarray(padded.reshape(-1, _PANEL, in_channels).transpose(0, 2, 1)).reshape(-1)


def pack_stem(weight: NDArray[Any]) -> NDArray[np.float32]:
    """Pack a dense convolution ``(out, 3, k, k)``: float32, 1-D."""
    return pack_pointwise(weight.transpose(0, 2, 3, 1).reshape(len(weight), -1))


def half_scale(weight: NDArray[Any]) -> NDArray[np.float32]:
    """Return the power of two for each channel, ``(C,)``, by which to divide filters and bias before ``pack_conv``.

    The largest weight of a channel is then at most 2^15, since folded normalisations make weights of any size, and
    float16 ends at 65504 and has fewer bits below 2^-14.
    """
    largest = np.abs(weight).reshape(-1, weight.shape[-1]).max(0)
    return np.exp2(np.ceil(np.log2(np.where(largest > 0, largest, 1))) - 15).astype(np.float32)


def pack_conv(weight: NDArray[Any], half: bool = False) -> NDArray[Any]:
    """Pack filters ``(k*k, H, W, C)``, one a position, or ``(k*k, C)``, shared: float32, or float16 if ``half``, 1-D.

    A position's filters follow one another in panels of 16 channels, the last of 8 or 16; each has the taps in turn.
    """
    taps, channels = weight.shape[0], weight.shape[-1]
    dtype = np.float16 if half else np.float32
    widened = -(-channels // (_PANEL // 2)) * (_PANEL // 2)
    padded = np.zeros((weight[0, ..., 0].size, taps, widened), dtype)
    padded[:, :, :channels] = weight.reshape(taps, -1, channels).swapaxes(0, 1)
    whole = widened // _PANEL * _PANEL
    panels = padded[:, :, :whole].reshape(len(padded), taps, -1, _PANEL).swapaxes(1, 2).reshape(len(padded), -1)
    rest = padded[:, :, whole:].reshape(len(padded), -1)
    # The kernels read the last 8 channels together with 8 numbers beyond them, which do not count.
    return np.append(np.concatenate([panels, rest], 1).reshape(-1), np.zeros(_PANEL, dtype))
