"""The convolution with weights of each image and position as one of PyTorch's operators."""

import pytest
import torch
from says import refuses
from torch import nn

from facerec.kernels.pixel_dependent import pixel_dependent_conv
from facerec.operators.ddf import DDF
from facerec.operators.involution import Involution

OPERATORS = pytest.mark.parametrize("operator", [Involution, DDF])


def inputs(dtype=torch.float32, requires_grad=False, combine="mul"):
    """An input, weights and channel weights of one group, or of two without channel weights."""
    generator = torch.Generator().manual_seed(0)
    shapes = (2, 8, 6, 5), (2, 9, 2 if combine is None else 1, 3, 3), (2, 8, 9)
    x, weight, channel_weight = (torch.randn(shape, generator=generator) for shape in shapes)
    tensors = x.to(dtype), weight.to(dtype), None if combine is None else channel_weight
    return [None if tensor is None else tensor.requires_grad_(requires_grad) for tensor in tensors]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:The .grad attribute")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize("combine", [None, "mul", "add"])
def test_pytorchs_own_check_of_operators_passes(combine, requires_grad, dtype):
    x, weight, channel_weight = inputs(dtype, requires_grad, combine)
    if dtype == torch.float64 and combine is not None:
        channel_weight = channel_weight.detach().double().requires_grad_(requires_grad)
    operator = torch.ops.facerec.pixel_dependent_conv
    torch.library.opcheck(operator, (x, weight, 2, channel_weight, combine or "mul"), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("combine", [None, "mul", "add"])
def test_compiled_without_a_break_it_gives_the_same_output_and_gradients(combine):
    def loss(x, weight, channel_weight):
        return pixel_dependent_conv(x.relu(), weight, 2, channel_weight, combine or "mul").square().sum()

    tensors = inputs(requires_grad=True, combine=combine)
    compiled, wanted = torch.compile(loss, backend="aot_eager", fullgraph=True), [t for t in tensors if t is not None]
    mine, expected = (torch.autograd.grad(f(*tensors), wanted) for f in (compiled, loss))
    torch.testing.assert_close(mine, expected)


@OPERATORS
def test_an_exported_program_holds_it_as_one_node(operator):
    module, x = operator(16, 2).eval(), torch.randn(2, 16, 6, 5)
    program = torch.export.export(module, (x,))
    called = [node.target for node in program.graph.nodes if node.op == "call_function"]
    assert called.count(torch.ops.facerec.pixel_dependent_conv.default) == 1
    torch.testing.assert_close(program.module()(x), module(x))


@OPERATORS
def test_under_autocast_the_type_is_that_of_the_input(operator):
    module, seen = nn.Sequential(nn.Conv2d(8, 16, 1), operator(16)), []
    module[1].register_forward_hook(lambda _, given, out: seen.append((given[0].dtype, out.dtype)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        module(torch.randn(2, 8, 6, 5)).float().sum().backward()
    assert seen == [(torch.bfloat16, torch.bfloat16)]
    assert {p.grad.dtype for p in module.parameters()} == {torch.float32}


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_each_gradient_can_be_asked_for_alone(wanted):
    tensors = inputs()
    tensors[wanted].requires_grad_()
    x, weight, channel_weight = tensors
    pixel_dependent_conv(x, weight, 2, channel_weight).sum().backward()
    assert [tensor.grad is not None for tensor in tensors] == [index == wanted for index in range(3)]


def test_a_second_derivative_is_refused():
    x, weight, _ = inputs(requires_grad=True, combine=None)
    (gradient,) = torch.autograd.grad(pixel_dependent_conv(x, weight, 2).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="pixel_dependent_conv_backward"):
        gradient.sum().backward()


def test_another_way_to_combine_is_refused():
    with refuses("combine", "mul", "add", "Mul"):
        pixel_dependent_conv(torch.zeros(1, 4, 2, 2), torch.zeros(1, 9, 1, 2, 2), 1, torch.zeros(1, 4, 9), "Mul")
