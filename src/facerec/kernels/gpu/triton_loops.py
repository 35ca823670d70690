"""The loops of a position-dependent convolution on a GPU, in Triton: forward and both gradients.

Memory traffic is the bottleneck, so each element is loaded from memory once:

- A program owns a tile of output positions and channels and loops over many images. The T weights of its positions (for
  the weight gradient the T sums) stay in registers, so they are loaded once for the whole batch.
- A thread owns one output or two vertically adjacent ones and computes both from one window of the input: with k = 3, 6
  loads and conversions per output rather than 9.
- The lanes of a tile span rows, columns and channels, so that windows overlap within the program, in its L1 cache: a
  tile of 8 rows, 8 columns and 32 channels reads 10 * 10 / 64 = 1.6 elements per output from L2; a single row of
  positions would read 3 or more. Tiles that share a border run at the same time, so only 1 is read from memory.
- The next image is loaded while the present one is computed.

In bfloat16 with k = 3 and stride 1, an output then moves 4 bytes of memory and 5 of L2 (2 * 1.6 + 2), and takes 29
instructions of the compiled loop; an H200 can issue about 30 in the time that it copies 4 bytes (132 multiprocessors,
128 lanes, 1.75 GHz; 4 TB/s). With k = 5 it takes 89 and with k = 7 270: there arithmetic is the bottleneck.

Positions outside the map have weight 0, and the nearest position inside is loaded instead, so that loads need no masks.
The last tile of an axis is shifted back so that it does not reach beyond the end, and lanes that are left over repeat
others: the same element is then written twice. There are no atomic additions: two runs give the same bits.

B images, C channels, (H, W) output map, (H_in, W_in) input map, k kernel side, T = k * k taps, row by row.
"""

# Triton's language is not typed.
# pyright: reportGeneralTypeIssues=false, reportAttributeAccessIssue=false, reportArgumentType=false

import triton
import triton.language as tl

# Arguments that Triton must not specialise on; otherwise each new map size would compile its own kernel.
SIZES = ("batch", "images", "height_in", "width_in", "height", "width", "units", "groups", "columns", "tile_units")


