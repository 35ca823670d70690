"""The inner loops of a convolution with weights for each image and position.

Here a segment (`facerec.kernels.cpu.driver`) is all channels of one position, repeated along the row. Its weights,
T taps of G groups of channels, are neighbours in memory, and one weight multiplies a whole group: the loops run over
vectors of channels, none of which reaches from one group into the next. A single group may have factors, or
summands, of its channels.
"""

from collections.abc import Iterator
from itertools import pairwise
from math import gcd

from llvmlite import ir

from facerec.kernels.cpu.driver import Numbers, Taps, walk
from facerec.kernels.cpu.ir_builder import FLOAT32, LoopBuilder, Storage, Value, int64, splat

# Vectors that are worked on together, of several groups and of a single one.
_OF_GROUPS, _OF_ONE = 8, 3


def groups_over_taps(storage: Storage, group_channels: int, vector_width: int) -> ir.Module:
    """``maps[c] = sum over taps t of weights[t, g(c)] * windows[t, c]`` in groups of ``group_channels``."""
    width = gcd(group_channels, vector_width)
    share = group_channels // width

    def body(b: LoopBuilder, numbers: Numbers, taps: Taps, images: int, length: Value) -> None:
        for here, count in _groups(b, numbers, group_channels, share, length):
            sums = [b.variable(splat(FLOAT32, 0.0, width)) for _ in range(count * share)]
            for tap in taps.each(b, here):
                weights = [b.spread(tap.weights, group, width, storage) for group in range(count)]
                windows = b.read(tap.windows, width, count * share, storage)
                for index, (place, window) in enumerate(zip(sums, windows, strict=True)):
                    b.store(b.multiply_add(weights[index // share], window, b.vector(place, width)), place)
            b.write([b.vector(place, width) for place in sums], here.maps, width, storage)

    return walk(body, (1,), width, storage, storage)


def groups_over_channels(storage: Storage, group_channels: int, vector_width: int) -> ir.Module:
    """``weight_sums[t, g] = sum over channels c of group g of maps[c] * windows[t, c]`` for each tap t."""
    width = gcd(group_channels, vector_width)
    share = group_channels // width

    def body(b: LoopBuilder, numbers: Numbers, taps: Taps, images: int, length: Value) -> None:
        for here, count in _groups(b, numbers, group_channels, share, length):
            maps = b.read(here.maps, width, count * share, storage)
            for tap in taps.each(b, here):
                windows = b.read(tap.windows, width, count * share, storage)
                shares = (slice(first, first + share) for first in range(0, count * share, share))
                sums = b.sums_within([_product(b, maps[group], windows[group]) for group in shares], width)
                b.write(sums, tap.weight_sums, count // len(sums), storage)

    return walk(body, (1,), width, storage, storage)


def channels_over_taps(storage: Storage, combine: str | None, vector_width: int) -> ir.Module:
    """``maps[c] = sum over taps t of (weights[t] combined with channel_weights[t, c]) * windows[t, c]``."""

    def body(b: LoopBuilder, numbers: Numbers, taps: Taps, images: int, length: Value) -> None:
        for place, width, count in b.vectors(length, _OF_ONE):
            sums = [b.variable(splat(FLOAT32, 0.0, width)) for _ in range(count)]
            here = _at_channel(b, numbers, place)
            for tap in taps.each(b, here):
                weights = _combined(b, combine, tap, width, count)
                windows = b.read(tap.windows, width, count, storage)
                for total, weight, window in zip(sums, weights, windows, strict=True):
                    b.store(b.multiply_add(weight, window, b.vector(total, width)), total)
            b.write([b.vector(total, width) for total in sums], here.maps, width, storage)

    return walk(body, (1,), vector_width, storage, storage)


def channels_over_channels(storage: Storage, combine: str | None, vector_width: int) -> ir.Module:
    """With ``product[t, c] = maps[c] * windows[t, c]``, and the factors in brackets only where they are multiplied:

    ``weight_sums[t] = sum over channels c of (channel_weights[t, c] *) product[t, c]`` for each tap t
    ``channel_sums[t, c] += (weights[t] *) product[t, c]`` if there are channel weights
    """

    def body(b: LoopBuilder, numbers: Numbers, taps: Taps, images: int, length: Value) -> None:
        for tap in taps.each(b, numbers):
            sums = {width: b.variable(splat(FLOAT32, 0.0, width)) for width in b.widths}
            for place, width, _ in b.vectors(length, 1):
                here = _at_channel(b, tap, place)
                of_position = _add_to_channels(b, here, combine, width)
                b.store(b.fadd(b.vector(sums[width], width), of_position), sums[width])
            b.write([_total(b, sums)], tap.weight_sums, 1, storage)

    return walk(body, (1,), vector_width, storage, storage)


def _add_to_channels(b: LoopBuilder, here: Numbers, combine: str | None, width: int) -> Value:
    """Adds to the sums of a vector of channels; gives what the sum of the weight gets."""
    ((of_map,), (window,)) = (b.read(pointer, width, 1, here.storage) for pointer in (here.maps, here.windows))
    product = b.fmul(of_map, window)
    if combine is None:
        return product
    (total,) = b.read(here.channel_sums, width, 1, Storage.FLOAT32)
    if combine == "add":
        b.write([b.fadd(total, product)], here.channel_sums, width, Storage.FLOAT32)
        return product
    weight = b.spread(here.weights, 0, width, here.storage)
    b.write([b.multiply_add(weight, product, total)], here.channel_sums, width, Storage.FLOAT32)
    return b.fmul(product, *b.read(here.channel_weights, width, 1, Storage.FLOAT32))


def _total(b: LoopBuilder, sums: dict[int, Value]) -> Value:
    """All numbers of the vectors, the widest first, as one."""
    widths = list(sums)
    total = b.vector(sums[widths[0]], widths[0])
    for width, narrower in pairwise(widths):
        while width > narrower:
            width //= 2
            total = b.neighbour_sums(total, total, width)
        total = b.fadd(total, b.vector(sums[narrower], narrower))
    return total


def _groups(
    b: LoopBuilder, numbers: Numbers, group_channels: int, share: int, channels: Value
) -> Iterator[tuple[Numbers, int]]:
    """Cover all groups of ``share`` vectors; what is built inside is built once for each number of groups that this
    yields."""
    place, groups = b.variable(int64(0)), b.sdiv(channels, int64(group_channels))
    for count in (count for count in (8, 4, 2, 1) if count == 1 or count * share <= _OF_GROUPS):
        with b.steps(place, groups, count) as group:
            channel = b.mul(group, int64(group_channels))
            yield numbers.moved(b, maps=channel, windows=channel, weights=group, weight_sums=group), count


def _at_channel(b: LoopBuilder, numbers: Numbers, place: Value) -> Numbers:
    return numbers.moved(b, maps=place, windows=place, channel_weights=place, channel_sums=place)


def _product(b: LoopBuilder, maps: list[Value], windows: list[Value]) -> Value:
    total = b.fmul(maps[0], windows[0])
    for of_map, window in zip(maps[1:], windows[1:], strict=True):
        total = b.multiply_add(of_map, window, total)
    return total


def _combined(b: LoopBuilder, combine: str | None, tap: Numbers, width: int, count: int) -> list[Value]:
    weight = b.spread(tap.weights, 0, width, tap.storage)
    if combine is None:
        return [weight] * count
    of_channels = b.read(tap.channel_weights, width, count, Storage.FLOAT32)
    return [(b.fmul if combine == "mul" else b.fadd)(weight, of_channel) for of_channel in of_channels]
