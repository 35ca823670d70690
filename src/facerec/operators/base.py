"""What a backbone receives as its operator, and how the sizes of maps follow from strides."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

# Called ``operator(channels, stride=..., out_size=(H, W))``: the spatial convolution of a block. It may also have
#   ``pointwise(in_channels, out_channels)``: makes the 1x1 convolutions of the block, else they are ordinary ones;
#   ``block(in_channels, layers)``: wraps the block's layers in what they share, else they stay as they are;
#   ``last_stages``: in how many stages it stands when none are named, else in all.
Operator = Callable[..., nn.Module]
Size = tuple[int, int]


def pointwise(operator: Operator, ordinary: Callable[[int, int], nn.Module]) -> Callable[[int, int], nn.Module]:
    """What makes a 1x1 convolution of so many channels to so many: the operator's own, or the ``ordinary`` one."""
    return trait(operator, "pointwise", ordinary)


def block(operator: Operator, in_channels: int, layers: Sequence[nn.Module]) -> nn.Module:
    """The layers of a block in order, together with what the operator lets them share."""
    ordered = nn.Sequential(*layers)
    share = trait(operator, "block", None)
    return ordered if share is None else share(in_channels, ordered)


def trait(operator: Operator, name: str, default: Any) -> Any:
    """What the operator says of itself; behind a `functools.partial` it is the class that says it."""
    while not hasattr(operator, name) and hasattr(operator, "func"):
        operator = operator.func  # pyright: ignore[reportFunctionMemberAccess]
    return getattr(operator, name, default)


def halve(size: Size, stride: int) -> Size:
    """The (height, width) of a map after a layer of ``stride`` with padding: rounded up."""
    return -(-size[0] // stride), -(-size[1] // stride)
