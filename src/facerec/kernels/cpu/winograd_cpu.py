"""The 3x3 convolution of one map of `facerec.kernels.generator` on the CPU, in float32, as Winograd's F(4 x 4, 3 x 3).

Lavin, Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, arXiv 1509.09308:

    tile of 4 x 4 outputs = A^T (sum over inputs of (G filter G^T) * (B^T window of 6 x 6 inputs B)) A

The product * is by element, so the sum over the inputs is 36 matrix products, tiles by inputs and inputs by outputs: a
quarter of the multiply-adds. The gradients are the transposed steps, and the input's windows are added where they
overlap.

The interpolation points are 0, 1, -1, 1/2, -2 and infinity, by which the result is exact to about 1e-6 (with the more
usual 2 and -2 to 1.5e-6).

I inputs, O outputs, T tiles, row by row; (H, W) map. O is in G groups: output c * G + g comes at g * (O / G) + c.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from facerec.kernels.cpu.jit import program
from facerec.kernels.cpu.tile_loops import Matrix, both_sides

_TILE, _WINDOW = 4, 6
_SLICES = _WINDOW**2
_OF_OUTPUTS: Matrix = (  # A^T
    (1, 1, 1, 1, 1, 0),
    (0, 1, -1, 1 / 2, -2, 0),
    (0, 1, 1, 1 / 4, 4, 0),
    (0, 1, -1, 1 / 8, -8, 1),
)
_OF_INPUTS: Matrix = (  # B^T
    (1, -3 / 2, -2, 3 / 2, 1, 0),
    (0, -1, 1 / 2, 5 / 2, 1, 0),
    (0, 1, -5 / 2, 1 / 2, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 1 / 2, -1, -1 / 2, 1, 0),
    (0, 1, -3 / 2, -2, 3 / 2, 1),
)
_OF_FILTER: Matrix = (  # G
    (1, 0, 0),
    (1 / 3, 1 / 3, 1 / 3),
    (-1 / 3, 1 / 3, -1 / 3),
    (-16 / 15, -8 / 15, -4 / 15),
    (1 / 15, -2 / 15, 4 / 15),
    (0, 0, 1),
)


def _transposed(matrix: Matrix) -> Matrix:
    return tuple(zip(*matrix, strict=True))


# From the last value of the window before, those of a window and the first of the one after, to the four in its middle.
# At its ends B has a single 1.
_OF_MIDDLE: Matrix = tuple(
    (float(row == 0), *factors, float(row == _TILE - 1))
    for row, factors in enumerate(_transposed(_OF_INPUTS)[1 : 1 + _TILE])
)
_FILTERS_OF_AN_ITEM = 16


@dataclass(frozen=True, eq=False)
class _Rows:
    """The numbers of rows, int64, that each tile, or filter, reads or writes; -1: there is none.

    Attributes:
        items: first and last (exclusive) tile of each work item, ``(items, 2)``.
        small: of the map or of the filters.
        large: of the 36 slices.
        windows: of the map, from one position before the tile to one after.
        around: of the slices, with those of the tiles around it that it shares positions with.
    """

    items: np.ndarray
    small: np.ndarray
    large: np.ndarray
    windows: np.ndarray
    around: np.ndarray


def transformed_filters(weight: Tensor, groups: int) -> Tensor:
    """Return ``G filter G^T`` of ``(O, I, 3, 3)`` in channels_last memory, as ``(36, O, I)`` by group."""
    outputs, inputs = weight.shape[:2]
    rows, found = _filter_rows(outputs, groups), _slices(outputs, inputs)
    _run(_OF_FILTER, rows.items, (rows.small, weight, inputs, 0), (rows.large, found, inputs, 0), inputs)
    return found


def forward(x: Tensor, filters: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """Return the output ``(G, H, W, O / G)``, and the input's windows, ``(36, T, I)``.

    Args:
        x: ``(1, I, H, W)`` in channels_last memory.
        filters: from `transformed_filters`.
    """
    (inputs, height, width), outputs = x.shape[1:], filters.shape[1]
    rows, each = _map_rows(height, width), outputs // groups
    windows, products = (_slices(len(rows.small), channels) for channels in (inputs, outputs))
    _run(_OF_INPUTS, rows.items, (rows.windows, x, inputs, 0), (rows.large, windows, inputs, 0), inputs)
    torch.bmm(windows, filters.mT, out=products)
    out = x.new_empty(groups, height, width, each)
    source, result = (rows.large, products, outputs, each), (rows.small, out, each, height * width * each)
    _run(_OF_OUTPUTS, rows.items, source, result, each, groups)
    return out, windows


def gradients(grad_out: Tensor, windows: Tensor, filters: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients of x, like it, and of the weight, ``(O, I, 3, 3)`` in channels_last memory.

    Args:
        grad_out: ``(G, H, W, O / G)``, contiguous.
        windows: from `forward`.
        filters: from `transformed_filters`.
    """
    (groups, height, width, each), (outputs, inputs) = grad_out.shape, filters.shape[1:]
    rows = _map_rows(height, width)
    products, of_windows = (_slices(len(rows.small), channels) for channels in (outputs, inputs))
    source, result = (rows.small, grad_out, each, height * width * each), (rows.large, products, outputs, each)
    _run(_transposed(_OF_OUTPUTS), rows.items, source, result, each, groups)
    of_filters = _slices(outputs, inputs)
    torch.bmm(products.mT, windows, out=of_filters)
    torch.bmm(products, filters, out=of_windows)
    grad_x, grad_weight = windows.new_empty(1, height, width, inputs), windows.new_empty(outputs, 3, 3, inputs)
    _run(_OF_MIDDLE, rows.items, (rows.around, of_windows, inputs, 0), (rows.small, grad_x, inputs, 0), inputs)
    rows = _filter_rows(outputs, groups)
    source, result = (rows.large, of_filters, inputs, 0), (rows.small, grad_weight, inputs, 0)
    _run(_transposed(_OF_FILTER), rows.items, source, result, inputs)
    return grad_x.permute(0, 3, 1, 2), grad_weight.permute(0, 3, 1, 2)


