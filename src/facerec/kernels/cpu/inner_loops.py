"""The two inner loops of a position-dependent convolution.

Each tap of a segment (`facerec.kernels.cpu.driver`) multiplies one run of the weights and one run of the input.
Therefore a segment, all channels of all its positions, is a flat loop over vectors.

Images are processed four at a time: a vector of weights is loaded once for all of them, and their sums stay in
registers through all taps.
"""

from collections.abc import Callable

from llvmlite import ir

from facerec.kernels.cpu.driver import Body, Pointers, Taps, walk
from facerec.kernels.cpu.ir_builder import FLOAT32, LoopBuilder, Storage, Value, splat

# Number of images processed together: vectors per image processed together. Their product is the number of sums, as
# many as there are registers for. With more images a core reads more streams at once than it prefetches, which costs a
# third on large maps.
_UNROLL = {4: 2, 1: 4}

# Emits the code for `count` vectors of `width` elements of `images` images: (builder, pointers, taps, images, width,
# count).
_VectorBody = Callable[[LoopBuilder, Pointers, Taps, int, int, int], None]


def sum_over_taps(storage: Storage, weight_storage: Storage, vector_width: int) -> ir.Module:
    """Build ``maps[b, i] = sum over taps t of weights[t, i] * windows[b, t, i]``."""

    def body(b: LoopBuilder, pointers: Pointers, taps: Taps, images: int, width: int, count: int) -> None:
        sums = [[b.variable(splat(FLOAT32, 0.0, width)) for _ in range(count)] for _ in range(images)]
        for tap in taps.each(b, pointers):
            weights = b.read(tap.weights, width, count, weight_storage)
            for image, image_sums in zip(tap.images(b, images), sums, strict=True):
                windows = b.read(image.windows, width, count, storage)
                for total, weight, window in zip(image_sums, weights, windows, strict=True):
                    b.store(b.multiply_add(weight, window, b.vector(total, width)), total)
        for image, image_sums in zip(pointers.images(b, images), sums, strict=True):
            b.write([b.vector(total, width) for total in image_sums], image.maps, width, storage)

    return walk(_over_vectors(body, storage), tuple(_UNROLL), vector_width, storage, shared=weight_storage)


def sum_over_images(storage: Storage, vector_width: int) -> ir.Module:
    """Build ``weights[t, i] += sum over images b of maps[b, i] * windows[b, t, i]`` for each tap t."""

    def body(b: LoopBuilder, pointers: Pointers, taps: Taps, images: int, width: int, count: int) -> None:
        maps = [b.read(image.maps, width, count, storage) for image in pointers.images(b, images)]
        for tap in taps.each(b, pointers):
            sums = b.read(tap.weights, width, count, Storage.FLOAT32)
            for image, image_maps in zip(tap.images(b, images), maps, strict=True):
                windows = b.read(image.windows, width, count, storage)
                sums = [b.multiply_add(*factors) for factors in zip(image_maps, windows, sums, strict=True)]
            b.write(sums, tap.weights, width, Storage.FLOAT32)

    return walk(_over_vectors(body, storage), tuple(_UNROLL), vector_width, storage)


def _over_vectors(body: _VectorBody, storage: Storage) -> Body:
    def segment(b: LoopBuilder, pointers: Pointers, taps: Taps, images: int, length: Value) -> None:
        for start, width, count in b.vectors(length, _UNROLL[images], storage):
            body(b, pointers.advanced(b, maps=start, weights=start, windows=start), taps, images, width, count)

    return segment
