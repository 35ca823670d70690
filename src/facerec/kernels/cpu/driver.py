"""The walk through items, images and segments, around the loops of `facerec.kernels.cpu.inner_loops` and
`facerec.kernels.cpu.pixel_inner_loops`.

A *segment* is a piece of a row whose numbers have the same taps. Strides, borders and kernel sizes are all in the
tables of segments and taps (`facerec.kernels.cpu.tap_tables`), nowhere in the loops.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from llvmlite import ir

from facerec.kernels.cpu.ir_builder import FLOAT32, INT64, POINTER, LoopBuilder, Storage, Value, int64

ARRAYS = ("maps", "weights", "windows", "channel_weights", "weight_sums", "channel_sums")


@dataclass
class Numbers:
    """Pointers into the arrays at one image, of all but the maps at one tap, and the numbers from an image to the next.

    ``channel_weights`` and ``channel_sums``, float32, have a number for each tap and channel, ``weight_sums`` one for
    each weight; not all loops use them.
    """

    maps: Value
    weights: Value
    windows: Value
    channel_weights: Value
    weight_sums: Value
    channel_sums: Value
    strides: list[Value]
    storage: Storage
    weight_storage: Storage

    def moved(self, b: LoopBuilder, **numbers: Value) -> "Numbers":
        """By as many numbers each."""
        return replace(self, **{name: b.at(getattr(self, name), by, self._kind(name)) for name, by in numbers.items()})

    def at_image(self, b: LoopBuilder, index: Value) -> "Numbers":
        """So many images on."""
        return self._on(b, [b.mul(index, stride) for stride in self.strides])

    def images(self, b: LoopBuilder, count: int) -> Iterator["Numbers"]:
        """This image and those behind it."""
        image = self
        for index in range(count):
            yield image
            if index + 1 < count:
                image = image._on(b, self.strides)

    def _on(self, b: LoopBuilder, moves: list[Value]) -> "Numbers":
        return self.moved(b, **dict(zip(ARRAYS, moves, strict=True)))

    def _kind(self, name: str) -> ir.Type:
        if name in ("maps", "windows"):
            return self.storage.value
        return self.weight_storage.value if name in ("weights", "weight_sums") else FLOAT32


@dataclass
class Taps:
    """Rows of the table of taps."""

    table: Value
    start: Value
    stop: Value

    def each(self, b: LoopBuilder, numbers: Numbers) -> Iterator[Numbers]:
        with b.range(self.start, self.stop) as tap:
            weights, windows, channels = b.fields(self.table, tap, 3)
            at_tap = numbers.moved(b, weights=weights, weight_sums=weights, windows=windows)
            yield at_tap.moved(b, channel_weights=channels, channel_sums=channels)


# Builds the work on a segment of a number of images, of the length that is the last argument.
Body = Callable[[LoopBuilder, Numbers, Taps, int, Value], None]


def walk(
    body: Body, image_groups: tuple[int, ...], vector_width: int, storage: Storage, weights: Storage | None = None
) -> ir.Module:
    """``void run(int64 *call)``, which any number of threads run at once: each takes the next item until there is none.

    Args:
        body: of a segment.
        image_groups: how many images are taken together; fewer where so many are not left. The last is 1.
        vector_width: float32 numbers of the widest vectors.
        storage: of maps and windows.
        weights: storage of weights for each image; None for weights that all images share, in float32.

    The fields of ``call`` are those of `facerec.kernels.cpu.jit.Program.run`, numbers and addresses.
    """
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), "run")
    b = LoopBuilder(function, vector_width)
    _, items, *call = b.fields(function.args[0], int64(0), 5 + 2 * len(ARRAYS))
    table, segments, taps = (b.inttoptr(address, POINTER) for address in call[:3])
    numbers = _first_numbers(b, call[3 : 3 + len(ARRAYS)], call[-len(ARRAYS) :], storage, weights)
    taken = b.variable(int64(0))

    def take() -> Value:
        b.store(b.atomic_rmw("add", function.args[0], int64(1), "monotonic"), taken)
        return b.icmp_signed("<", b.load(taken, typ=INT64), items)

    with b.while_(take):
        first, last, image, last_image = b.fields(table, b.load(taken, typ=INT64), 4)
        place = b.variable(image)
        for images in image_groups:
            with b.steps(place, last_image, images) as start:
                group = numbers.at_image(b, start)
                with b.range(first, last) as segment:
                    _build_segment(b, body, group, b.fields(segments, segment, 8), taps, images)
    b.ret_void()
    return module


def _first_numbers(
    b: LoopBuilder, addresses: list[Value], strides: list[Value], storage: Storage, weights: Storage | None
) -> Numbers:
    if weights is None:
        weights, strides[ARRAYS.index("weights")] = Storage.FLOAT32, int64(0)
    pointers = {name: b.inttoptr(address, POINTER) for name, address in zip(ARRAYS, addresses, strict=True)}
    return Numbers(**pointers, strides=strides, storage=storage, weight_storage=weights)


def _build_segment(b: LoopBuilder, body: Body, group: Numbers, segment: list[Value], taps: Value, images: int) -> None:
    """A segment of the table: where its maps begin, its taps, its length, and how often it is repeated how far on."""
    start, first_tap, last_tap, length, repeats, *steps = segment
    with b.range(int64(0), repeats) as repeat:
        maps, weights, windows = (b.mul(repeat, step) for step in steps)
        numbers = group.moved(b, maps=b.add(start, maps), weights=weights, weight_sums=weights, windows=windows)
        body(b, numbers, Taps(taps, first_tap, last_tap), images, length)
