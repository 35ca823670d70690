"""The two inner loops of a position-dependent convolution.

A *segment* is a piece of a row whose numbers, all channels of all its positions, have the same taps: each tap
multiplies one run of the weights and one run of the input, so that a segment is a flat loop over vectors. Strides,
borders and kernel sizes are all in the tables of segments and taps (`facerec.kernels.cpu.segments`), nowhere here.

Images are taken four at a time: a vector of weights is loaded once for all of them, and their sums stay in registers
through all taps.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from llvmlite import ir

from facerec.kernels.cpu.loops import FLOAT32, INT64, POINTER, LoopBuilder, Storage, Value, int64, splat

# Images of a group, and of each the vectors that are worked on together: as many sums as there are registers for. With
# more images a core reads more streams at once than it fetches ahead, which costs a third on large maps.
_GROUPS = ((4, 2), (1, 4))


@dataclass
class _Numbers:
    """Pointers into the arrays, at one image, and the numbers from an image to the next."""

    maps: Value
    weights: Value
    windows: Value
    map_stride: Value
    window_stride: Value
    storage: Storage

    def moved(self, b: LoopBuilder, maps: Value, weights: Value, windows: Value) -> "_Numbers":
        """By as many numbers each."""
        return _Numbers(
            b.at(self.maps, maps, self.storage.value),
            b.at(self.weights, weights, FLOAT32),
            b.at(self.windows, windows, self.storage.value),
            self.map_stride,
            self.window_stride,
            self.storage,
        )

    def images(self, b: LoopBuilder, count: int) -> Iterator["_Numbers"]:
        """This image and those behind it."""
        image = self
        for index in range(count):
            yield image
            if index + 1 < count:
                image = image.moved(b, self.map_stride, int64(0), self.window_stride)


@dataclass
class _Taps:
    """Rows of the table of taps: (offset of the weights, offset of the windows)."""

    table: Value
    start: Value
    stop: Value

    def each(self, b: LoopBuilder, numbers: _Numbers) -> Iterator[_Numbers]:
        with b.range(self.start, self.stop) as tap:
            weights, windows = b.fields(self.table, tap, 2)
            yield numbers.moved(b, int64(0), weights, windows)


# Builds the work on `count` vectors of `width` numbers of a group of `images`.
_Body = Callable[[LoopBuilder, _Numbers, _Taps, int, int, int], None]


def sum_over_taps(storage: Storage, vector_width: int) -> ir.Module:
    """``maps[b, i] = sum over taps t of weights[t, i] * windows[b, t, i]``."""

    def body(b: LoopBuilder, numbers: _Numbers, taps: _Taps, images: int, width: int, count: int) -> None:
        sums = [[b.variable(splat(FLOAT32, 0.0, width)) for _ in range(count)] for _ in range(images)]
        for tap in taps.each(b, numbers):
            weights = b.read(tap.weights, width, count, Storage.FLOAT32)
            for image, of_image in zip(tap.images(b, images), sums, strict=True):
                windows = b.read(image.windows, width, count, storage)
                for place, weight, window in zip(of_image, weights, windows, strict=True):
                    b.store(b.multiply_add(weight, window, _value(b, place, width)), place)
        for image, of_image in zip(numbers.images(b, images), sums, strict=True):
            b.write([_value(b, place, width) for place in of_image], image.maps, width, storage)

    return _program(body, storage, vector_width)


def sum_over_images(storage: Storage, vector_width: int) -> ir.Module:
    """``weights[t, i] += sum over images b of maps[b, i] * windows[b, t, i]`` for each tap t."""

    def body(b: LoopBuilder, numbers: _Numbers, taps: _Taps, images: int, width: int, count: int) -> None:
        maps = [b.read(image.maps, width, count, storage) for image in numbers.images(b, images)]
        for tap in taps.each(b, numbers):
            sums = b.read(tap.weights, width, count, Storage.FLOAT32)
            for image, of_image in zip(tap.images(b, images), maps, strict=True):
                windows = b.read(image.windows, width, count, storage)
                sums = [b.multiply_add(*each) for each in zip(of_image, windows, sums, strict=True)]
            b.write(sums, tap.weights, width, Storage.FLOAT32)

    return _program(body, storage, vector_width)


def _value(b: LoopBuilder, place: Value, width: int) -> Value:
    return b.load(place, typ=ir.VectorType(FLOAT32, width))


def _program(body: _Body, storage: Storage, vector_width: int) -> ir.Module:
    """``void run(int64 *call)``, which any number of threads run at once: each takes the next item until there is none.

    The fields of ``call`` are those of `facerec.kernels.cpu.program.Program.run`, addresses and numbers.
    """
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), "run")
    b = LoopBuilder(function, vector_width)
    *pointers, map_stride, window_stride, items = b.fields(function.args[0], int64(0), 10)
    counter, item_table, segments, taps, maps, weights, windows = (b.inttoptr(p, POINTER) for p in pointers)
    numbers = _Numbers(maps, weights, windows, map_stride, window_stride, storage)
    taken = b.variable(int64(0))

    def take() -> Value:
        b.store(b.atomic_rmw("add", counter, int64(1), "monotonic"), taken)
        return b.icmp_signed("<", b.load(taken, typ=INT64), items)

    with b.while_(take):
        first, last, image, last_image = b.fields(item_table, b.load(taken, typ=INT64), 4)
        place = b.variable(image)
        for images, unroll in _GROUPS:
            with b.steps(place, last_image, images) as start:
                group = numbers.moved(b, b.mul(start, map_stride), int64(0), b.mul(start, window_stride))
                with b.range(first, last) as segment:
                    _build_segment(b, body, group, b.fields(segments, segment, 8), taps, images, unroll)
    b.ret_void()
    return module


def _build_segment(
    b: LoopBuilder, body: _Body, group: _Numbers, segment: list[Value], taps: Value, images: int, unroll: int
) -> None:
    """A segment of the table: where its maps begin, its taps, its length, and how often it is repeated how far on."""
    start, first_tap, last_tap, length, repeats, *steps = segment
    with b.range(int64(0), repeats) as repeat:
        numbers = group.moved(b, *(b.mul(repeat, step) for step in steps)).moved(b, start, int64(0), int64(0))
        for position, width, count in b.vectors(length, unroll):
            here = numbers.moved(b, position, position, position)
            body(b, here, _Taps(taps, first_tap, last_tap), images, width, count)
