"""Local attention against position by position, and against attention over the whole map with a mask."""

import pytest
import torch
import torch.nn.functional as F

from facerec.kernels import local_attention as kernel
from facerec.kernels.local_attention import local_attention

PADDINGS = pytest.mark.parametrize("zero_padding", [False, True], ids=["masked", "zeros"])


def inputs(size, window=3, images=2, heads=2, width=4, dtype=torch.float64):
    """Query, key, value (B, M, H, W, D) and the two embeddings (M, k, D / 2)."""
    generator = torch.Generator().manual_seed(0)
    maps = [torch.randn(images, heads, *size, width, generator=generator, dtype=dtype) for _ in range(3)]
    return [*maps, *(torch.randn(heads, window, width // 2, generator=generator, dtype=dtype) for _ in range(2))]


def by_positions(query, key, value, rows, columns, zero_padding):
    """Each position asks each position of its window in turn."""
    height, width = query.shape[2:4]
    window, out = rows.shape[1], torch.zeros_like(query)
    for y, x in [(y, x) for y in range(height) for x in range(width)]:
        logits, values = [], []
        for row in range(window):
            for column in range(window):
                v, u = y + row - window // 2, x + column - window // 2
                inside = 0 <= v < height and 0 <= u < width
                if not inside and not zero_padding:
                    continue
                embedding = torch.cat([rows[:, row], columns[:, column]], dim=-1)
                sight = key[:, :, v, u] if inside else torch.zeros_like(key[:, :, 0, 0])
                logits.append((query[:, :, y, x] * (sight + embedding)).sum(-1))
                values.append(value[:, :, v, u] if inside else torch.zeros_like(sight))
        weights = torch.stack(logits, dim=-1).softmax(-1)
        out[:, :, y, x] = (weights[..., None] * torch.stack(values, dim=-2)).sum(-2)
    return out.permute(0, 2, 3, 1, 4)


def over_the_whole_map(query, key, value, rows, columns):
    """Each query meets all keys; its embeddings are added, minus infinity outside of its window."""
    (height, width), window = query.shape[2:4], rows.shape[1]
    bias = torch.full((*query.shape[:2], height * width, height * width), -torch.inf, dtype=query.dtype)
    for y, x in [(y, x) for y in range(height) for x in range(width)]:
        for v in range(max(0, y - window // 2), min(height, y + window // 2 + 1)):
            for u in range(max(0, x - window // 2), min(width, x + window // 2 + 1)):
                embedding = torch.cat([rows[:, v - y + window // 2], columns[:, u - x + window // 2]], dim=-1)
                bias[:, :, y * width + x, v * width + u] = (query[:, :, y, x] * embedding).sum(-1)
    flat = (maps.flatten(2, 3) for maps in (query, key, value))
    out = F.scaled_dot_product_attention(*flat, attn_mask=bias, scale=1.0)
    return out.unflatten(2, (height, width)).permute(0, 2, 3, 1, 4)


@PADDINGS
@pytest.mark.parametrize("window", [1, 3, 7])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (9, 2)], ids=str)
def test_a_position_weighs_the_values_of_its_window_by_the_softmax_of_its_products(size, window, zero_padding):
    arguments = inputs(size, window)
    torch.testing.assert_close(local_attention(*arguments, zero_padding), by_positions(*arguments, zero_padding))


@pytest.mark.parametrize(("size", "window"), [((12, 12), 7), ((17, 4), 5)], ids=str)
def test_it_is_attention_over_the_whole_map_with_a_mask(size, window):
    arguments = inputs(size, window)
    torch.testing.assert_close(local_attention(*arguments), over_the_whole_map(*arguments))


@PADDINGS
@pytest.mark.parametrize("tile", [1, 2, 3, 100])
def test_tiles_do_not_matter(monkeypatch, tile, zero_padding):
    arguments = inputs((11, 9), window=5)
    expected = local_attention(*arguments, zero_padding)
    monkeypatch.setattr(kernel, "_TILE", tile)
    torch.testing.assert_close(local_attention(*arguments, zero_padding), expected)


@pytest.mark.parametrize("side", [1, 7, 8, 9, 12, 17, 96])
def test_tiles_cover_an_axis_once_in_order(side):
    tiles = kernel._tiles(side)
    assert [place for tile in tiles for place in tile] == list(range(side))
    assert max(map(len, tiles)) <= kernel._TILE


@PADDINGS
def test_its_gradients_are_those_of_finite_differences(monkeypatch, zero_padding):
    monkeypatch.setattr(kernel, "_TILE", 2)
    arguments = [x.requires_grad_() for x in inputs((3, 4), images=1, width=2)]
    assert torch.autograd.gradcheck(lambda *given: local_attention(*given, zero_padding), arguments)


def test_what_is_outside_of_the_window_does_not_count_however_large():
    query, key, value, rows, columns = inputs((5, 5))
    expected = local_attention(query, key, value, rows, columns)
    key[:, :, 4, 4], value[:, :, 4, 4] = 1e6, 1e6
    changed = (local_attention(query, key, value, rows, columns) != expected).any(dim=(0, 3, 4))
    assert changed[3:, 3:].all() and changed.sum() == 4


def test_in_bfloat16_a_large_product_does_not_swallow_the_embedding():
    """All products with keys are 256, where bfloat16 goes in steps of 2; the embeddings add -1, 0 and 1."""
    query = torch.tensor([16.0, 1.0]).expand(1, 1, 1, 3, 2)
    key, value = torch.tensor([16.0, 0.0]).expand(1, 1, 1, 3, 2), torch.tensor([[0.0, 0], [1, 0], [0, 1]])
    rows, columns = torch.zeros(1, 3, 1), torch.tensor([[[-1.0], [0.0], [1.0]]])
    given = [x.bfloat16() for x in (query, key, value.expand(1, 1, 1, 3, 2), rows, columns)]
    out = local_attention(*given)
    assert out.dtype == torch.bfloat16
    expected = torch.tensor([-1.0, 0.0, 1.0]).softmax(0)[1:]
    torch.testing.assert_close(out[0, 0, 1, 0].float(), expected, atol=0.005, rtol=0)
