"""What an operator may say of itself, and what a backbone receives to make one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

# Called ``operator(channels, stride=..., out_size=(H, W))``: a class, a function, a `functools.partial` of either.
Operator = Callable[..., nn.Module]
Size = tuple[int, int]


class SpatialOperator(nn.Module):
    """``(B, C, H_in, W_in)`` to ``(B, C, H, W)`` with ``H = ceil(H_in / stride)``; also the base of an operator's
    parts.

    A subclass overrides what it needs. A plain module works as an operator too, and says none of this.

    Attributes:
        default_last_stages: in how many of a backbone's last stages it stands when none are named; None: in all.
    """

    default_last_stages: int | None = None

    def reset_parameters(self) -> None:
        """Give every parameter its first value again, from PyTorch's random numbers. Whoever has parameters overrides
        it."""
        raise NotImplementedError(f"{type(self).__name__} must define reset_parameters")

    def start_from(self, weight: Tensor) -> bool:
        """Start as the depthwise convolution with the filters ``weight``, ``(C, 1, k, k)``, as closely as it can.

        Returns:
            Whether it does; False leaves the operator as it was.
        """
        return False

    @property
    def starts_from_data(self) -> bool:
        """Whether training should begin with a call of `initialise_maps`."""
        return False

    def initialise_maps(self, statistics: Tensor) -> None:
        """Start from ``(2, 3, H_image, W_image)``, mean and deviation of the training images at each position."""

    def on_step(self, progress: float) -> None:
        """Hear before each batch which share of the training is done: 0 in the first step, 1 in the last."""

    def no_weight_decay(self) -> Sequence[nn.Parameter]:
        """The parameters of its own that the optimizer's weight decay leaves alone."""
        return []

    def inference_form(self) -> nn.Module:
        """A cheaper module for inference with the same output; itself where there is none."""
        return self

    def export_form(self, tolerance: float) -> nn.Module:
        """The inference form in what runtimes are fast at, with about the same output; itself where the kernels' plain
        forms will do. ``tolerance`` is by how much fixed weights may be off, root mean square, as a share of theirs."""
        return self

    def count_macs(self, x: Tensor, out: Tensor) -> int | None:
        """Multiply-adds from ``x`` to ``out``, all that is inside included; None: those of the layers inside."""
        return None

    def count_macs_once(self) -> int:
        """Multiply-adds of what is made of the parameters alone: once a step in training, never in inference. Modules
        inside that are operators themselves count their own."""
        return 0


@dataclass(frozen=True)
class OperatorFactory:
    """What makes the layers of a block; itself an `Operator`.

    Attributes:
        make: makes the spatial convolution, called ``make(channels, stride=..., out_size=(H, W))``.
        make_pointwise: makes a 1x1 convolution of so many channels to so many; None: the backbone's own.
        wrap_block: wraps a block, given the channels of its input and its layers, in what they share; None: nothing.
        default_last_stages: as in `SpatialOperator`.
    """

    make: Operator
    make_pointwise: Callable[[int, int], nn.Module] | None = None
    wrap_block: Callable[[int, nn.Sequential], nn.Module] | None = None
    default_last_stages: int | None = None

    @classmethod
    def of(cls, operator: Operator) -> "OperatorFactory":
        """The factory ``operator``, or one that calls it; the class behind a `functools.partial` says the stages."""
        if isinstance(operator, OperatorFactory):
            return operator
        made = operator
        while isinstance(made, partial):
            made = made.func
        is_class = isinstance(made, type) and issubclass(made, SpatialOperator)
        return OperatorFactory(operator, default_last_stages=made.default_last_stages if is_class else None)

    def __call__(self, channels: int, stride: int = 1, out_size: Size | None = None) -> nn.Module:
        """The spatial convolution ``(B, C, H_in, W_in)`` to ``(B, C, *out_size)``."""
        return self.make(channels, stride=stride, out_size=out_size)

    def pointwise(self, ordinary: Callable[[int, int], nn.Module]) -> Callable[[int, int], nn.Module]:
        """What makes the 1x1 convolutions: the operator's own, or the ``ordinary`` one."""
        return self.make_pointwise or ordinary

    def block(self, in_channels: int, layers: Sequence[nn.Module]) -> nn.Module:
        """The layers of a block in order, together with what they share."""
        ordered = nn.Sequential(*layers)
        return ordered if self.wrap_block is None else self.wrap_block(in_channels, ordered)


def halve(size: Size, stride: int) -> Size:
    """The (height, width) of a map after a layer of ``stride`` with padding: rounded up."""
    return -(-size[0] // stride), -(-size[1] // stride)
