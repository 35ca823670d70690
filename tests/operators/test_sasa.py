"""What follows from the definition of stand-alone self-attention, and its arguments."""

import pytest
import torch
import torch.nn.functional as F
from random_weights import randomise
from says import refuses
from timm.layers.halo_attn import HaloAttn

from facerec.operators.sasa import SASA

PADDINGS = pytest.mark.parametrize("padding", ["mask", "zeros"])


def sasa(channels=16, stride=1, seed=0, **arguments) -> SASA:
    torch.manual_seed(seed)
    return SASA(channels, stride, **arguments)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def projections(module):
    """The weights (heads, D, channels seen) of the queries, the keys and the values."""
    return module.qkv.weight.detach().flatten(1).unflatten(0, (module.heads, 3, -1)).unbind(1)


def set_projections(module, **weights):
    order = ["query", "key", "value"]
    with torch.no_grad():
        stacked = module.qkv.weight.view(module.heads, 3, -1, module.qkv.weight.shape[1])
        for name, weight in weights.items():
            stacked[:, order.index(name)] = weight


def values(module, x):
    """The value map (B, C, H, W) of a module whose projections see all channels."""
    return torch.einsum("mdc,bchw->bmdhw", projections(module)[2], x).flatten(1, 2)


# Against other ways to compute it.


