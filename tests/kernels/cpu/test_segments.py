"""The tables of the CPU kernel, against the convolution's definition, product by product."""

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec.kernels.cpu.tap_tables import Segments, Window, of_input, of_output

windows = st.builds(
    Window,
    st.sampled_from([1, 3, 5, 7]),
    st.integers(1, 4),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.integers(1, 3),
    st.sampled_from([None, 1, 3]),
)


def walked(tables: Segments, window: Window) -> Counter:
    """Every (place in the map, place in the weights, place in the windows, place in the weights of the channels) that
    the loops multiply and add; with weights for groups the place of the first group's."""
    found = Counter()
    for start, first, last, length, repeats, *steps in tables.segments.tolist():
        for taps, repeat, number in product(tables.taps[first:last].tolist(), range(repeats), range(length)):
            numbers = number, number if window.groups is None else 0, number, number % window.channels
            moved = zip((start, *taps), (*steps, 0), numbers, strict=True)
            found[tuple(place + repeat * step + channel for place, step, channel in moved)] += 1
    return found


def by_definition(window: Window) -> Counter:
    """Every (place in the output, in the weights, in the input, in those of the channels) of the sum over the taps."""
    (height_in, width_in), (height, width), channels = window.in_size, window.out_size, window.channels
    side, pad = window.kernel_size, window.kernel_size // 2
    found = Counter()
    for row, column, r, c, channel in np.ndindex(height, width, side, side, channels):
        i, j = row * window.stride + r - pad, column * window.stride + c - pad
        if 0 <= i < height_in and 0 <= j < width_in:
            tap, position = r * side + c, row * width + column
            weights = (tap * height * width + position) * channels + channel
            if window.groups is not None:
                weights = (position * side * side + tap) * window.groups
            out, into = position * channels + channel, (i * width_in + j) * channels + channel
            found[out, weights, into, tap * channels + channel] += 1
    return found


@given(windows)
def test_the_output_is_the_sum_of_every_product_once(window):
    assert walked(of_output(window), window) == by_definition(window)


@given(windows)
def test_a_gradient_of_the_input_is_the_sum_of_what_the_input_went_into(window):
    products = by_definition(window).items()
    transposed = Counter({(into, weights, out, channel): n for (out, weights, into, channel), n in products})
    assert walked(of_input(window), window) == transposed


def written(tables: Segments) -> list[int]:
    """The places of the map that are written."""
    return [
        start + repeat * step + number
        for start, _, _, length, repeats, step, _, _ in tables.segments.tolist()
        for repeat, number in product(range(repeats), range(length))
    ]


@given(windows)
def test_every_number_of_a_map_is_written_once_also_where_no_tap_reaches(window):
    for tables, size in ((of_output(window), window.out_size), (of_input(window), window.in_size)):
        assert sorted(written(tables)) == list(range(size[0] * size[1] * window.channels))


@given(windows, st.integers(0, 40), st.integers(1, 9), st.booleans())
def test_items_share_out_all_rows_and_images(window, images, threads, split_images):
    tables = of_output(window)
    items = tables.items(images, threads, split_images)
    shared = Counter(cell for s0, s1, b0, b1 in items.tolist() for cell in product(range(s0, s1), range(b0, b1)))
    assert shared == Counter(product(range(len(tables.segments)), range(images)))
    if not split_images:
        assert {(first, last) for _, _, first, last in items.tolist()} == {(0, images)}


@given(windows, st.integers(0, 40), st.integers(1, 9))
def test_whole_images_are_shared_out_once(window, images, threads):
    tables = of_output(window)
    items = tables.whole_images(images, threads).tolist()
    assert {tuple(item[:2]) for item in items} == {(0, len(tables.segments))}
    assert [image for *_, first, last in items for image in range(first, last)] == list(range(images))


def test_a_row_at_stride_1_is_its_middle_and_its_borders():
    tables = of_output(Window(3, 1, (6, 6), 8))
    assert np.diff(tables.rows).tolist() == [3] * 6
    # Place, taps 6 to 12 (the first row has no taps above), 4 positions of 8 channels in one loop.
    assert tables.segments[1].tolist() == [8, 4, 10, 32, 1, 0, 0, 0]


@pytest.mark.parametrize(("images", "threads", "expected"), [(512, 1, 1), (512, 2, 8), (1, 2, 6), (512, 8, 32)])
def test_there_is_work_for_every_thread(images, threads, expected):
    assert len(of_output(Window(3, 1, (12, 12), 96)).items(images, threads, True)) == expected
