"""The two inner loops of a position-dependent convolution.

Each tap of a segment (`facerec.kernels.cpu.driver`) multiplies one run of the weights and one run of the input, so that
a segment, all channels of all its positions, is a flat loop over vectors.

Images are taken four at a time: a vector of weights is loaded once for all of them, and their sums stay in registers
through all taps.
"""

from collections.abc import Callable

from llvmlite import ir

from facerec.kernels.cpu.driver import Body, Numbers, Taps, walk
from facerec.kernels.cpu.ir_builder import FLOAT32, LoopBuilder, Storage, Value, splat

# Images of a group, and of each the vectors that are worked on together: as many sums as there are registers for. With
# more images a core reads more streams at once than it fetches ahead, which costs a third on large maps.
_GROUPS = {4: 2, 1: 4}

# Builds the work on `count` vectors of `width` numbers of a group of `images`.
_VectorBody = Callable[[LoopBuilder, Numbers, Taps, int, int, int], None]


def sum_over_taps(storage: Storage, vector_width: int) -> ir.Module:
    """``maps[b, i] = sum over taps t of weights[t, i] * windows[b, t, i]``."""

    def body(b: LoopBuilder, numbers: Numbers, taps: Taps, images: int, width: int, count: int) -> None:
        sums = [[b.variable(splat(FLOAT32, 0.0, width)) for _ in range(count)] for _ in range(images)]
        for tap in taps.each(b, numbers):
            weights = b.read(tap.weights, width, count, Storage.FLOAT32)
            for image, of_image in zip(tap.images(b, images), sums, strict=True):
                windows = b.read(image.windows, width, count, storage)
                for place, weight, window in zip(of_image, weights, windows, strict=True):
                    b.store(b.multiply_add(weight, window, b.vector(place, width)), place)
        for image, of_image in zip(numbers.images(b, images), sums, strict=True):
            b.write([b.vector(place, width) for place in of_image], image.maps, width, storage)

    return walk(_over_vectors(body), tuple(_GROUPS), vector_width, storage)


def sum_over_images(storage: Storage, vector_width: int) -> ir.Module:
    """``weights[t, i] += sum over images b of maps[b, i] * windows[b, t, i]`` for each tap t."""

    def body(b: LoopBuilder, numbers: Numbers, taps: Taps, images: int, width: int, count: int) -> None:
        maps = [b.read(image.maps, width, count, storage) for image in numbers.images(b, images)]
        for tap in taps.each(b, numbers):
            sums = b.read(tap.weights, width, count, Storage.FLOAT32)
            for image, of_image in zip(tap.images(b, images), maps, strict=True):
                windows = b.read(image.windows, width, count, storage)
                sums = [b.multiply_add(*each) for each in zip(of_image, windows, sums, strict=True)]
            b.write(sums, tap.weights, width, Storage.FLOAT32)

    return walk(_over_vectors(body), tuple(_GROUPS), vector_width, storage)


def _over_vectors(body: _VectorBody) -> Body:
    def segment(b: LoopBuilder, numbers: Numbers, taps: Taps, images: int, length: Value) -> None:
        for place, width, count in b.vectors(length, _GROUPS[images]):
            here = numbers.moved(b, maps=place, weights=place, windows=place)
            body(b, here, taps, images, width, count)

    return segment
