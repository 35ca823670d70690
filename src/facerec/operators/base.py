"""The contract between operators and backbones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from facerec.operators.common.fused_sequence import FusedSequence

# Called ``operator(channels, stride=..., out_size=(H, W))``: a class, a function, a `functools.partial` of either.
Operator = Callable[..., nn.Module]
Size = tuple[int, int]


class SpatialOperator(nn.Module):
    """Maps ``(B, C, H_in, W_in)`` to ``(B, C, H, W)`` with ``H = ceil(H_in / stride)`` and mixes the positions.

    It is created by ``operator(channels, stride=1, out_size=(H, W), **options)`` and initialises itself; normalisation
    and activation stay in the block around it. All take ``out_size``; those that work at any size ignore it. The option
    ``kernel_size``, k, is odd, with a zero padding of ``k // 2``. An option outside its documented values is a
    `ValueError` that names the option, the value and what is allowed.

    A subclass overrides the methods it needs; parts of an operator may derive from it too. A plain `nn.Module` works as
    an operator as well and gets the defaults.

    Attributes:
        default_last_stages: the number of last stages of a backbone that use the operator by default; None: all.
    """

    default_last_stages: int | None = None

    def reset_parameters(self) -> None:
        """Initialise all parameters again, from PyTorch's global random generator; by default those of the children."""
        if self._parameters:
            raise NotImplementedError(f"{type(self).__name__} has parameters of its own: define reset_parameters")
        for child in self.children():
            child.reset_parameters()  # pyright: ignore[reportCallIssue]

    def start_from(self, weight: Tensor) -> bool:
        """Initialise as the depthwise convolution with filters ``weight``, ``(C, 1, k, k)``, as closely as possible.

        Returns:
            False if the operator does not support this and is unchanged.
        """
        return False

    @property
    def starts_from_data(self) -> bool:
        """Whether `initialise_maps` should be called before training."""
        return False

    def initialise_maps(self, statistics: Tensor) -> None:
        """Initialise from the training images' mean and standard deviation per pixel, ``(2, 3, H_image, W_image)``."""

    def on_step(self, progress: float) -> None:
        """Adapt to the fraction of training completed, before each step: 0 in the first step, 1 in the last."""

    def no_weight_decay(self) -> Sequence[nn.Parameter]:
        """Return the operator's own parameters that get no weight decay."""
        return []

    def inference_form(self) -> nn.Module:
        """Return a cheaper module for inference with the same output, or the operator itself."""
        return self

    def export_form(self, tolerance: float) -> nn.Module:
        """Return a module for exported files with about the same output, or the operator itself.

        ``tolerance`` limits the error of approximated weights: root mean square, relative to that of the weights.
        """
        return self

    def count_macs(self, x: Tensor, out: Tensor) -> int | None:
        """Return the multiply-adds from ``x`` to ``out``, child modules included; None: only child modules count."""
        return None

    def count_macs_once(self) -> int:
        """Return the multiply-adds that depend on the parameters alone: once per training step, never in inference.

        Child modules that are operators count their own.
        """
        return 0


@dataclass(frozen=True)
class OperatorFactory:
    """Creates the layers of a block; itself an `Operator`.

    Attributes:
        make: creates the spatial convolution, called ``make(channels, stride=..., out_size=(H, W))``.
        make_pointwise: creates a 1x1 convolution from (input channels, output channels); None: the backbone's own.
        wrap_block: wraps a block in what its layers share, from (input channels, layers); None: nothing is shared.
        default_last_stages: as in `SpatialOperator`.
    """

    make: Operator
    make_pointwise: Callable[[int, int], nn.Module] | None = None
    wrap_block: Callable[[int, nn.Sequential], nn.Module] | None = None
    default_last_stages: int | None = None

    @classmethod
    def of(cls, operator: Operator) -> "OperatorFactory":
        """Return ``operator`` as a factory; the class inside a `functools.partial` gives the default stages."""
        if isinstance(operator, OperatorFactory):
            return operator
        made = operator
        while isinstance(made, partial):
            made = made.func
        is_class = isinstance(made, type) and issubclass(made, SpatialOperator)
        return OperatorFactory(operator, default_last_stages=made.default_last_stages if is_class else None)

    def __call__(self, channels: int, stride: int = 1, out_size: Size | None = None) -> nn.Module:
        """Create the spatial convolution, ``(B, C, H_in, W_in)`` to ``(B, C, *out_size)``."""
        return self.make(channels, stride=stride, out_size=out_size)

    def pointwise(self, ordinary: Callable[[int, int], nn.Module]) -> Callable[[int, int], nn.Module]:
        """Return the function that creates 1x1 convolutions: the operator's own, or ``ordinary``."""
        return self.make_pointwise or ordinary

    def block(self, in_channels: int, layers: Sequence[nn.Module]) -> nn.Module:
        """Put the layers of a block in sequence, together with what they share."""
        ordered = FusedSequence(*layers)
        return ordered if self.wrap_block is None else self.wrap_block(in_channels, ordered)


def halve(size: Size, stride: int) -> Size:
    """Return the (height, width) of a map after a padded layer with ``stride``, rounded up."""
    return -(-size[0] // stride), -(-size[1] // stride)
