"""BatchNorm with its activation against PyTorch's two layers, in float32, bfloat16 and float64."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from facerec.kernels.cpu import norm_activation_cpu
from facerec.kernels.dispatch import exporting
from facerec.kernels.norm_activation import ACTIVATIONS, norm_activation, runs_in_machine_code

ALL = pytest.mark.parametrize("activation", ACTIVATIONS)
# Relative error of a vector; sums of float32 numbers are exact to some of their last bits.
CLOSE = {torch.float32: 3e-6, torch.bfloat16: 1e-2}


def inputs(activation, size=(3, 5, 4, 3), dtype=torch.float32, seed=0, shortcut=False):
    """x, weight, bias, slope and shortcut, the last two None if there is none, and a gradient of the output."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    maps = [(3 * noise(*size) + 5).to(dtype), noise(*size).to(dtype) if shortcut else None, noise(*size).to(dtype)]
    x, added, grad_out = (None if m is None else m.to(memory_format=torch.channels_last) for m in maps)
    slope = noise(size[1]).float() if activation == "prelu" else None
    return [x, 3 * noise(size[1]).float(), noise(size[1]).float(), slope, added], grad_out


def by_layers(x, weight, bias, running, training, activation, slope, shortcut):
    """By PyTorch's layers."""
    out = F.batch_norm(x, *running, weight, bias, training, 0.1, 1e-5)
    if activation != "none":
        out = F.prelu(out, slope) if activation == "prelu" else getattr(F, activation)(out)
    return out if shortcut is None else out + shortcut


def as_one(x, weight, bias, running, training, activation, slope, shortcut):
    options = {"activation": activation, "slope": slope, "shortcut": shortcut}
    return norm_activation(x, weight, bias, *running, training=training, **options)


def results(function, given, grad_out, activation, training=True, dtype=None):
    """The output, the running statistics after it and the gradients of all inputs, in float64."""
    leaves = [t if t is None else t.detach().to(dtype or t.dtype).requires_grad_() for t in given]
    x, weight, bias, slope, shortcut = leaves
    running = [torch.full_like(bias, 0.5, requires_grad=False) for _ in range(2)]
    out = function(x, weight, bias, running, training, activation, slope, shortcut)
    gradients = torch.autograd.grad(out, [leaf for leaf in leaves if leaf is not None], grad_out.to(out.dtype))
    return [t.detach().double() for t in (out, *running, *gradients)]


def errors(found, expected):
    """Relative errors; absolute ones where all that is expected is 0, as behind a ReLU that lets nothing through."""
    return [float((f - e).norm() / (e.norm() or 1)) for f, e in zip(found, expected, strict=True)]


