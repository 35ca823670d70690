"""The taps of a k x k window, zero padding k // 2, as shifts along one flat axis.

Each channel lies row after row in a zero-padded plane, so that the numbers that a tap multiplies are one contiguous run
for all output positions together: a multiply-add over a run is fast for maps of 6x6 as well. At stride s the padded map
is dealt out to s * s planes, one for each remainder of row and column. A run keeps the width of its plane, and the last
(k - 1) // s numbers of each row belong to no output position.

B images, C channels, L numbers of a plane, R numbers of a run.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from facerec.kernels.dispatch import images_at_a_time

# Images are taken in groups whose planes stay in a core's own cache through all taps.
_GROUP_BYTES = 1 << 20


@dataclass(frozen=True)
class TapLayout:
    """Where the taps find their numbers.

    Attributes:
        kernel_size: k, odd.
        stride: s, of the output positions over the input.
        in_size: (H_in, W_in).
        out_size: (H, W): ``H_in / s`` and ``W_in / s``, rounded up.
    """

    kernel_size: int
    stride: int
    in_size: tuple[int, int]
    out_size: tuple[int, int]

    @property
    def plane_size(self) -> tuple[int, int]:
        """Rows and numbers a row. One row more than the windows see, since the run of the last tap ends in it."""
        reach = (self.kernel_size - 1) // self.stride
        return self.out_size[0] + reach + 1, self.out_size[1] + reach

    @property
    def run_length(self) -> int:
        """R."""
        return self.out_size[0] * self.plane_size[1]

    def zero_planes(self, x: Tensor) -> Tensor:
        """``(s * s, B, C, L)`` for ``x``, ``(B, C, H_in, W_in)``."""
        rows, width = self.plane_size
        return x.new_zeros(self.stride**2, *x.shape[:2], rows * width)

    def planes(self, x: Tensor) -> Tensor:
        """``(B, C, H_in, W_in)`` to ``(s * s, B, C, L)``."""
        planes = self.zero_planes(x)
        for index, (positions, places) in enumerate(self._shares()):
            planes[index].unflatten(-1, self.plane_size)[places] = x[positions]
        return planes

    def write_image(self, planes: Tensor, image: Tensor) -> None:
        """The inverse of `planes`, into ``image``, ``(B, C, H_in, W_in)``; what no tap reads is left as it was."""
        for index, (positions, places) in enumerate(self._shares()):
            image[positions] = planes[index].unflatten(-1, self.plane_size)[places]

    def taps(self, planes: Tensor) -> Iterator[Tensor]:
        """The k * k views ``(..., R)`` of ``planes``, ``(s * s, ..., L)``, row by row."""
        width = self.plane_size[1]
        for row in range(self.kernel_size):
            for column in range(self.kernel_size):
                plane = planes[row % self.stride * self.stride + column % self.stride]
                yield plane.narrow(-1, row // self.stride * width + column // self.stride, self.run_length)

    def runs(self, maps: Tensor) -> Tensor:
        """``(..., H, W)`` to ``(..., R)``, zero where there is no output position."""
        runs = maps.new_empty(*maps.shape[:-1], self.plane_size[1])
        runs[..., : self.out_size[1]] = maps
        runs[..., self.out_size[1] :] = 0
        return runs.flatten(-2)

    def maps(self, runs: Tensor) -> Tensor:
        """The view ``(..., H, W)`` of ``(..., R)``."""
        return runs.unflatten(-1, (self.out_size[0], self.plane_size[1]))[..., : self.out_size[1]]

    def _shares(self) -> Iterator[tuple[tuple, tuple]]:
        """For each plane the positions in the image that it holds, and their places in the plane."""
        for row in range(self.stride):
            for column in range(self.stride):
                rows, columns = self._share(0, row), self._share(1, column)
                yield (..., rows[0], columns[0]), (..., rows[1], columns[1])

    def _share(self, axis: int, remainder: int) -> tuple[slice, slice]:
        pad = self.kernel_size // 2
        start = (remainder - pad) % self.stride
        first = (start + pad) // self.stride
        count = min(len(range(start, self.in_size[axis], self.stride)), self.plane_size[axis] - first)
        return slice(start, start + count * self.stride, self.stride), slice(first, first + count)


def image_groups(x: Tensor) -> Iterator[slice]:
    """The images of a batch ``(B, ...)`` that are worked on together."""
    size = images_at_a_time(x, _GROUP_BYTES)
    for start in range(0, len(x), size):
        yield slice(start, start + size)