# The table of a side's rows, its array, and the distances of rows and groups in it, in elements.
_Side = tuple[np.ndarray, Tensor, int, int]


def _run(matrix: Matrix, items: np.ndarray, source: _Side, result: _Side, channels: int, groups: int = 1) -> None:
    spare = torch.zeros(2, channels)
    arrays = [tensor.data_ptr() for tensor in (source[1], result[1], *spare)]
    tables = [side[0].ctypes.data for side in (source, result)]
    program(both_sides, matrix).call(items, *tables, *arrays, channels, groups, *source[2:], *result[2:])


@cache
def _map_rows(height: int, width: int) -> _Rows:
    tiles = (-(-height // _TILE), -(-width // _TILE))
    first, span = [_TILE * np.arange(count)[:, None] for count in tiles], np.arange(_WINDOW) - 1
    windows, small = (_grid([start + part for start in first], (height, width)) for part in (span, span[1:-1]))
    # Along an axis: which tile, and which value of its window.
    tile, value = np.array([-1, *[0] * _WINDOW, 1]), np.array([_WINDOW - 1, *range(_WINDOW), 0])
    shared = _grid([np.arange(count)[:, None] + tile for count in tiles], tiles)
    slices = (value[:, None] * _WINDOW + value).ravel() * (len(small) + 1)
    around = np.where(shared < 0, -1, slices + shared)
    starts = np.arange(tiles[0]) * tiles[1]
    return _Rows(np.stack([starts, starts + tiles[1]], axis=1), small, _in_slices(len(small)), windows, around)


def _grid(axes: list[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Return the numbers of positions, row by row in a map of ``size``, of each tile: ``(tiles, positions)``.

    Args:
        axes: of the rows and of the columns: the positions of each tile, ``(tiles, positions)``.
    """
    y, x = axes[0][:, None, :, None], axes[1][None, :, None, :]
    inside = (y >= 0) & (y < size[0]) & (x >= 0) & (x < size[1])
    return np.where(inside, y * size[1] + x, -1).reshape(len(axes[0]) * len(axes[1]), -1)


@cache
def _filter_rows(outputs: int, groups: int) -> _Rows:
    by_group = np.arange(outputs).reshape(-1, groups).T.reshape(-1, 1)
    starts = np.arange(0, outputs, _FILTERS_OF_AN_ITEM)
    items = np.stack([starts, np.minimum(starts + _FILTERS_OF_AN_ITEM, outputs)], axis=1)
    small = by_group * 9 + np.arange(9)
    return _Rows(items, small, _in_slices(outputs), small, small)


def _slices(count: int, channels: int) -> Tensor:
    """Return an empty ``(36, count, channels)``, with an unused row after each slice: at a distance of a power of 2,
    all would be in the same lines of a cache."""
    return torch.empty(_SLICES, count + 1, channels)[:, :-1]


def _in_slices(count: int) -> np.ndarray:
    return np.arange(_SLICES) * (count + 1) + np.arange(count)[:, None]
