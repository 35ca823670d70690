"""The outer loops over work items, images and segments; the inner ones are in `facerec.kernels.cpu.inner_loops` and
`facerec.kernels.cpu.pixel_inner_loops`.

A *segment* is a piece of a row whose elements have the same taps. Strides, borders and kernel sizes are encoded in the
tables of segments and taps (`facerec.kernels.cpu.tap_tables`) alone; the loops do not know them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from llvmlite import ir

from facerec.kernels.cpu.ir_builder import FLOAT32, POINTER, LoopBuilder, Storage, Value, int64

ARRAYS = ("maps", "weights", "windows", "channel_weights", "weight_sums", "channel_sums")


@dataclass
class Pointers:
    """Pointers into the arrays at one image and, except for the maps, at one tap.

    ``strides`` are the distances from one image to the next, in elements, in the order of `ARRAYS`.
    ``channel_weights`` and ``channel_sums``, float32, have an element per tap and channel, ``weight_sums`` has one per
    weight; not all loops use them.
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

    def advanced(self, b: LoopBuilder, **offsets: Value) -> "Pointers":
        """Return a copy with each named pointer advanced by its offset, in elements."""
        return replace(
            self, **{name: b.at(getattr(self, name), by, self._element_type(name)) for name, by in offsets.items()}
        )

    def at_image(self, b: LoopBuilder, index: Value) -> "Pointers":
        """Return a copy advanced by ``index`` images."""
        return self._all_advanced(b, [b.mul(index, stride) for stride in self.strides])

    def images(self, b: LoopBuilder, count: int) -> Iterator["Pointers"]:
        """Yield the pointers of ``count`` consecutive images, starting with this one."""
        image = self
        for index in range(count):
            yield image
            if index + 1 < count:
                image = image._all_advanced(b, self.strides)

    def _all_advanced(self, b: LoopBuilder, offsets: list[Value]) -> "Pointers":
        return self.advanced(b, **dict(zip(ARRAYS, offsets, strict=True)))

    def _element_type(self, name: str) -> ir.Type:
        if name in ("maps", "windows"):
            return self.storage.value
        return self.weight_storage.value if name in ("weights", "weight_sums") else FLOAT32


@dataclass
class Taps:
    """The rows from ``start`` to ``stop`` (exclusive) of the table of taps."""

    table: Value
    start: Value
    stop: Value

    def each(self, b: LoopBuilder, pointers: Pointers) -> Iterator[Pointers]:
        """Emit a loop over the taps; yields ``pointers`` at the tap of the current iteration."""
        with b.range(self.start, self.stop) as tap:
            weights, windows, channels = b.fields(self.table, tap, 3)
            at_tap = pointers.advanced(b, weights=weights, weight_sums=weights, windows=windows)
            yield at_tap.advanced(b, channel_weights=channels, channel_sums=channels)


# Emits the code for one segment: (builder, pointers, taps, number of images, length in elements).
Body = Callable[[LoopBuilder, Pointers, Taps, int, Value], None]


def walk(
    body: Body,
    batch_sizes: tuple[int, ...],
    vector_width: int,
    storage: Storage,
    weights: Storage | None = None,
    shared: Storage = Storage.FLOAT32,
) -> ir.Module:
    """Build ``void run(int64 *call)``, which any number of threads run at once.

    Each thread takes the next work item until none is left.

    Args:
        body: emits the code for one segment.
        batch_sizes: numbers of images to process together, the largest first; the smaller ones serve the images that
            are left over. The last is 1.
        vector_width: float32 elements of the widest vectors.
        storage: element type of maps and windows.
        weights: element type of per-image weights; None for weights that all images share.
        shared: element type of those.

    The fields of ``call``, integers and addresses, are set by `facerec.kernels.cpu.jit.Program.run`.
    """
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), "run")
    b = LoopBuilder(function, vector_width)
    _, items, *call = b.fields(function.args[0], int64(0), 5 + 2 * len(ARRAYS))
    table, segments, taps = (b.inttoptr(address, POINTER) for address in call[:3])
    pointers = _initial_pointers(b, call[3 : 3 + len(ARRAYS)], call[-len(ARRAYS) :], storage, weights, shared)
    with b.taken(function.args[0], items) as item:
        first, last, image, last_image = b.fields(table, item, 4)
        next_image = b.variable(image)
        for images in batch_sizes:
            with b.steps(next_image, last_image, images) as start:
                at_start = pointers.at_image(b, start)
                with b.range(first, last) as segment:
                    _build_segment(b, body, at_start, b.fields(segments, segment, 8), taps, images)
    b.ret_void()
    return module


def _initial_pointers(
    b: LoopBuilder,
    addresses: list[Value],
    strides: list[Value],
    storage: Storage,
    weights: Storage | None,
    shared: Storage,
) -> Pointers:
    if weights is None:
        weights, strides[ARRAYS.index("weights")] = shared, int64(0)
    pointers = {name: b.inttoptr(address, POINTER) for name, address in zip(ARRAYS, addresses, strict=True)}
    return Pointers(**pointers, strides=strides, storage=storage, weight_storage=weights)


def _build_segment(
    b: LoopBuilder, body: Body, at_image: Pointers, segment: list[Value], taps: Value, images: int
) -> None:
    """Emit the code for a row of the table of segments, whose fields `Segments` describes."""
    start, first_tap, last_tap, length, repeats, *steps = segment
    with b.range(int64(0), repeats) as repeat:
        maps, weights, windows = (b.mul(repeat, step) for step in steps)
        pointers = at_image.advanced(b, maps=b.add(start, maps), weights=weights, weight_sums=weights, windows=windows)
        body(b, pointers, Taps(taps, first_tap, last_tap), images, length)
