"""The operator library's kernels against plain loops."""

import itertools
import shutil
from importlib.util import find_spec

import numpy as np
import pytest
from native_library import INSTRUCTION_SETS, Block, Conv, Emulated, Pointwise, Stem, build, compiler

from facerec.exporting.native import packing

pytestmark = pytest.mark.skipif(compiler() is None, reason="there is no C compiler")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return build(tmp_path_factory.mktemp("native"))


@pytest.fixture(scope="module")
def emulated(tmp_path_factory):
    if shutil.which("qemu-aarch64") is None or find_spec("ziglang") is None:
        pytest.skip("needs qemu-aarch64 and ziglang")
    return Emulated(tmp_path_factory.mktemp("aarch64"))


@pytest.fixture(params=[*INSTRUCTION_SETS, "emulated neon"])
def any_set(library, request):
    if request.param == "emulated neon":
        yield request.getfixturevalue("emulated")
        return
    if not library.has(request.param):
        pytest.skip(f"this processor has no {request.param}")
    library.use(request.param)
    yield library
    library.use(library.best)


def activated(x, activation):
    if isinstance(activation, np.ndarray):  # PReLU's slopes
        return np.where(x < 0, activation * x, x)
    x = x if activation is None else np.maximum(x, 0)
    return np.minimum(x, 6) if activation == "relu6" else x


def dense(x, weight, bias, activation=None):
    return activated(x @ weight.T + bias, activation)


