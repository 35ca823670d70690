"""The inner loops of a convolution with weights per image and position.

Here a segment (`facerec.kernels.cpu.driver`) is all channels of one position, repeated along the row. Its weights,
T taps by G groups of channels, are contiguous in memory, and one weight multiplies a whole group: the loops run over
vectors of channels, and no vector crosses the border between two groups. If there is a single group, its weights may
be multiplied by, or added to, weights per channel.
"""

from collections.abc import Iterator
from itertools import pairwise
from math import gcd

from llvmlite import ir

from facerec.kernels.cpu.driver import Pointers, Taps, walk
from facerec.kernels.cpu.ir_builder import FLOAT32, LoopBuilder, Storage, Value, int64, splat

# Vectors processed together, with several groups and with a single one.
_UNROLL_GROUPS, _UNROLL_CHANNELS = 8, 3


def groups_over_taps(storage: Storage, group_channels: int, vector_width: int) -> ir.Module:
    """Build ``maps[c] = sum over taps t of weights[t, g(c)] * windows[t, c]`` for groups of ``group_channels``."""
    width = gcd(group_channels, vector_width)
    group_vectors = group_channels // width

    def body(b: LoopBuilder, pointers: Pointers, taps: Taps, images: int, length: Value) -> None:
        for at_group, count in _groups(b, pointers, group_channels, group_vectors, length):
            sums = [b.variable(splat(FLOAT32, 0.0, width)) for _ in range(count * group_vectors)]
            for tap in taps.each(b, at_group):
                weights = [b.spread(tap.weights, group, width, storage) for group in range(count)]
                windows = b.read(tap.windows, width, count * group_vectors, storage)
                for index, (total, window) in enumerate(zip(sums, windows, strict=True)):
                    b.store(b.multiply_add(weights[index // group_vectors], window, b.vector(total, width)), total)
            b.write([b.vector(total, width) for total in sums], at_group.maps, width, storage)

    return walk(body, (1,), width, storage, storage)


def groups_over_channels(storage: Storage, group_channels: int, vector_width: int) -> ir.Module:
    """Build ``weight_sums[t, g] = sum over channels c of group g of maps[c] * windows[t, c]`` for each tap t."""
    width = gcd(group_channels, vector_width)
    group_vectors = group_channels // width

    def body(b: LoopBuilder, pointers: Pointers, taps: Taps, images: int, length: Value) -> None:
        for at_group, count in _groups(b, pointers, group_channels, group_vectors, length):
            maps = b.read(at_group.maps, width, count * group_vectors, storage)
            for tap in taps.each(b, at_group):
                windows = b.read(tap.windows, width, count * group_vectors, storage)
                groups = (
                    slice(first, first + group_vectors) for first in range(0, count * group_vectors, group_vectors)
                )
                sums = b.sums_within([_product(b, maps[group], windows[group]) for group in groups], width)
                b.write(sums, tap.weight_sums, count // len(sums), storage)

    return walk(body, (1,), width, storage, storage)


def channels_over_taps(storage: Storage, combine: str | None, vector_width: int) -> ir.Module:
    """Build ``maps[c] = sum over taps t of (weights[t] combined with channel_weights[t, c]) * windows[t, c]``."""

    def body(b: LoopBuilder, pointers: Pointers, taps: Taps, images: int, length: Value) -> None:
        for channel, width, count in b.vectors(length, _UNROLL_CHANNELS):
            sums = [b.variable(splat(FLOAT32, 0.0, width)) for _ in range(count)]
            at_channel = _at_channel(b, pointers, channel)
            for tap in taps.each(b, at_channel):
                weights = _combined(b, combine, tap, width, count)
                windows = b.read(tap.windows, width, count, storage)
                for total, weight, window in zip(sums, weights, windows, strict=True):
                    b.store(b.multiply_add(weight, window, b.vector(total, width)), total)
            b.write([b.vector(total, width) for total in sums], at_channel.maps, width, storage)

    return walk(body, (1,), vector_width, storage, storage)


def channels_over_channels(storage: Storage, combine: str | None, vector_width: int) -> ir.Module:
    """Build the gradients of the weights for a single group, with ``product[t, c] = maps[c] * windows[t, c]``:

    ``weight_sums[t] = sum over channels c of (channel_weights[t, c] *) product[t, c]`` for each tap t
    ``channel_sums[t, c] += (weights[t] *) product[t, c]`` if there are channel weights

    The factors in brackets are present only if ``combine`` is "mul".
    """

    def body(b: LoopBuilder, pointers: Pointers, taps: Taps, images: int, length: Value) -> None:
        for tap in taps.each(b, pointers):
            sums = {width: b.variable(splat(FLOAT32, 0.0, width)) for width in b.widths}
            for channel, width, _ in b.vectors(length, 1):
                summand = _add_to_channels(b, _at_channel(b, tap, channel), combine, width)
                b.store(b.fadd(b.vector(sums[width], width), summand), sums[width])
            b.write([_total(b, sums)], tap.weight_sums, 1, storage)

    return walk(body, (1,), vector_width, storage, storage)


def _add_to_channels(b: LoopBuilder, at: Pointers, combine: str | None, width: int) -> Value:
    """Add to the channel sums of one vector of channels; returns the summand for the sum of the weight."""
    ((map_value,), (window,)) = (b.read(pointer, width, 1, at.storage) for pointer in (at.maps, at.windows))
    product = b.fmul(map_value, window)
    if combine is None:
        return product
    (total,) = b.read(at.channel_sums, width, 1, Storage.FLOAT32)
    if combine == "add":
        b.write([b.fadd(total, product)], at.channel_sums, width, Storage.FLOAT32)
        return product
    weight = b.spread(at.weights, 0, width, at.storage)
    b.write([b.multiply_add(weight, product, total)], at.channel_sums, width, Storage.FLOAT32)
    return b.fmul(product, *b.read(at.channel_weights, width, 1, Storage.FLOAT32))


def _total(b: LoopBuilder, sums: dict[int, Value]) -> Value:
    """Sum all elements of the vectors, the widest of which comes first, to one value."""
    widths = list(sums)
    total = b.vector(sums[widths[0]], widths[0])
    for width, narrower in pairwise(widths):
        while width > narrower:
            width //= 2
            total = b.neighbour_sums(total, total, width)
        total = b.fadd(total, b.vector(sums[narrower], narrower))
    return total


def _groups(
    b: LoopBuilder, pointers: Pointers, group_channels: int, group_vectors: int, channels: Value
) -> Iterator[tuple[Pointers, int]]:
    """Emit loops that cover all groups, of ``group_vectors`` vectors each; the code inside is built once for each
    number of groups yielded."""
    covered, groups = b.variable(int64(0)), b.sdiv(channels, int64(group_channels))
    for count in (count for count in (8, 4, 2, 1) if count == 1 or count * group_vectors <= _UNROLL_GROUPS):
        with b.steps(covered, groups, count) as group:
            channel = b.mul(group, int64(group_channels))
            yield pointers.advanced(b, maps=channel, windows=channel, weights=group, weight_sums=group), count


def _at_channel(b: LoopBuilder, pointers: Pointers, channel: Value) -> Pointers:
    return pointers.advanced(b, maps=channel, windows=channel, channel_weights=channel, channel_sums=channel)


def _product(b: LoopBuilder, maps: list[Value], windows: list[Value]) -> Value:
    """Multiply and add up the vectors of one group."""
    total = b.fmul(maps[0], windows[0])
    for map_value, window in zip(maps[1:], windows[1:], strict=True):
        total = b.multiply_add(map_value, window, total)
    return total


def _combined(b: LoopBuilder, combine: str | None, tap: Pointers, width: int, count: int) -> list[Value]:
    weight = b.spread(tap.weights, 0, width, tap.storage)
    if combine is None:
        return [weight] * count
    channel_weights = b.read(tap.channel_weights, width, count, Storage.FLOAT32)
    return [(b.fmul if combine == "mul" else b.fadd)(weight, channel_weight) for channel_weight in channel_weights]
