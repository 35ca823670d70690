"""Speed of a single operator at the sizes that it has in MobileNetV2."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from facerec.kernels.position_dependent import position_dependent_conv
from facerec.perf.comparison import Case, Goal, Rounds
from facerec.perf.published import unfold_multiply_sum
from facerec.perf.timing import Effort, alternate, milliseconds

OURS, UNFOLD = "TVConv", "unfold"
DEPTHWISE, DEPTHWISE_NCHW = "depthwise channels_last", "depthwise NCHW"
_BATCH = 32


@dataclass(frozen=True)
class Shape:
    """Channels, side of the square input map, stride."""

    channels: int
    side: int
    stride: int = 1


# The targets apply to the first shape.
SHAPES = (Shape(48, 48), Shape(8, 96), Shape(96, 12), Shape(960, 6), Shape(144, 48, 2))
SMALL = (Shape(8, 6), Shape(8, 6, 2))


def cases(effort: Effort) -> list[Case]:
    """Return the cases per shape: forward and forward + backward, in float32 and bfloat16.

    The weights are given, so TVConv's weight generator is not included.
    """
    found = []
    for index, shape in enumerate(SMALL if effort.quick else SHAPES):
        passes = {"forward": forward, "forward + backward": forward_backward}
        for dtype, (of, run) in product((torch.float32, torch.bfloat16), passes.items()):
            name = of if dtype == torch.float32 else f"{of}, bfloat16"
            title = f"{_BATCH} x {shape.channels} x {shape.side} x {shape.side}, stride {shape.stride}: {name}"
            goals = _GOALS.get(name, _NO_TARGETS) if index == 0 else _NO_TARGETS
            found.append(Case("layer", title, "ms", partial(_measure, shape, dtype, run, effort), goals))
    return found


_GOALS = {
    "forward": [Goal(UNFOLD, OURS, 40), Goal(OURS, DEPTHWISE, 2, at_most=True)],
    "forward + backward": [Goal(UNFOLD, OURS, 20), Goal(OURS, DEPTHWISE)],
}
_NO_TARGETS = [Goal(UNFOLD, OURS), Goal(OURS, DEPTHWISE)]


@dataclass(frozen=True)
class Contender:
    """A convolution with its inputs: images and weights in the memory format that suits it."""

    convolve: Callable[[Tensor, Tensor], Tensor]
    images: Tensor
    weight: Tensor


def contenders(shape: Shape, dtype: torch.dtype, batch: int = _BATCH) -> dict[str, Contender]:
    """Build all contenders with the same images; both implementations of TVConv have the same weights."""
    images = torch.randn(batch, shape.channels, shape.side, shape.side, dtype=dtype)
    channels_last = images.to(memory_format=torch.channels_last)
    out_side = -(-shape.side // shape.stride)
    weight = torch.randn(9, out_side, out_side, shape.channels, dtype=dtype)
    kernel = torch.randn(shape.channels, 1, 3, 3, dtype=dtype)
    depthwise = partial(F.conv2d, stride=shape.stride, padding=1, groups=shape.channels)
    return {
        OURS: Contender(partial(position_dependent_conv, stride=shape.stride), channels_last, weight),
        DEPTHWISE: Contender(depthwise, channels_last, kernel.to(memory_format=torch.channels_last)),
        DEPTHWISE_NCHW: Contender(depthwise, images, kernel),
        UNFOLD: Contender(
            partial(unfold_multiply_sum, stride=shape.stride), images, weight.permute(3, 0, 1, 2).contiguous()
        ),
    }


def forward(contender: Contender) -> Callable[[], object]:
    """Return a function that convolves in inference mode."""

    def call() -> None:
        with torch.inference_mode():
            contender.convolve(contender.images, contender.weight)

    return call


def forward_backward(contender: Contender) -> Callable[[], object]:
    """Return a function that convolves and computes both gradients."""
    leaves = [tensor.clone().requires_grad_() for tensor in (contender.images, contender.weight)]
    slope = torch.randn_like(contender.convolve(contender.images, contender.weight))
    return lambda: torch.autograd.grad(contender.convolve(*leaves), leaves, slope)


def _measure(shape: Shape, dtype: torch.dtype, run: Callable[[Contender], Callable], effort: Effort) -> Rounds:
    calls = {name: run(contender) for name, contender in contenders(shape, dtype).items()}
    return milliseconds(alternate(calls, effort))