def convolved(x, weight, stride, bias=None, activation=None):
    """One filter a channel by a loop over the taps: ``(N, H, W, C)`` to ``(N, ceil(H/s), ceil(W/s), C)``."""
    kernel = round(len(weight) ** 0.5)
    height, width = (-(-size // stride) for size in x.shape[1:3])
    wide = np.pad(x, ((0, 0), (kernel // 2,) * 2, (kernel // 2,) * 2, (0, 0)))
    y = np.zeros((len(x), height, width, x.shape[3]))
    for tap, (row, column) in enumerate(itertools.product(range(kernel), repeat=2)):
        part = wide[:, row : row + x.shape[1] : stride, column : column + x.shape[2] : stride]
        y += part * weight[tap]
    return activated(y if bias is None else y + bias, activation)


def numbers(seed, *shape):
    """Small whole numbers: every product and sum of a few of them is exact in float32 and float16."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(np.float32)


def whole_block(channels, hidden, out, size, stride, half=False, shortcut=False, kernel=3, by_position=True):
    """A block of small whole numbers, and what it computes by loops."""
    height, width = (-(-length // stride) for length in size)
    expand, project = numbers(1, hidden, channels), numbers(2, out, hidden)
    weight = numbers(3, kernel**2, height, width, hidden) if by_position else numbers(3, kernel**2, hidden)
    biases = numbers(4, hidden), numbers(5, hidden), numbers(6, out)
    block = Block.of(
        Conv.of(weight, size, stride, biases[1], "relu6", half),
        Pointwise.of(expand, biases[0], "relu6"),
        Pointwise.of(project, biases[2]),
        shortcut,
    )

    def loops(x):
        y = convolved(dense(x, expand, biases[0], "relu6"), weight, stride, biases[1], "relu6")
        return dense(y, project, biases[2]) + (x if shortcut else 0)

    return block, loops


def test_a_bare_convolution_is_the_loop_over_taps(any_set):
    cases = itertools.product((1, 3, 5), (1, 2), (1, 3, 8, 12, 48, 58), (True, False), (True, False))
    for kernel, stride, channels, by_position, half in cases:
        height, width = -(-5 // stride), -(-7 // stride)
        shape = (height, width) if by_position else ()
        weight, x = numbers(kernel, kernel**2, *shape, channels), numbers(1, 2, 5, 7, channels)
        conv = Conv.of(weight, (5, 7), stride, half=half)
        y = any_set.run("block", Block.of(conv), x, (2, height, width, channels))
        assert np.array_equal(y, convolved(x, weight, stride)), (kernel, stride, channels, by_position, half)


def between_points(points, size, grid):
    """``(k*k, H_grid, W_grid, C)`` to ``(k*k, H, W, C)``: weights of the two nearest points of each side, by loops."""
    rows, columns = (shares(*sides, grid) for sides in zip(size, points.shape[1:3], strict=True))
    return np.einsum("ya,xb,tabc->tyxc", rows, columns, points.astype(np.float64))


def shares(positions, points, grid):
    """The part that each point has in each position: (positions, points)."""
    found = np.zeros((positions, points))
    for position in range(positions):
        if grid == "nearest":
            found[position, position * points // positions] = 1
            continue
        place = min(max((position + 0.5) / positions * points - 0.5, 0), points - 1)
        found[position, int(place)] += 1 - place % 1
        found[position, min(int(place) + 1, points - 1)] += place % 1
    return found


@pytest.mark.parametrize("points", [(1, 1), (3, 3), (2, 5), (4, 1), (9, 13)])
@pytest.mark.parametrize("grid", ["bilinear", "nearest"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_filters_of_a_grid(any_set, points, grid, stride, kernel):
    cases = (
        (1, 1, None, "relu"),
        (20, 5, numbers(3, 20), numbers(4, 20)),
        (48, 2, None, None),
        (8, 3, numbers(4, 8), None),
    )
    for channels, images, bias, activation in cases:
        filters, x = numbers(1, kernel**2, *points, channels), numbers(2, images, 9, 13, channels)
        conv = Conv.of(filters, (9, 13), stride, bias, activation, grid=grid)
        weight = between_points(filters, (-(-9 // stride), -(-13 // stride)), grid)
        expected = convolved(x, weight, stride, bias, activation)
        y = any_set.run("block", Block.of(conv), x, expected.shape)
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-4 * kernel)


def test_a_block_on_a_grid_gives_the_same_bits_however_it_is_divided(any_set):
    """Bands, tasks and groups of images; among whole numbers, a grid of one point is exact, with any of them."""
    expand, project, x = numbers(1, 40, 16), numbers(2, 16, 40), numbers(3, 6, 48, 47, 16)
    points = np.random.default_rng(1).standard_normal((9, 3, 3, 40)).astype(np.float32)
    parts = Pointwise.of(expand, numbers(4, 40), "relu6"), Pointwise.of(project, numbers(5, 16)), True
    block = Block.of(Conv.of(points, (48, 47), 1, None, "relu6", grid="bilinear"), *parts)
    once = any_set.run("block", block, x, x.shape)
    assert np.array_equal(any_set.run("block", block, x, x.shape, 7, [*range(7)][::-1]), once)
    assert np.array_equal(any_set.run("block", block, x[4:5], (1, *x.shape[1:]))[0], once[4])
    shared = numbers(6, 9, 40)
    of_point = Block.of(Conv.of(shared[:, None, None], (48, 47), 1, None, "relu6", grid="bilinear"), *parts)
    of_all = Block.of(Conv.of(shared, (48, 47), 1, None, "relu6"), *parts)
    assert np.array_equal(any_set.run("block", of_point, x, x.shape), any_set.run("block", of_all, x, x.shape))


@pytest.mark.parametrize("images", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("activation", [None, "relu", "relu6", numbers(9, 20)], ids=["none", "relu", "relu6", "prelu"])
@pytest.mark.parametrize("bias", ["none", "by channel", "by position"])
def test_any_number_of_images_activation_and_bias(any_set, images, activation, bias):
    weight, x = numbers(1, 9, 6, 6, 20), numbers(2, images, 6, 6, 20)
    added = {"none": None, "by channel": numbers(3, 20), "by position": numbers(3, 6, 6, 20)}[bias]
    conv = Conv.of(weight, (6, 6), 1, added, activation)
    y = any_set.run("block", Block.of(conv), x, x.shape)
    assert np.array_equal(y, convolved(x, weight, 1, added, activation))


@pytest.mark.parametrize("has_expand", [False, True])
@pytest.mark.parametrize("has_project", [False, True])
@pytest.mark.parametrize("has_shortcut", [False, True])
@pytest.mark.parametrize("slopes", [False, True])
def test_a_block_has_any_of_its_parts(any_set, has_expand, has_project, has_shortcut, slopes):
    hidden = 44 if has_expand else 12
    x, weight = numbers(1, 3, 7, 5, 12), numbers(2, 9, 7, 5, hidden)
    expand, project = numbers(3, hidden, 12), numbers(4, 12 if has_shortcut else 17, hidden)
    if has_shortcut and not has_project and has_expand:
        expand, weight, hidden = expand[:12], weight[..., :12], 12
    first, middle, last = "relu", "relu6", None
    if slopes:
        first, middle, last = numbers(5, len(expand)), numbers(6, hidden), numbers(7, len(project))
    y = dense(x, expand, expand[:, 0], first) if has_expand else x
    y = convolved(y, weight, 1, None, middle)
    y = dense(y, project, project[:, 0], last) if has_project else y
    block = Block.of(
        Conv.of(weight, (7, 5), 1, None, middle),
        Pointwise.of(expand, expand[:, 0], first) if has_expand else None,
        Pointwise.of(project, project[:, 0], last) if has_project else None,
        has_shortcut,
    )
    assert np.array_equal(any_set.run("block", block, x, y.shape), y + x if has_shortcut else y)


@pytest.mark.parametrize("size, stride", [((6, 6), 1), ((13, 9), 2), ((48, 47), 1), ((48, 48), 2), ((1, 1), 1)])
@pytest.mark.parametrize("by_position", [True, False])
@pytest.mark.parametrize("kernel", [3, 5])
def test_bands_of_a_large_map_join(any_set, size, stride, by_position, kernel):
    block, loops = whole_block(8, 48, 24, size, stride, kernel=kernel, by_position=by_position)
    x = numbers(7, 2, *size, 8)
    expected = loops(x)
    assert np.array_equal(any_set.run("block", block, x, expected.shape), expected)


@pytest.mark.parametrize("images", [1, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_any_tasks_in_any_order_give_the_same_bits(any_set, images, stride):
    block, loops = whole_block(16, 40, 16, (13, 11), stride, shortcut=stride == 1)
    x = np.random.default_rng(1).standard_normal((images, 13, 11, 16)).astype(np.float32)
    shape = loops(x).shape
    once = any_set.run("block", block, x, shape)
    assert np.allclose(once, loops(x), rtol=1e-5, atol=1e-4)
    for tasks in (2, 3, 7, 100):
        assert np.array_equal(any_set.run("block", block, x, shape, tasks, [*range(tasks)][::-1]), once)


def test_a_batch_gives_the_bits_of_each_image_alone(any_set):
    block, loops = whole_block(16, 40, 16, (6, 6), 1)
    x = np.random.default_rng(1).standard_normal((7, 6, 6, 16)).astype(np.float32)
    shape = loops(x).shape[1:]
    alone = [any_set.run("block", block, x[i : i + 1], (1, *shape))[0] for i in range(7)]
    assert np.array_equal(any_set.run("block", block, x, (7, *shape)), alone)


def test_more_threads_get_more_tasks_and_one_thread_divides_no_image(library):
    block, _ = whole_block(8, 48, 8, (12, 12), 1)
    shared, _ = whole_block(8, 48, 8, (12, 12), 1, by_position=False)
    for images in (1, 2, 5, 16):
        assert library.tasks("block", block, images, 1) == -(-images // 4)
        assert library.tasks("block", shared, images, 1) == images
    assert library.tasks("block", block, 1, 2) == 2
    assert library.tasks("block", shared, 8, 2) == 8


def test_every_float16_is_read(any_set):
    """Denormal numbers, infinity and what is not a number are among them."""
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    weight = halves.reshape(1, 1, 1, -1)
    conv = Conv.of(weight, (1, 1), 1, half=True)
    y = any_set.run("block", Block.of(conv), np.ones((1, 1, 1, 1 << 16), np.float32), (1, 1, 1, 1 << 16))
    assert np.array_equal(y.reshape(-1), halves.astype(np.float32), equal_nan=True)


def test_a_scale_lets_float16_hold_weights_of_any_size(any_set):
    weight, bias, x = numbers(1, 9, 6, 5, 20), numbers(2, 20), numbers(3, 3, 6, 5, 20)
    weight *= np.exp2(np.arange(-20, 20)[::2]).astype(np.float32)
    bias *= weight.max((0, 1, 2))
    scale = packing.half_scale(weight)
    assert scale.shape == (20,) and (np.abs(weight / scale).max((0, 1, 2)) <= 2**15).all()
    conv = Conv.of(weight, (6, 5), 1, bias, "relu", half=True, scale=scale)
    y = any_set.run("block", Block.of(conv), x, x.shape)
    assert np.array_equal(y, convolved(x, weight, 1, bias, "relu"))


def test_what_is_not_a_number_stays_so(any_set):
    x = np.full((1, 4, 4, 8), np.nan, np.float32)
    block, loops = whole_block(8, 48, 8, (4, 4), 1)
    assert np.isnan(any_set.run("block", block, x, loops(x).shape)).all()


@pytest.mark.parametrize("kernel, stride, out", [(3, 1, 16), (3, 2, 24), (5, 2, 3), (1, 1, 8)])
@pytest.mark.parametrize("slopes", [False, True])
def test_a_stem_normalises_and_then_pads(any_set, kernel, stride, out, slopes):
    x = np.random.default_rng(1).integers(0, 256, (3, 21, 18, 3), np.uint8)
    weight, bias = numbers(1, out, 3, kernel, kernel), numbers(2, out)
    wide = np.pad((x - 127.5) / 127.5, ((0, 0), (kernel // 2,) * 2, (kernel // 2,) * 2, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(wide, (kernel, kernel), (1, 2))[:, ::stride, ::stride]
    activation = numbers(3, out) if slopes else "relu6"
    expected = activated(np.einsum("nhwcij,ocij->nhwo", windows, weight) + bias, activation)
    stem = Stem.of(weight, (21, 18), stride, bias, activation)
    y = any_set.run("stem", stem, x, expected.shape)
    assert np.allclose(y, expected, atol=1e-4)
    assert np.array_equal(any_set.run("stem", stem, x, expected.shape, 5, [3, 0, 4, 2, 1]), y)


@pytest.mark.parametrize("rows", [1, 5, 36, 100])
@pytest.mark.parametrize("out_channels", [1, 8, 24, 512])
def test_a_pointwise_layer_is_a_product(any_set, rows, out_channels):
    x, weight, bias = numbers(1, rows, 30), numbers(2, out_channels, 30), numbers(3, out_channels)
    for activation in ("relu", numbers(4, out_channels)):
        expected, layer = dense(x, weight, bias, activation), Pointwise.of(weight, bias, activation)
        for tasks in (1, 2, 3, 50):
            assert np.array_equal(any_set.run("pointwise", layer, x, expected.shape, tasks), expected)


def test_the_best_instruction_set_is_in_use_and_an_unknown_one_is_refused(library):
    assert library.best == next(name for name in INSTRUCTION_SETS if library.has(name))
    assert library.c.facerec_use_isa(b"mmx") == -1
    assert library.c.facerec_isa().decode() == library.best


def test_the_library_and_the_packing_have_one_version(library):
    assert library.c.facerec_version() == str(packing.VERSION).encode()
