"""Speed of a BatchNorm with its activation, at sizes that they have in MobileNetV2."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from facerec.kernels.norm_activation import norm_activation
from facerec.perf.comparison import Case, Goal, Rounds
from facerec.perf.layer import Shape
from facerec.perf.timing import Effort, alternate, milliseconds

OURS, PYTORCH = "as one", "PyTorch's two"
_BATCH = 128
# Each with the least ratio of the times in float32.
_TARGETS = {Shape(8, 96): 2.0, Shape(48, 48): 2.0, Shape(96, 12): 1.5}


def cases(effort: Effort) -> list[Case]:
    """Return the cases: BatchNorm with ReLU6 in training, forward and backward, in float32 and bfloat16."""
    targets = {Shape(8, 6): None} if effort.quick else _TARGETS
    found = []
    for shape, target in targets.items():
        for dtype, held in ((torch.float32, target), (torch.bfloat16, None)):
            name = str(dtype).removeprefix("torch.")
            title = f"{_BATCH} x {shape.channels} x {shape.side} x {shape.side}: BatchNorm and ReLU6, {name}"
            measure = partial(_measure, shape, dtype, effort)
            found.append(Case("norm", title, "ms", measure, [Goal(PYTORCH, OURS, held)]))
    return found


def contenders(shape: Shape, dtype: torch.dtype, batch: int = _BATCH) -> dict[str, Callable[[], list[Tensor]]]:
    """Return functions that compute the output and the gradients of x, weight and bias, with the same inputs."""
    size = (batch, shape.channels, shape.side, shape.side)
    x, slope = (torch.randn(size, dtype=dtype).to(memory_format=torch.channels_last) for _ in range(2))
    leaves = [tensor.requires_grad_() for tensor in (x, torch.rand(shape.channels) + 1, torch.randn(shape.channels))]

    def run(forward: Callable[..., Tensor]) -> list[Tensor]:
        out = forward(*leaves, torch.zeros(shape.channels), torch.ones(shape.channels))
        return [out.detach(), *torch.autograd.grad(out, leaves, slope)]

    def by_pytorch(x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        return F.relu6(F.batch_norm(x, mean, var, weight, bias, training=True))

    ours = partial(norm_activation, training=True, activation="relu6")
    return {OURS: partial(run, ours), PYTORCH: partial(run, by_pytorch)}


def _measure(shape: Shape, dtype: torch.dtype, effort: Effort) -> Rounds:
    return milliseconds(alternate(contenders(shape, dtype), effort))