@pytest.mark.parametrize("window", [3, 7])
def test_with_zero_padding_it_is_halo_attention_with_blocks_of_one_position(window):
    module, x = randomise(sasa(window=window, heads=2, padding="zeros", scale_logits=False)), noise(2, 16, 6, 5)
    with torch.no_grad():
        for embedding in (module.row_embedding, module.column_embedding):
            embedding.copy_(embedding[:1].expand_as(embedding).clone())
    theirs = HaloAttn(16, num_heads=2, block_size=1, halo_size=window // 2)
    theirs.scale = 1.0
    query, key, value = projections(module)
    with torch.no_grad():
        theirs.q.weight.copy_(query.flatten(0, 1)[..., None, None])
        theirs.kv.weight.copy_(torch.cat([key, value], dim=1).flatten(0, 1)[..., None, None])
        for table in (theirs.pos_embed.height_rel, theirs.pos_embed.width_rel):
            table.zero_()
        theirs.pos_embed.height_rel[window - 1 :, :4] = module.row_embedding[0]
        theirs.pos_embed.width_rel[window - 1 :, 4:] = module.column_embedding[0]
    torch.testing.assert_close(module(x), theirs(x), atol=1e-4, rtol=1e-4, check_stride=False)


def test_a_window_over_the_whole_map_without_embeddings_is_global_attention():
    module, x = sasa(window=11), noise(2, 16, 6, 4)  # with its scale, that of scaled dot products
    torch.nn.init.zeros_(module.row_embedding)
    torch.nn.init.zeros_(module.column_embedding)
    tokens = x.flatten(2).transpose(1, 2)[:, None]
    query, key, value = (tokens @ weight.transpose(1, 2) for weight in projections(module))
    attended = F.scaled_dot_product_attention(query, key, value)
    expected = attended.transpose(2, 3).flatten(1, 2).unflatten(2, (6, 4))
    torch.testing.assert_close(module(x), expected, atol=1e-4, rtol=1e-4, check_stride=False)


def test_the_logits_are_divided_by_the_square_root_of_a_heads_width():
    scaled, plain, x = sasa(heads=4), sasa(heads=4, scale_logits=False), noise(2, 16, 6, 5)
    with torch.no_grad():
        for weight in (plain.qkv.weight.view(4, 3, 4, 16)[:, 0],):
            weight.div_(2)  # heads of 4 numbers
    torch.testing.assert_close(scaled(x), plain(x))


# What follows from the definition.


@PADDINGS
@pytest.mark.parametrize("window", [3, 7])
def test_queries_of_zero_average_the_values_of_the_window(window, padding):
    module, x = sasa(window=window, padding=padding), noise(2, 16, 10, 9)
    set_projections(module, query=0)
    counted = padding == "zeros"
    expected = F.avg_pool2d(values(module, x), window, stride=1, padding=window // 2, count_include_pad=counted)
    torch.testing.assert_close(module(x), expected, atol=1e-5, rtol=1e-4, check_stride=False)


@PADDINGS
def test_weights_add_up_to_one_inside_and_zero_padding_takes_its_share_at_the_border(padding):
    module = randomise(sasa(window=5, padding=padding))
    x = 0.1 * noise(1, 16, 9, 8)
    x[:, 0] = 0.5
    set_projections(module, value=torch.eye(16)[0])
    share = module(x) / 0.5
    border = torch.ones(9, 8, dtype=torch.bool)
    border[2:-2, 2:-2] = False
    assert (share[..., ~border] - 1).abs().max() < 1e-5
    if padding == "mask":
        assert (share[..., border] - 1).abs().max() < 1e-5
    else:
        assert share[..., border].max() < 0.99 and share.min() > 0


@pytest.mark.parametrize("qkv_groups", [1, 4])
def test_a_window_of_one_position_gives_the_values(qkv_groups):
    module, x = randomise(sasa(window=1, heads=4, qkv_groups=qkv_groups)), noise(2, 16, 5, 4)
    value = F.conv2d(x, projections(module)[2].flatten(0, 1)[..., None, None], groups=qkv_groups)
    torch.testing.assert_close(module(x), value, check_stride=False)


def test_permuting_the_heads_permutes_the_output():
    module, x, order = randomise(sasa(heads=4)), noise(2, 16, 6, 5), [2, 0, 3, 1]
    expected = module(x).unflatten(1, (4, 4))[:, order].flatten(1, 2)
    with torch.no_grad():
        weight = module.qkv.weight.unflatten(0, (4, -1))[order].flatten(0, 1)
        module.qkv.weight.copy_(weight)
        for embedding in (module.row_embedding, module.column_embedding):
            embedding.copy_(embedding[order].clone())
    torch.testing.assert_close(module(x), expected, check_stride=False)


def test_rows_and_columns_change_places_with_their_embeddings_and_halves():
    module, x = randomise(sasa(heads=4)), noise(2, 16, 6, 5)
    expected = module(x).transpose(2, 3)
    with torch.no_grad():
        rows, columns = module.row_embedding.clone(), module.column_embedding.clone()
        module.row_embedding.copy_(columns)
        module.column_embedding.copy_(rows)
        swapped = {
            name: weight[:, [2, 3, 0, 1]]
            for name, weight in zip(["query", "key"], projections(module)[:2], strict=True)
        }
        set_projections(module, **swapped)
    torch.testing.assert_close(module(x.transpose(2, 3)), expected, check_stride=False)


@pytest.mark.parametrize("qkv_groups", [1, 8])
def test_a_head_of_grouped_projections_sees_its_own_channels_only(qkv_groups):
    x = noise(1, 16, 4, 4).requires_grad_()
    sasa(qkv_groups=qkv_groups)(x)[:, 4:6].sum().backward()
    seen = x.grad.abs().amax(dim=(0, 2, 3)) > 0
    assert seen.tolist() == ([c in (4, 5) for c in range(16)] if qkv_groups == 8 else [True] * 16)


def test_a_position_sees_its_window_and_nothing_else():
    x = noise(1, 16, 11, 11).requires_grad_()
    sasa(window=5)(x)[..., 5, 4].sum().backward()
    seen = torch.zeros(11, 11, dtype=torch.bool)
    seen[3:8, 2:7] = True
    assert torch.equal(x.grad.abs().amax(dim=(0, 1)) > 0, seen)


def test_shifting_the_input_shifts_the_output_away_from_the_border():
    module, x = randomise(sasa(window=3)), noise(1, 16, 12, 12)
    inside = (..., slice(2, -2), slice(2, -2))
    torch.testing.assert_close(module(x.roll(1, -1))[inside], module(x).roll(1, -1)[inside], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("size", [(6, 8), (7, 5)], ids=str)
def test_stride_averages_two_by_two_and_less_at_an_odd_border(size):
    full, strided, x = sasa(), sasa(stride=2), noise(2, 16, *size)
    out = full(x)
    expected = torch.zeros(2, 16, -(-size[0] // 2), -(-size[1] // 2))
    for i in range(expected.shape[2]):
        for j in range(expected.shape[3]):
            expected[:, :, i, j] = out[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean(dim=(2, 3))
    torch.testing.assert_close(strided(x), expected, check_stride=False)


def test_its_output_lies_in_channels_last_memory():
    assert sasa()(noise(2, 16, 6, 5)).is_contiguous(memory_format=torch.channels_last)


def test_compiled_it_gives_the_same_output_and_gradient():
    module = sasa(stride=2)
    one, other = noise(2, 16, 9, 7).requires_grad_(), noise(2, 16, 9, 7).requires_grad_()
    expected, out = module(one), torch.compile(module, backend="aot_eager", fullgraph=True)(other)
    torch.testing.assert_close(out, expected, check_stride=False)
    (expected.square().sum() + out.square().sum()).backward()
    torch.testing.assert_close(other.grad, one.grad, atol=1e-4, rtol=1e-4, check_stride=False)


# Its start, its cost and its arguments.


@pytest.mark.parametrize("qkv_groups", [1, 8])
def test_it_starts_with_projections_that_double_the_variance_and_embeddings_of_unit_length(qkv_groups):
    module = sasa(256, qkv_groups=qkv_groups)
    for weight in projections(module):
        assert weight.std().item() == pytest.approx((2 * qkv_groups / 256) ** 0.5, rel=0.05)
    for embedding in (module.row_embedding, module.column_embedding):
        assert embedding.std().item() == pytest.approx(32**-0.5, rel=0.1)


@pytest.mark.parametrize("qkv_groups", [1, 8])
def test_its_cost(qkv_groups):
    """A position of 12x12 takes 3 C^2 products for q, k, v and 49 C each with keys, embeddings and values."""
    module, x = sasa(48, stride=2, qkv_groups=qkv_groups), torch.zeros(1, 48, 12, 12)
    assert sum(p.numel() for p in module.parameters()) == 3 * 48**2 // qkv_groups + 7 * 48
    assert module.count_macs(x, module(x)) == 144 * (3 * 48**2 // qkv_groups + 3 * 49 * 48)


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        ({"heads": 3}, ("heads=3", "16 channels", "even", "1, 2, 4, 8")),
        ({"heads": 16}, ("heads=16", "16 channels", "even", "1, 2, 4, 8")),
        ({"heads": 0}, ("heads", "1", "0")),
        ({"window": 6}, ("window", "odd", "6")),
        ({"qkv_groups": 2}, ("qkv_groups", "1", "8", "2")),
        ({"padding": "reflect"}, ("padding", "mask", "zeros", "reflect")),
    ],
    ids=str,
)
def test_an_argument_out_of_its_values_is_refused_in_a_sentence(arguments, facts):
    with refuses(*facts):
        sasa(**arguments)
