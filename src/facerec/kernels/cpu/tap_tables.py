"""Where the taps of a k x k window find their numbers, as tables for the loops of `facerec.kernels.cpu.driver`.

Maps lie in memory as ``(B, H, W, C)``, weights that are the same for all images as ``(T, H, W, C)``, weights for each
image and group of channels as ``(B, H, W, T, G)``. Output position (h, w) and tap (row, column) meet
the input at (s h + row - P, s w + column - P); taps outside of the image are left out, so that nothing is padded.
Neighbours in a row that have the same taps make one segment, those with weights for groups a segment that is repeated.

k kernel side, P = k // 2, T = k * k, s stride, (H_in, W_in) input map, (H, W) output map, C channels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import groupby, pairwise, product

import numpy as np

# The weights of a block of rows stay in a core's own cache while all images pass.
_BLOCK_BYTES = 3 << 18
# Items for each thread, so that none waits long for the last.
_ITEMS_A_THREAD = 4


@dataclass(frozen=True)
class Window:
    """The geometry of a convolution: k, s, (H_in, W_in), C, and G for weights for each image and group."""

    kernel_size: int
    stride: int
    in_size: tuple[int, int]
    channels: int
    groups: int | None = None

    @property
    def out_size(self) -> tuple[int, int]:
        """(H, W), rounded up."""
        return -(-self.in_size[0] // self.stride), -(-self.in_size[1] // self.stride)

    @property
    def weight_steps(self) -> tuple[int, int]:
        """How far the weights of a tap are from those of the next one, and those of a position."""
        if self.groups is None:
            return self.out_size[0] * self.out_size[1] * self.channels, self.channels
        return self.groups, self.kernel_size**2 * self.groups


@dataclass(frozen=True, eq=False)
class Segments:
    """The tables of one map.

    Attributes:
        segments: int64 ``(S, 8)``: offset in the map; first and last (exclusive) row of ``taps``; numbers; how many
            times the segment is repeated, and by how many numbers map, weights and windows move each time.
        taps: int64 ``(N, 3)``: offsets of the weights and of the window that a segment's first number meets, and of the
            tap in ``(T, C)``.
        rows: the first segment of each row, and the end.
        row_bytes: of the weights that belong to a row.
    """

    segments: np.ndarray
    taps: np.ndarray
    rows: np.ndarray
    row_bytes: int

    @cached_property
    def addresses(self) -> tuple[int, int]:
        """Of ``segments`` and ``taps``."""
        return self.segments.ctypes.data, self.taps.ctypes.data

    def whole_images(self, images: int, threads: int) -> np.ndarray:
        """Portions of the work, as of `items`, that have no image in common."""
        parts = max(1, min(images, threads * _ITEMS_A_THREAD))
        shares = [images * part // parts for part in range(parts + 1)]
        return np.array([(0, len(self.segments), *share) for share in pairwise(shares)], np.int64)

    def items(self, images: int, threads: int, split_images: bool = True) -> np.ndarray:
        """Portions of the work, int64 ``(I, 4)``: first and last (exclusive) segment, first and last image.

        Args:
            images: B.
            threads: that will take items.
            split_images: let items share rows and differ in images where there are too few rows for all threads.
        """
        height, wanted = len(self.rows) - 1, threads * _ITEMS_A_THREAD if threads > 1 else 1
        block = max(1, min(_BLOCK_BYTES // self.row_bytes, height))
        parts = max(1, min(-(-wanted // -(-height // block)), images // 8)) if split_images else 1
        block = min(block, -(-height // -(-wanted // parts)))
        starts = np.arange(0, height, block)
        shares = [images * part // parts for part in range(parts + 1)]
        blocks = [(self.rows[start], self.rows[min(start + block, height)]) for start in starts]
        return np.array([(*b, *s) for b, s in product(blocks, pairwise(shares))], np.int64)


@cache
def of_output(window: Window) -> Segments:
    """The map is the output, and its windows are in the input."""
    return _tables(window, transposed=False)


@cache
def of_input(window: Window) -> Segments:
    """The map is the input, and its windows are in the output: all that a number of the input went into, which is what
    its gradient is the sum of."""
    return _tables(window, transposed=True)


def _tables(window: Window, transposed: bool) -> Segments:
    sizes = (window.in_size, window.out_size) if transposed else (window.out_size, window.in_size)
    runs = list(_runs(window, sizes[0][1], sizes[1][1], transposed))
    segments, taps, rows = [], [], [0]
    for row in range(sizes[0][0]):
        vertical = _meetings(window, row, sizes[1][0], transposed)
        for column, count, horizontal in runs:
            met = [_tap(window, row, column, v, h, transposed) for v, h in product(vertical, horizontal)]
            place = (row * sizes[0][1] + column) * window.channels
            segments.append((place, len(taps), len(taps) + len(met), *_extent(window, count, transposed)))
            taps += met
        rows.append(len(segments))
    row_bytes = 4 * window.kernel_size**2 * window.out_size[1] * (window.groups or window.channels)
    return Segments(np.array(segments, np.int64), np.array(taps, np.int64).reshape(-1, 3), np.array(rows), row_bytes)


def _meetings(window: Window, place: int, size: int, transposed: bool) -> list[tuple[int, int]]:
    """Along one axis, the taps that ``place`` has on the other map, which is ``size`` long: (tap, place there)."""
    pad, stride = window.kernel_size // 2, window.stride
    taps = range(window.kernel_size)
    if transposed:
        met = [(tap, (place + pad - tap) // stride) for tap in taps if (place + pad - tap) % stride == 0]
    else:
        met = [(tap, place * stride + tap - pad) for tap in taps]
    return [(tap, other) for tap, other in met if 0 <= other < size]


def _runs(
    window: Window, width: int, other_width: int, transposed: bool
) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Columns with the same taps: (the first, how many, what the first meets). Those of an input that is a stride apart
    have the same taps."""
    apart = window.stride if transposed else 1
    for remainder in range(min(apart, width)):
        met = [(c, _meetings(window, c, other_width, transposed)) for c in range(remainder, width, apart)]
        for _, group in groupby(met, lambda column: [meeting[0] for meeting in column[1]]):
            (column, horizontal), *others = group
            yield column, 1 + len(others), horizontal


def _tap(
    window: Window, row: int, column: int, vertical: tuple[int, int], horizontal: tuple[int, int], transposed: bool
) -> tuple[int, int, int]:
    """The row of the table for the tap ``vertical[0]``, ``horizontal[0]``."""
    width, met = window.out_size[1], (vertical[1], horizontal[1])
    tap = vertical[0] * window.kernel_size + horizontal[0]
    out_row, out_column = met if transposed else (row, column)
    other_width = width if transposed else window.in_size[1]
    weights = tap * window.weight_steps[0] + (out_row * width + out_column) * window.weight_steps[1]
    return weights, (met[0] * other_width + met[1]) * window.channels, tap * window.channels


def _extent(window: Window, count: int, transposed: bool) -> tuple[int, ...]:
    """Numbers, repeats, and the moves of map, weights and windows, of ``count`` positions with the same taps."""
    channels, far, weights = window.channels, window.stride * window.channels, window.weight_steps[1]
    if window.stride == 1 and window.groups is None:
        return (count * channels, 1, 0, 0, 0)
    return (channels, count, far, weights, channels) if transposed else (channels, count, channels, weights, far)