@ALL
@pytest.mark.parametrize("shortcut", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_output_statistics_and_gradients_are_those_of_the_two_layers(activation, shortcut, training):
    given, grad_out = inputs(activation, shortcut=shortcut)
    assert runs_in_machine_code(given[0])
    found = results(as_one, given, grad_out, activation, training)
    exact = results(by_layers, given, grad_out, activation, training, torch.float64)
    assert max(errors(found, exact)) < CLOSE[torch.float32]


@ALL
@settings(deadline=None, max_examples=25)
@given(
    st.integers(1, 5),
    st.one_of(st.integers(1, 40), st.sampled_from([48, 61, 64, 96, 130, 257])),
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from([torch.float32, torch.bfloat16]),
    st.integers(0, 1000),
)
def test_any_shape(activation, images, channels, height, width, dtype, seed):
    if images * height * width < 8:  # of fewer values the statistics say too little to compare roundings
        height = 8
    given, grad_out = inputs(activation, (images, channels, height, width), dtype, seed)
    given[1].abs_().add_(0.1)
    found, exact = (
        results(function, given, grad_out, activation, dtype=exact)
        for function, exact in ((as_one, None), (by_layers, torch.float64))
    )
    # A value at a bend may round to either side of it.
    before = by_layers(*(t.double() for t in given[:3]), [None, None], True, "none", None, None)
    bends = {"relu": [0], "relu6": [0, 6], "prelu": [0], "hardswish": [-3, 3]}.get(activation, [])
    if all(((before - bend).abs() > 1e-4).all() for bend in bends):
        assert max(errors(found[:3], exact[:3])) < CLOSE[dtype]
        scales = [float(e.abs().max()) + 1e-3 for e in exact[3:]]
        for f, e, scale in zip(found[3:], exact[3:], scales, strict=True):
            assert float((f - e).abs().max()) < 4 * CLOSE[dtype] * max(scale, float(grad_out.abs().sum()) / 10)


@pytest.mark.parametrize("size", [(16, 8, 48, 48), (8, 48, 24, 24), (16, 96, 12, 12)], ids=str)
def test_large_maps_are_no_less_exact_than_by_pytorch(size):
    given, grad_out = inputs("silu", size)
    exact = results(by_layers, given, grad_out, "silu", dtype=torch.float64)
    ours, theirs = (errors(results(f, given, grad_out, "silu"), exact) for f in (as_one, by_layers))
    assert all(mine < max(its, 1e-6) for mine, its in zip(ours, theirs, strict=True))


def test_a_large_mean_leaves_the_variance_exact():
    given, grad_out = inputs("none", (8, 5, 16, 16))
    given[0] += 3000
    exact = results(by_layers, given, grad_out, "none", dtype=torch.float64)
    found = results(as_one, given, grad_out, "none")
    assert errors(found[2:3], exact[2:3])[0] < 1e-6


@ALL
def test_bfloat16_is_float32_rounded_at_the_end(activation):
    given, grad_out = inputs(activation, (2, 24, 16, 12), torch.bfloat16)
    x, grad_out = (map.contiguous(memory_format=torch.channels_last) for map in (given[0].detach(), grad_out))
    mean, scale, bias, *slope = (torch.randn(24) for _ in range(4 if activation == "prelu" else 3))
    slope = slope[0] if slope else None
    found = []
    for of in (torch.bfloat16, torch.float32):
        out = norm_activation_cpu.forward(x.to(of), mean, scale, bias, slope, None, activation)
        more = (mean, scale, bias, slope)
        gradient = norm_activation_cpu.gradient(grad_out.to(of), x.to(of), *more, mean, bias, activation)
        sums = norm_activation_cpu.sums_of_gradient(grad_out.to(of), x.to(of), *more, activation)
        found.append([out.bfloat16(), gradient.bfloat16(), *sums, *norm_activation_cpu.moments(x.to(of))])
    assert all(torch.equal(half, whole) for half, whole in zip(*found, strict=True))


@ALL
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_map_written_past_the_cache_is_the_same(activation, dtype, monkeypatch):
    given, grad_out = inputs(activation, (2, 24, 16, 12), dtype)
    cached = results(as_one, given, grad_out, activation)
    monkeypatch.setattr(norm_activation_cpu, "_LARGE_BYTES", 0)
    for mine, expected in zip(results(as_one, given, grad_out, activation), cached, strict=True):
        assert torch.equal(mine, expected)


def test_bits_do_not_depend_on_the_threads():
    given, grad_out = inputs("prelu", (16, 24, 33, 31))
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(results(as_one, given, grad_out, "prelu"))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@ALL
def test_gradients_are_the_numerical_ones(activation):
    given, _ = inputs(activation, (2, 3, 3, 2), torch.float64, shortcut=True)
    leaves = [t.double().requires_grad_() for t in given if t is not None]

    def function(x, weight, bias, *others):
        slope = others[0] if activation == "prelu" else None
        return as_one(x, weight, bias, list(torch.ones(2, 3).to(x)), True, activation, slope, others[-1])

    assert torch.autograd.gradcheck(function, leaves)


@ALL
def test_nan_passes(activation):
    given, _ = inputs(activation)
    given[0][0, 1, 2, 2] = torch.nan
    x, weight, bias, slope, shortcut = given
    running = [torch.zeros(5), torch.ones(5)]
    out = as_one(x, weight, bias, running, False, activation, slope, shortcut)
    assert out.isnan().sum() == 1 and out[0, 1, 2, 2].isnan()


@pytest.mark.parametrize("change", ["float64", "contiguous", "exporting", "no running statistics", "half parameters"])
def test_everything_else_is_computed_in_plain_pytorch(change, monkeypatch):
    (x, weight, bias, _, _), _ = inputs("relu6")
    running = [torch.zeros(5), torch.ones(5)]
    match change:
        case "float64":
            x, weight, bias, running = x.double(), weight.double(), bias.double(), [r.double() for r in running]
        case "contiguous":
            x = x.contiguous()
        case "no running statistics":
            running = [None, None]
        case "half parameters":
            x, weight, bias, running = (
                x.bfloat16(), weight.bfloat16(), bias.bfloat16(), [r.bfloat16() for r in running]
            )  # fmt: skip
    monkeypatch.delattr(norm_activation_cpu, "forward")
    arguments = (x, weight, bias, running, True, "relu6", None, None)
    if change == "exporting":
        with exporting():
            found = as_one(*arguments)
    else:
        found = as_one(*arguments)
    torch.testing.assert_close(found, by_layers(*arguments))


def test_one_value_per_channel_is_refused_in_training():
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        norm_activation(torch.zeros(1, 3, 1, 1), *torch.ones(2, 3), *torch.ones(2, 3), training=True)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:The .grad attribute")
@pytest.mark.parametrize("of_batch", [False, True])
@pytest.mark.parametrize("activation", ["relu6", "prelu"])
def test_pytorchs_own_check_of_operators_passes(activation, of_batch):
    (x, weight, bias, slope, shortcut), _ = inputs(activation, shortcut=True)
    leaves = [t if t is None else t.requires_grad_() for t in (x, weight, bias, slope, shortcut)]
    arguments = (*leaves, torch.zeros(5), torch.ones(5), of_batch, activation)
    torch.library.opcheck(torch.ops.facerec.norm_activation, arguments, rtol=1e-4, atol=1e-4)


def test_compiled_without_a_break_it_gives_the_same_output_and_gradients():
    (x, weight, bias, _, _), grad_out = inputs("relu6")
    leaves = [t.requires_grad_() for t in (x, weight, bias)]

    def function(x, weight, bias):
        return as_one(x, weight, bias, [torch.zeros(5), torch.ones(5)], True, "relu6", None, None)

    compiled = torch.compile(function, backend="aot_eager", fullgraph=True)
    found, expected = (torch.autograd.grad(f(*leaves), leaves, grad_out) for f in (compiled, function))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
