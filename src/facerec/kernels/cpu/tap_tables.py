"""Tables of memory offsets of the taps of a k x k window, for the loops of `facerec.kernels.cpu.driver`.

Maps are in memory as ``(B, H, W, C)``, weights shared by all images as ``(T, H, W, C)``, weights per image and group of
channels as ``(B, H, W, T, G)``. At output position (h, w), tap (row, column) reads the input at
(s h + row - P, s w + column - P); taps outside the image are left out, so nothing has to be padded. Neighbours in a row
that have the same taps form one segment; with weights per group, they form one segment that is repeated.

k kernel side, P = k // 2, T = k * k, s stride, (H_in, W_in) input map, (H, W) output map, C channels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import groupby, pairwise, product

import numpy as np

# The weights of a block of rows stay in a core's own cache while all images are processed.
_BLOCK_BYTES = 3 << 18
# Several items per thread, so that no thread waits long for the last one.
_ITEMS_PER_THREAD = 4


@dataclass(frozen=True)
class Window:
    """The geometry of a convolution: k, s, (H_in, W_in), C, and G if there are weights per image and group."""

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
        """Distance in elements from one tap's weight to the next tap's, and from one position's to the next's."""
        if self.groups is None:
            return self.out_size[0] * self.out_size[1] * self.channels, self.channels
        return self.groups, self.kernel_size**2 * self.groups


@dataclass(frozen=True, eq=False)
class Segments:
    """The tables of one map. All offsets and lengths are in elements.

    Attributes:
        segments: int64 ``(S, 8)``: offset in the map; first and last (exclusive) row of ``taps``; length; number of
            repetitions, and the offsets by which map, weights and windows advance with each.
        taps: int64 ``(N, 3)``: offsets of the weight and of the window element for the segment's first element, and of
            the tap in ``(T, C)``.
        rows: index of the first segment of each row, and finally the number of segments.
        row_bytes: size of the weights that belong to a row.
    """

    segments: np.ndarray
    taps: np.ndarray
    rows: np.ndarray
    row_bytes: int

    @cached_property
    def addresses(self) -> tuple[int, int]:
        """Memory addresses of ``segments`` and ``taps``."""
        return self.segments.ctypes.data, self.taps.ctypes.data

    def whole_images(self, images: int, threads: int) -> np.ndarray:
        """Divide the work into items, as `items` does, none of which share an image."""
        parts = max(1, min(images, threads * _ITEMS_PER_THREAD))
        bounds = [images * part // parts for part in range(parts + 1)]
        return np.array([(0, len(self.segments), *span) for span in pairwise(bounds)], np.int64)

    def items(self, images: int, threads: int, split_images: bool = True) -> np.ndarray:
        """Divide the work into items, int64 ``(I, 4)``: first and last (exclusive) segment, first and last image.

        Args:
            images: B.
            threads: number of threads that will process the items.
            split_images: if there are too few rows for all threads, split the images of a block of rows among items.
        """
        height, wanted = len(self.rows) - 1, threads * _ITEMS_PER_THREAD if threads > 1 else 1
        block = max(1, min(_BLOCK_BYTES // self.row_bytes, height))
        parts = max(1, min(-(-wanted // -(-height // block)), images // 8)) if split_images else 1
        block = min(block, -(-height // -(-wanted // parts)))
        starts = np.arange(0, height, block)
        bounds = [images * part // parts for part in range(parts + 1)]
        blocks = [(self.rows[start], self.rows[min(start + block, height)]) for start in starts]
        return np.array([(*rows, *span) for rows, span in product(blocks, pairwise(bounds))], np.int64)


@cache
def of_output(window: Window) -> Segments:
    """Build the tables whose map is the output and whose windows are in the input."""
    return _tables(window, transposed=False)


@cache
def of_input(window: Window) -> Segments:
    """Build the tables whose map is the input and whose windows are in the output.

    The window of an input element holds every output element that depends on it; its gradient is a sum over them.
    """
    return _tables(window, transposed=True)


def _tables(window: Window, transposed: bool) -> Segments:
    sizes = (window.in_size, window.out_size) if transposed else (window.out_size, window.in_size)
    runs = list(_runs(window, sizes[0][1], sizes[1][1], transposed))
    segments, taps, rows = [], [], [0]
    for row in range(sizes[0][0]):
        vertical = _meetings(window, row, sizes[1][0], transposed)
        for column, count, horizontal in runs:
            met = [_tap(window, row, column, v, h, transposed) for v, h in product(vertical, horizontal)]
            offset = (row * sizes[0][1] + column) * window.channels
            segments.append((offset, len(taps), len(taps) + len(met), *_extent(window, count, transposed)))
            taps += met
        rows.append(len(segments))
    row_bytes = 4 * window.kernel_size**2 * window.out_size[1] * (window.groups or window.channels)
    return Segments(np.array(segments, np.int64), np.array(taps, np.int64).reshape(-1, 3), np.array(rows), row_bytes)


def _meetings(window: Window, position: int, size: int, transposed: bool) -> list[tuple[int, int]]:
    """Return, along one axis, ``position``'s taps on the other map, of length ``size``: (tap, position there)."""
    pad, stride = window.kernel_size // 2, window.stride
    taps = range(window.kernel_size)
    if transposed:
        met = [(tap, (position + pad - tap) // stride) for tap in taps if (position + pad - tap) % stride == 0]
    else:
        met = [(tap, position * stride + tap - pad) for tap in taps]
    return [(tap, other) for tap, other in met if 0 <= other < size]


def _runs(
    window: Window, width: int, other_width: int, transposed: bool
) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Yield runs of columns with the same taps: (first column, number of columns, meetings of the first column). In an
    input, columns that are a stride apart have the same taps."""
    apart = window.stride if transposed else 1
    for remainder in range(min(apart, width)):
        met = [(c, _meetings(window, c, other_width, transposed)) for c in range(remainder, width, apart)]
        for _, group in groupby(met, lambda column: [meeting[0] for meeting in column[1]]):
            (column, horizontal), *others = group
            yield column, 1 + len(others), horizontal


def _tap(
    window: Window, row: int, column: int, vertical: tuple[int, int], horizontal: tuple[int, int], transposed: bool
) -> tuple[int, int, int]:
    """Return the row of the table for the tap (``vertical[0]``, ``horizontal[0]``)."""
    width, met = window.out_size[1], (vertical[1], horizontal[1])
    tap = vertical[0] * window.kernel_size + horizontal[0]
    out_row, out_column = met if transposed else (row, column)
    other_width = width if transposed else window.in_size[1]
    weights = tap * window.weight_steps[0] + (out_row * width + out_column) * window.weight_steps[1]
    return weights, (met[0] * other_width + met[1]) * window.channels, tap * window.channels


def _extent(window: Window, count: int, transposed: bool) -> tuple[int, ...]:
    """Return length, repetitions, and the advances of map, weights and windows for ``count`` positions with the same
    taps."""
    channels, far, weights = window.channels, window.stride * window.channels, window.weight_steps[1]
    if window.stride == 1 and window.groups is None:
        return (count * channels, 1, 0, 0, 0)
    return (channels, count, far, weights, channels) if transposed else (channels, count, channels, weights, far)
