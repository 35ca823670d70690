"""The position-dependent convolution as one of PyTorch's operators."""

import pytest
import torch
from says import refuses
from torch import nn

from facerec.kernels.position_dependent import position_dependent_conv
from facerec.operators.tvconv import TVConv


def inputs(dtype=torch.float32, requires_grad=False):
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(s, generator=generator) for s in ((2, 8, 6, 5), (9, 3, 3, 8)))
    return x.to(dtype).requires_grad_(requires_grad), weight.requires_grad_(requires_grad)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:The .grad attribute")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("requires_grad", [False, True])
def test_pytorchs_own_check_of_operators_passes(dtype, requires_grad):
    operator = torch.ops.facerec.position_dependent_conv
    torch.library.opcheck(operator, (*inputs(dtype, requires_grad), 2), rtol=0.02, atol=0.02)


def test_compiled_without_a_break_it_gives_the_same_output_and_gradients():
    def loss(x, weight):
        return position_dependent_conv(x.relu(), weight, 2).square().sum()

    x, weight = inputs(requires_grad=True)
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    mine, expected = (torch.autograd.grad(f(x, weight), (x, weight)) for f in (compiled, loss))
    torch.testing.assert_close(mine, expected)


def test_an_exported_program_holds_it_as_one_node():
    module = TVConv(8, 2, (3, 3)).eval()
    program = torch.export.export(module, (torch.randn(2, 8, 6, 5),))
    called = [node.target for node in program.graph.nodes if node.op == "call_function"]
    assert called.count(torch.ops.facerec.position_dependent_conv.default) == 1
    x = torch.randn(2, 8, 6, 5)
    torch.testing.assert_close(program.module()(x), module(x))


def test_under_autocast_the_type_is_that_of_the_input():
    module, seen = nn.Sequential(nn.Conv2d(8, 8, 1), TVConv(8, 1, (6, 5))), []
    module[1].register_forward_hook(lambda _, given, out: seen.append((given[0].dtype, out.dtype)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        module(torch.randn(2, 8, 6, 5)).float().sum().backward()
    assert seen == [(torch.bfloat16, torch.bfloat16)]
    assert {p.grad.dtype for p in module.parameters()} == {torch.float32}


def test_a_second_derivative_is_refused():
    x, weight = inputs(requires_grad=True)
    (gradient,) = torch.autograd.grad(position_dependent_conv(x, weight, 2).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="position_dependent_conv_backward"):
        gradient.sum().backward()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_pytorchs_defaults_change_nothing(dtype):
    x, weight = inputs(requires_grad=True)
    expected = torch.autograd.grad(position_dependent_conv(x, weight, 2).square().sum(), (x, weight))
    try:
        torch.set_default_dtype(dtype)
        with torch.device("meta"):
            found = torch.autograd.grad(position_dependent_conv(x, weight, 2).square().sum(), (x, weight))
    finally:
        torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(found, expected)


def test_the_operator_itself_takes_weights_of_any_type():
    x, weight = inputs()
    rounded = weight.bfloat16()
    found = torch.ops.facerec.position_dependent_conv(x, rounded, 2)
    torch.testing.assert_close(found, position_dependent_conv(x, rounded.float(), 2))


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore::torch.jit.TracerWarning")
def test_a_trace_calls_it():
    x, weight = inputs()
    traced = torch.jit.trace(lambda x: position_dependent_conv(x, weight, 2), x, check_trace=False)
    other = torch.randn_like(x)
    torch.testing.assert_close(traced(other), position_dependent_conv(other, weight, 2))


@pytest.mark.parametrize("taps", [4, 7, 8, 16])
def test_taps_that_are_no_odd_square_are_refused(taps):
    with refuses("weights", "k * k", "odd", str(taps)):
        position_dependent_conv(torch.zeros(1, 4, 6, 6), torch.zeros(taps, 6, 6, 4))


def test_tensors_on_two_devices_are_refused():
    with refuses("weights", "cpu", "meta"):
        position_dependent_conv(torch.zeros(1, 4, 6, 6), torch.zeros(9, 6, 6, 4, device="meta"))
