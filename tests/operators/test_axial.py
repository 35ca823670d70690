"""What follows from the definition of position-sensitive axial attention, and its arguments."""

import copy

import pytest
import torch
import torch.nn.functional as F
from random_weights import randomise
from says import refuses

from facerec.operators.axial import AxialAttention

EPS = 1e-5


def axial(channels=16, stride=1, out_size=(6, 5), seed=0, **arguments) -> AxialAttention:
    torch.manual_seed(seed)
    return AxialAttention(channels, stride, out_size, **arguments)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def normalise(norm, values, channel):
    """Batch normalisation in evaluation, of one channel."""
    shift = 0 if norm.bias is None else norm.bias[channel]
    scale = norm.weight[channel] / (norm.running_var[channel] + norm.eps).sqrt()
    return (values - norm.running_mean[channel]) * scale + shift


def attend_line(axis, line, largest):
    """One head and one query of a line (C, S) at a time, by the equation of the paper."""
    channels, side = line.shape
    heads, share = axis.heads, channels // axis.heads
    projected = axis.qkv.weight.flatten(1) @ line
    table, out = axis.relative, torch.zeros(channels, side)

    def relative(part, offset):
        return table[part, offset + largest - 1]

    for h in range(heads):
        first = 2 * share * h
        mine = torch.stack([normalise(axis.qkv_norm, projected[c], c) for c in range(first, first + 2 * share)])
        q, k, v = mine[: share // 2], mine[share // 2 : share], mine[share:]
        of_query, of_key, of_value = slice(0, share // 2), slice(share // 2, share), slice(share, 2 * share)
        for i in range(side):
            terms = [
                [q[:, i] @ k[:, j] for j in range(side)],
                [q[:, i] @ relative(of_query, i - j) for j in range(side)],
                [k[:, j] @ relative(of_key, j - i) for j in range(side)],
            ]
            logits = sum(normalise(axis.logit_norm, torch.stack(t), n * heads + h) for n, t in enumerate(terms))
            weights = logits.softmax(0)
            from_values = v @ weights
            from_places = torch.stack([relative(of_value, i - j) for j in range(side)], dim=1) @ weights
            for c in range(share):
                one = normalise(axis.out_norm, from_values[c], h * share + c)
                other = normalise(axis.out_norm, from_places[c], channels + h * share + c)
                out[h * share + c, i] = one + other
    return out


def silence_queries_and_keys(module):
    """All logits are 0 and the places add nothing, so that each axis averages."""
    with torch.no_grad():
        for axis in (module.along_height, module.along_width):
            axis.qkv.weight.unflatten(0, (axis.heads, -1))[:, : sum(axis.parts[:2])] = 0
            axis.relative.zero_()
    return module


def value_projection(axis):
    """The weights (C, C) of the values."""
    return axis.qkv.weight.flatten(1).unflatten(0, (axis.heads, -1))[:, sum(axis.parts[:2]) :].flatten(0, 1)


# Against the equation and against other ways to compute it.


@torch.no_grad()
@pytest.mark.parametrize("size", [(6, 5), (4, 5), (1, 2)], ids=str)
@pytest.mark.parametrize("heads", [1, 4])
def test_it_is_the_published_equation_along_columns_and_then_along_rows(size, heads):
    module, x = randomise(axial(8, heads=heads)).eval(), noise(2, 8, *size)
    expected = torch.stack([attend_line(module.along_height, x[b, :, :, j], 6) for b in (0, 1) for j in range(size[1])])
    after_height = expected.unflatten(0, (2, -1)).permute(0, 2, 3, 1)
    expected = torch.stack([attend_line(module.along_width, y[:, i], 5) for y in after_height for i in range(size[0])])
    expected = expected.unflatten(0, (2, -1)).transpose(1, 2)
    torch.testing.assert_close(module(x), expected, atol=1e-4, rtol=1e-4, check_stride=False)


@torch.no_grad()
def test_without_relative_positions_a_line_is_attended_as_by_ordinary_attention():
    axis = axial(heads=4, logit_gain=1).along_height.eval()
    axis.relative.zero_()
    x = noise(2, 16, 6, 3)
    query, key, value = F.conv2d(x, axis.qkv.weight).unflatten(1, (4, 8)).permute(0, 4, 1, 3, 2).split([2, 2, 4], -1)
    # At the start a normalisation in evaluation divides by the square root of 1 + EPS.
    attended = F.scaled_dot_product_attention(query / (1 + EPS), key, value, scale=(1 + EPS) ** -0.5)
    expected = attended.permute(0, 2, 4, 3, 1).flatten(1, 2) / (1 + EPS)
    torch.testing.assert_close(axis(x), expected, atol=1e-5, rtol=1e-4, check_stride=False)


# What follows from the definition.


@torch.no_grad()
def test_queries_and_keys_of_zero_average_each_axis():
    module, x = silence_queries_and_keys(axial()).eval(), noise(2, 16, 6, 5)
    mixing = value_projection(module.along_width) @ value_projection(module.along_height) / (1 + EPS) ** 2
    average = F.conv2d(x.mean(dim=(2, 3), keepdim=True), mixing[..., None, None])
    torch.testing.assert_close(module(x), average.expand(-1, -1, 6, 5), atol=1e-5, rtol=1e-4, check_stride=False)


@torch.no_grad()
def test_two_averaging_axes_can_change_places():
    module, x = silence_queries_and_keys(axial()).eval(), noise(2, 16, 6, 5)
    module.along_width.qkv.weight.copy_(module.along_height.qkv.weight)
    swapped = copy.deepcopy(module)
    swapped.along_height, swapped.along_width = swapped.along_width, swapped.along_height
    torch.testing.assert_close(module(x), swapped(x), atol=1e-5, rtol=1e-4, check_stride=False)


@pytest.mark.parametrize(("name", "sees"), [("along_height", "column"), ("along_width", "row")])
def test_an_axis_sees_its_own_line_only(name, sees):
    x = noise(1, 16, 6, 5).requires_grad_()
    axis = getattr(axial(), name).eval()
    axis(x)[..., 4, 1].sum().backward()
    seen = torch.zeros(6, 5, dtype=torch.bool)
    seen[(slice(None), 1) if sees == "column" else 4] = True
    assert torch.equal(x.grad.abs().amax(dim=(0, 1)) > 0, seen)


def test_the_width_is_attended_to_as_the_height_of_the_transposed_map():
    module, x = randomise(axial(out_size=(5, 5))).eval(), noise(2, 16, 4, 5)
    module.along_width.load_state_dict(module.along_height.state_dict())
    torch.testing.assert_close(
        module.along_width(x), module.along_height(x.transpose(2, 3)).transpose(2, 3), check_stride=False
    )


@torch.no_grad()
@pytest.mark.parametrize("has_positions", [True, False])
def test_moving_the_places_of_a_line_moves_the_output_only_without_relative_positions(has_positions):
    axis, x, order = randomise(axial().along_height).eval(), noise(2, 16, 6, 5), [3, 0, 5, 1, 2, 4]
    if not has_positions:
        axis.relative.zero_()
    moved, expected = axis(x[:, :, order]), axis(x)[:, :, order]
    assert torch.allclose(moved, expected, atol=1e-4) is not has_positions


@torch.no_grad()
def test_a_smaller_line_uses_the_middle_of_the_relative_positions():
    large, small = randomise(axial(out_size=(6, 6))).eval(), axial(out_size=(4, 3)).eval()
    state = large.state_dict()
    state["along_height.relative"] = state["along_height.relative"][:, 2:-2]
    state["along_width.relative"] = state["along_width.relative"][:, 3:-3]
    small.load_state_dict(state)
    x = noise(2, 16, 4, 3)
    torch.testing.assert_close(large(x), small(x), check_stride=False)


def test_a_shift_of_the_normalised_logits_would_change_nothing():
    """Why the normalisation of the logits has none: it comes out of the softmax."""
    module, x = randomise(axial()).double(), noise(2, 16, 6, 5).double()
    expected = module(x)
    for number, axis in enumerate((module.along_height, module.along_width)):
        axis.logit_norm.bias = torch.nn.Parameter(noise(24, seed=number).double())
    out = module(x)
    torch.testing.assert_close(out, expected)
    out.square().sum().backward()
    assert module.along_height.logit_norm.bias.grad.abs().max() < 1e-12 * module.along_height.relative.grad.abs().max()


@torch.no_grad()
@pytest.mark.parametrize("size", [(6, 8), (7, 5)], ids=str)
def test_stride_averages_two_by_two_and_less_at_an_odd_border(size):
    out_size = (-(-size[0] // 2), -(-size[1] // 2))
    strided, x = axial(stride=2, out_size=out_size).eval(), noise(2, 16, *size)
    out = strided.along_width(strided.along_height(x))
    expected = torch.zeros(2, 16, *out_size)
    for i in range(out_size[0]):
        for j in range(out_size[1]):
            expected[:, :, i, j] = out[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean(dim=(2, 3))
    torch.testing.assert_close(strided(x), expected, check_stride=False)


def test_in_training_values_and_positions_come_out_normalised_over_the_batch():
    """Each half has unit variance a channel, so that their sum has a mean of 0."""
    axis = axial().along_height
    halves = []
    axis.out_norm.register_forward_hook(lambda module, inputs, out: halves.append(out))
    out = axis(noise(8, 16, 6, 5))
    torch.testing.assert_close(halves[0].var(dim=(0, 2, 3), correction=0), torch.ones(32), atol=0.01, rtol=0)
    torch.testing.assert_close(out.mean(dim=(0, 2, 3)), torch.zeros(16), atol=1e-5, rtol=0)


@pytest.mark.parametrize("training", [True, False])
def test_its_gradients_are_those_of_finite_differences(training):
    module = randomise(axial(4, out_size=(3, 2), heads=2)).double().train(training)
    x = noise(2, 4, 3, 2).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, *parameters: module(x), (x, *module.parameters()))


def test_its_output_lies_in_channels_last_memory():
    assert axial()(noise(2, 16, 6, 5)).is_contiguous(memory_format=torch.channels_last)


def test_compiled_it_gives_the_same_output_and_gradient():
    module = axial(stride=2, out_size=(3, 3))
    outputs, gradients = [], []
    for call in (module, torch.compile(module, backend="aot_eager", fullgraph=True)):
        x = noise(2, 16, 5, 6).requires_grad_()
        outputs.append(call(x))
        outputs[-1].square().sum().backward()
        gradients.append(x.grad)
    torch.testing.assert_close(outputs[1], outputs[0], check_stride=False)
    torch.testing.assert_close(gradients[1], gradients[0], atol=1e-4, rtol=1e-4, check_stride=False)


# Its start, its cost and its arguments.


def test_it_starts_again_entirely():
    module = axial(256)
    for tensor in [*module.parameters(), *(b for b in module.buffers() if b.is_floating_point())]:
        tensor.data.fill_(7.0)
    module.reset_parameters()
    for axis in (module.along_height, module.along_width):
        assert axis.qkv.weight.std().item() == pytest.approx(256**-0.5, rel=0.05)
        assert axis.relative.std().item() == pytest.approx(32**-0.5, rel=0.1)
        for norm in (axis.qkv_norm, axis.logit_norm, axis.out_norm):
            assert (
                (norm.weight == (0.1 if norm is axis.logit_norm else 1)).all()
                and (norm.running_mean == 0).all()
                and (norm.running_var == 1).all()
            )
            assert norm.bias is None or (norm.bias == 0).all()


@pytest.mark.parametrize("gain", [0, -1.0, float("nan")])
def test_a_gain_that_is_not_positive_is_refused(gain):
    with refuses("logit_gain", "positive", str(gain)):
        axial(logit_gain=gain)


def test_its_cost():
    """At 12x12, pooled to 6x6: the published parameters of two axes but for the 24 shifts of each one's logits."""
    module, x = axial(48, 2, (6, 6)), torch.zeros(1, 48, 12, 12)
    assert sum(p.numel() for p in module.parameters()) == 2 * (5316 - 24)
    assert module.count_macs(x, module(x)) == 144 * (4 * 48**2 + 7 * 12 * 48)


def test_the_cost_of_a_map_that_is_not_square():
    """A position takes 2 C^2 products an axis for q, k, v, and 3.5 C with each position of its line."""
    module, x = axial(16), torch.zeros(1, 16, 6, 5)
    assert module.count_macs(x, module.eval()(x)) == 30 * (2 * 2 * 16**2 + 56 * 6 + 56 * 5)


@pytest.mark.parametrize("size", [(8, 5), (6, 7)], ids=str)
def test_an_input_larger_than_its_relative_positions_is_refused(size):
    module = axial(stride=2, out_size=(3, 3))
    with refuses(f"{size[0]}x{size[1]}", "6x6", "image size"):
        module(noise(1, 16, *size))


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        ({"heads": 3}, ("heads=3", "16 channels", "even", "1, 2, 4, 8")),
        ({"heads": 16}, ("heads=16", "16 channels", "even", "1, 2, 4, 8")),
        ({"heads": 0}, ("heads", "1", "0")),
        ({"channels": 0}, ("channels", "1", "0")),
    ],
    ids=str,
)
def test_an_argument_out_of_its_values_is_refused_in_a_sentence(arguments, facts):
    with refuses(*facts):
        axial(**arguments)
