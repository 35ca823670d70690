"""The taps of a k x k window, zero padding k // 2, as shifts along one flat axis.

Each channel is stored row by row in a zero-padded plane, so that the elements that a tap multiplies are one contiguous
run for all output positions together: a multiply-add over a run is fast even for maps of 6x6. At stride s the padded
map is split into s * s planes, one per remainder of row and column. A run keeps the width of its plane, and the last
(k - 1) // s elements of each row belong to no output position.

B images, C channels, L elements of a plane, R elements of a run.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from facerec.kernels.dispatch import images_at_a_time

# Images are processed in chunks whose planes stay in a core's own cache through all taps.
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class TapLayout:
    """The memory layout in which every tap reads one contiguous run.

    Attributes:
        kernel_size: k, odd.
        stride: s, distance between output positions, in input pixels.
        in_size: (H_in, W_in).
        out_size: (H, W): ``H_in / s`` and ``W_in / s``, rounded up.
    """

    kernel_size: int
    stride: int
    in_size: tuple[int, int]
    out_size: tuple[int, int]

    @property
    def plane_size(self) -> tuple[int, int]:
        """Rows and columns of a plane. It has one row more than the windows see, because the run of the last tap ends
        there."""
        reach = (self.kernel_size - 1) // self.stride
        return self.out_size[0] + reach + 1, self.out_size[1] + reach

    @property
    def run_length(self) -> int:
        """R, the number of elements of a run."""
        return self.out_size[0] * self.plane_size[1]

    def zero_planes(self, x: Tensor) -> Tensor:
        """Allocate zero planes, ``(s * s, B, C, L)``, for ``x``, ``(B, C, H_in, W_in)``."""
        rows, width = self.plane_size
        return x.new_zeros(self.stride**2, *x.shape[:2], rows * width)

    def planes(self, x: Tensor) -> Tensor:
        """Copy ``(B, C, H_in, W_in)`` into planes, ``(s * s, B, C, L)``."""
        planes = self.zero_planes(x)
        for index, (in_image, in_plane) in enumerate(self._slices()):
            planes[index].unflatten(-1, self.plane_size)[in_plane] = x[in_image]
        return planes

    def write_image(self, planes: Tensor, image: Tensor) -> None:
        """Copy planes into ``image``, ``(B, C, H_in, W_in)``: the inverse of `planes`. Pixels that no tap reads are
        left unchanged."""
        for index, (in_image, in_plane) in enumerate(self._slices()):
            image[in_image] = planes[index].unflatten(-1, self.plane_size)[in_plane]

    def taps(self, planes: Tensor) -> Iterator[Tensor]:
        """Yield the k * k views ``(..., R)`` of ``planes``, ``(s * s, ..., L)``, row by row."""
        width = self.plane_size[1]
        for row in range(self.kernel_size):
            for column in range(self.kernel_size):
                plane = planes[row % self.stride * self.stride + column % self.stride]
                yield plane.narrow(-1, row // self.stride * width + column // self.stride, self.run_length)

    def runs(self, maps: Tensor) -> Tensor:
        """Copy ``(..., H, W)`` into runs, ``(..., R)``, zero where there is no output position."""
        runs = maps.new_empty(*maps.shape[:-1], self.plane_size[1])
        runs[..., : self.out_size[1]] = maps
        runs[..., self.out_size[1] :] = 0
        return runs.flatten(-2)

    def maps(self, runs: Tensor) -> Tensor:
        """View runs, ``(..., R)``, as ``(..., H, W)``; the inverse of `runs`."""
        return runs.unflatten(-1, (self.out_size[0], self.plane_size[1]))[..., : self.out_size[1]]

    def _slices(self) -> Iterator[tuple[tuple, tuple]]:
        """Yield for each plane the index of its elements in the image, and their index in the plane."""
        for row in range(self.stride):
            for column in range(self.stride):
                rows, columns = self._slice(0, row), self._slice(1, column)
                yield (..., rows[0], columns[0]), (..., rows[1], columns[1])

    def _slice(self, axis: int, remainder: int) -> tuple[slice, slice]:
        pad = self.kernel_size // 2
        start = (remainder - pad) % self.stride
        first = (start + pad) // self.stride
        count = min(len(range(start, self.in_size[axis], self.stride)), self.plane_size[axis] - first)
        return slice(start, start + count * self.stride, self.stride), slice(first, first + count)


def image_chunks(x: Tensor) -> Iterator[slice]:
    """Yield the slices of a batch ``(B, ...)`` that are processed together."""
    size = images_at_a_time(x, _CHUNK_BYTES)
    for start in range(0, len(x), size):
        yield slice(start, start + size)