@triton.jit
def _tile(size, groups, columns, tile_channels, ROWS: tl.constexpr, LANES: tl.constexpr):
    """Return the first row, the column and the channel of each lane."""
    height, width, channels = size
    channel_tiles = (channels + tile_channels - 1) // tile_channels
    column_tiles = (width + columns - 1) // columns
    tile, lane = tl.program_id(0), tl.arange(0, LANES)
    position = lane // tile_channels
    channel = tl.minimum(tile % channel_tiles * tile_channels, channels - tile_channels) + lane % tile_channels
    tile = tile // channel_tiles
    column = tl.minimum(tile % column_tiles * columns, width - columns) + position % columns
    row = (tile // column_tiles * groups + position // columns) * ROWS
    return tl.minimum(row, height - ROWS), column, channel


@triton.jit
def _images(batch, images):
    """Return this program's first image and the number of its images."""
    first = tl.program_id(1) * images
    return tl.cast(first, tl.int64), tl.minimum(images, batch - first)


@triton.jit
def _offset(image, row, column, channel, size):
    """Return the offset in ``(images, H, W, C)``; a row or column outside the map is replaced by the nearest inside."""
    height, width, channels = size
    row = tl.minimum(tl.maximum(row, 0), height - 1)
    column = tl.minimum(tl.maximum(column, 0), width - 1)
    return image * (height * width * channels) + ((row * width + column) * channels + channel)


@triton.jit
def _window(maps, image, row, column, channel, size, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Load the ROWS * COLUMNS values to the right of and below (row, column), row by row."""
    values = ()
    for i in tl.static_range(ROWS * COLUMNS):
        values += (tl.load(maps + _offset(image, row + i // COLUMNS, column + i % COLUMNS, channel, size)),)
    return values


@triton.jit
def _tap(tap, row, column, channel, in_size, out_size, K: tl.constexpr, STRIDE: tl.constexpr):
    """Return the offset in ``(T, H, W, C)``, and whether the output position and its input position exist."""
    y, x = row * STRIDE + tap // K - K // 2, column * STRIDE + tap % K - K // 2
    output_exists = (row >= 0) & (row < out_size[0]) & (column >= 0) & (column < out_size[1])
    input_exists = (y >= 0) & (y < in_size[0]) & (x >= 0) & (x < in_size[1])
    return _offset(tl.cast(tap, tl.int64), row, column, channel, out_size), output_exists & input_exists


@triton.constexpr_function
def _phase(tap, K, STRIDE):
    """Return, along one axis, the phase of a tap: it is applied only to the inputs ``STRIDE * i + phase``."""
    return (tap - K // 2) % STRIDE


@triton.constexpr_function
def _steps(tap, K, STRIDE):
    """Return, along one axis, the steps of a tap: it maps the input ``STRIDE * i + phase`` to the output ``i + steps``.

    They range from ``_steps(K - 1)`` to ``_steps(0)`` over all taps.
    """
    return (_phase(tap, K, STRIDE) - (tap - K // 2)) // STRIDE


@triton.constexpr_function
def _span(K, STRIDE):
    """Return the number of different steps of all taps along one axis."""
    return _steps(0, K, STRIDE) - _steps(K - 1, K, STRIDE) + 1


@triton.jit(do_not_specialize=SIZES)
def forward_kernel(
    x, weight, out,
    batch, images, height_in, width_in, height, width, units, groups, columns, tile_units,
    K: tl.constexpr, STRIDE: tl.constexpr, UNIT: tl.constexpr, ROWS: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    in_size, out_size = (height_in, width_in, units * UNIT), (height, width, units * UNIT)
    row, column, channel = _tile(out_size, groups, columns, tile_units * UNIT, ROWS, LANES)
    weights = ()
    for i in tl.static_range(ROWS * K * K):
        offset, exists = _tap(i % (K * K), row + i // (K * K), column, channel, in_size, out_size, K, STRIDE)
        weights += (tl.where(exists, tl.load(weight + offset).to(tl.float32), 0.0),)
    first, count = _images(batch, images)
    x += first * (height_in * width_in * units * UNIT)
    out += first * (height * width * units * UNIT)
    top, left = row * STRIDE - K // 2, column * STRIDE - K // 2
    WINDOW: tl.constexpr = (ROWS - 1) * STRIDE + K
    ahead = _window(x, 0, top, left, channel, in_size, WINDOW, K)
    for image in range(count):
        window = ahead
        ahead = _window(x, tl.minimum(image + 1, count - 1), top, left, channel, in_size, WINDOW, K)
        for r in tl.static_range(ROWS):
            total = tl.full((LANES,), 0, tl.float32)
            for tap in tl.static_range(K * K):
                value = window[(r * STRIDE + tap // K) * K + tap % K].to(tl.float32)
                total = tl.fma(weights[r * K * K + tap], value, total)
            tl.store(out + _offset(image, row + r, column, channel, out_size), total.to(out.dtype.element_ty))


@triton.jit(do_not_specialize=SIZES)
def input_gradient_kernel(
    grad_out, weight, grad_x,
    batch, images, height_in, width_in, height, width, units, groups, columns, tile_units,
    K: tl.constexpr, STRIDE: tl.constexpr, UNIT: tl.constexpr, ROWS: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """Compute STRIDE * STRIDE input positions per output position; each tap is applied to one of them."""
    in_size, out_size = (height_in, width_in, units * UNIT), (height, width, units * UNIT)
    row, column, channel = _tile(out_size, groups, columns, tile_units * UNIT, ROWS, LANES)
    weights = ()
    for i in tl.static_range(ROWS * K * K):
        y, x = row + i // (K * K) + _steps(i // K % K, K, STRIDE), column + _steps(i % K, K, STRIDE)
        offset, exists = _tap(i % (K * K), y, x, channel, in_size, out_size, K, STRIDE)
        weights += (tl.where(exists, tl.load(weight + offset).to(tl.float32), 0.0),)
    first, count = _images(batch, images)
    grad_out += first * (height * width * units * UNIT)
    grad_x += first * (height_in * width_in * units * UNIT)
    top, left = row + _steps(K - 1, K, STRIDE), column + _steps(K - 1, K, STRIDE)
    SPAN: tl.constexpr = _span(K, STRIDE)
    ahead = _window(grad_out, 0, top, left, channel, out_size, ROWS - 1 + SPAN, SPAN)
    for image in range(count):
        window = ahead
        following = tl.minimum(image + 1, count - 1)
        ahead = _window(grad_out, following, top, left, channel, out_size, ROWS - 1 + SPAN, SPAN)
        for r in tl.static_range(ROWS):
            for phase in tl.static_range(STRIDE * STRIDE):
                total = _phase_sum(weights, window, r, phase // STRIDE, phase % STRIDE, K, STRIDE, LANES)
                y_in, x_in = (row + r) * STRIDE + phase // STRIDE, column * STRIDE + phase % STRIDE
                target = grad_x + _offset(image, y_in, x_in, channel, in_size)
                tl.store(target, total.to(grad_x.dtype.element_ty), mask=(y_in < height_in) & (x_in < width_in))


@triton.constexpr_function
def _in_window(r, tap, K, STRIDE):
    """Return the index, in the window of outputs, of the output that a tap contributes to."""
    top = _steps(K - 1, K, STRIDE)
    return (r + _steps(tap // K, K, STRIDE) - top) * _span(K, STRIDE) + _steps(tap % K, K, STRIDE) - top


@triton.jit
def _phase_sum(
    weights, window, r: tl.constexpr, y: tl.constexpr, x: tl.constexpr,
    K: tl.constexpr, STRIDE: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    total = tl.full((LANES,), 0, tl.float32)
    for tap in tl.static_range(K * K):
        if _phase(tap // K, K, STRIDE) == y and _phase(tap % K, K, STRIDE) == x:
            value = window[_in_window(r, tap, K, STRIDE)].to(tl.float32)
            total = tl.fma(weights[r * K * K + tap], value, total)
    return total


@triton.jit(do_not_specialize=SIZES)
def weight_gradient_kernel(
    x, grad_out, sums,
    batch, images, height_in, width_in, height, width, units, groups, columns, tile_units,
    K: tl.constexpr, STRIDE: tl.constexpr, UNIT: tl.constexpr, ROWS: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """Compute ``(programs, T, H, W, C)``: each program along the batch sums over its own images."""
    in_size, out_size = (height_in, width_in, units * UNIT), (height, width, units * UNIT)
    row, column, channel = _tile(out_size, groups, columns, tile_units * UNIT, ROWS, LANES)
    first, count = _images(batch, images)
    x += first * (height_in * width_in * units * UNIT)
    grad_out += first * (height * width * units * UNIT)
    top, left = row * STRIDE - K // 2, column * STRIDE - K // 2
    WINDOW: tl.constexpr = (ROWS - 1) * STRIDE + K
    totals = ()
    for _ in tl.static_range(ROWS * K * K):
        totals += (tl.full((LANES,), 0, tl.float32),)
    ahead = _window(x, 0, top, left, channel, in_size, WINDOW, K)
    grads_ahead = _window(grad_out, 0, row, column, channel, out_size, ROWS, 1)
    for image in range(count):
        window, grads, following = ahead, grads_ahead, tl.minimum(image + 1, count - 1)
        ahead = _window(x, following, top, left, channel, in_size, WINDOW, K)
        grads_ahead = _window(grad_out, following, row, column, channel, out_size, ROWS, 1)
        grown = ()
        for i in tl.static_range(ROWS * K * K):
            value = window[(i // (K * K) * STRIDE + i // K % K) * K + i % K].to(tl.float32)
            grown += (tl.fma(grads[i // (K * K)].to(tl.float32), value, totals[i]),)
        totals = grown
    sums += tl.cast(tl.program_id(1), tl.int64) * (K * K) * (height * width * units * UNIT)
    for i in tl.static_range(ROWS * K * K):
        offset, exists = _tap(i % (K * K), row + i // (K * K), column, channel, in_size, out_size, K, STRIDE)
        tl.store(sums + offset, tl.where(exists, totals[i], 0.0))
