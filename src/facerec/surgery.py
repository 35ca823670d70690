"""Replaces the depthwise convolutions of any network by an operator."""

import copy
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TypeGuard

import torch
from torch import Tensor, nn

from facerec.errors import InputError
from facerec.operators.base import Operator, OperatorFactory, Size, SpatialOperator, halve

Where = str | Sequence[str] | Callable[[str, nn.Conv2d], bool]
# The (input, output) map sizes that a convolution was run at.
Runs = set[tuple[Size, Size]]


def replace_depthwise(
    model: nn.Module, operator: Operator, image_size: Sequence[int], where: Where = "*", keep_kernel_size: bool = True
) -> nn.Module:
    """Return a copy of ``model`` with ``operator`` instead of the depthwise convolutions that match ``where``.

    The map sizes are found by running an image of zeros with the channels of the model's first convolution. An operator
    is initialised from the convolution that it replaces (`SpatialOperator.start_from`) if the kernel sizes agree and
    the padding is ``k // 2`` zeros on every side. A convolution's bias is kept as a learned bias after the operator.

    Args:
        model: not modified; may itself be a depthwise convolution.
        operator: called ``operator(channels, stride=..., out_size=(H, W))``.
        image_size: (height, width) of the images, the only size at which the result can be used.
        where: a glob pattern of the convolutions' dotted names, several, or a function ``(name, convolution) -> bool``.
        keep_kernel_size: give an operator with a ``kernel_size`` that of the convolution; False: its default.

    Raises:
        ValueError: an operator that replaces more than the spatial convolution; a pattern that matches nothing; a
            convolution that cannot be replaced.
    """
    factory = OperatorFactory.of(operator)
    if factory.make_pointwise or factory.wrap_block:
        raise ValueError(
            "the operator replaces more of a block than its depthwise convolution, which only the project's own "
            "backbones support: take another operator, or MobileNetV2 or ShuffleNetV2"
        )
    model = copy.deepcopy(model)
    chosen = _chosen(model, where)
    runs = _dry_run(model, chosen.values(), image_size)
    replacements: dict[nn.Module, nn.Module] = {
        conv: _replacement(name, conv, runs[conv], factory.make, keep_kernel_size) for name, conv in chosen.items()
    }
    return _with(replacements, model)


class ChannelOffset(nn.Module):
    """Adds a learned bias per channel to ``(B, C, H, W)``; ``start``, ``(C,)``, is its initial value."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.bias = nn.Parameter(start.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias[:, None, None].to(x.dtype)


def _chosen(model: nn.Module, where: Where) -> dict[str, nn.Conv2d]:
    convs = {name: module for name, module in model.named_modules() if _is_depthwise(module)}
    patterns = [where] if isinstance(where, str) or callable(where) else list(where)
    chosen: dict[str, nn.Conv2d] = {}
    for pattern in patterns:
        matching = {name: conv for name, conv in convs.items() if _matches(pattern, name, conv)}
        if not matching:
            raise ValueError(f"no depthwise convolution matches where={pattern!r}; {_listed(list(convs))}")
        chosen |= matching
    if not chosen:
        raise ValueError('where is empty: give a pattern, "*" for all')
    return chosen


def _is_depthwise(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Return whether it is depthwise and larger than 1x1, which would not mix positions."""
    if not isinstance(module, nn.Conv2d) or module.kernel_size == (1, 1):
        return False
    return module.groups == module.in_channels == module.out_channels > 1


def _matches(pattern: str | Callable[[str, nn.Conv2d], bool], name: str, conv: nn.Conv2d) -> bool:
    return pattern(name, conv) if callable(pattern) else fnmatchcase(name, pattern)


def _listed(names: list[str], most: int = 8) -> str:
    if not names:
        return "the network has none"
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"there are {', '.join(names[:most])}{more}"


@torch.no_grad()
def _dry_run(model: nn.Module, convs: Iterable[nn.Conv2d], image_size: Sequence[int]) -> dict[nn.Module, Runs]:
    runs: dict[nn.Module, Runs] = {conv: set() for conv in convs}

    def note(conv: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        in_size, out_size = ((x.shape[-2], x.shape[-1]) for x in (inputs[0], out))
        runs[conv].add((in_size, out_size))

    for conv in runs:  # all are replaced, so the hooks need no removal
        conv.register_forward_hook(note)
    modes = {module: module.training for module in model.modules()}
    model.eval()
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    model(first.weight.new_zeros(1, first.in_channels, *image_size))
    for module, training in modes.items():
        module.training = training
    return runs


def _replacement(name: str, conv: nn.Conv2d, runs: Runs, operator: Operator, keep_kernel_size: bool) -> nn.Module:
    why_not = _why_not(conv, runs)
    if why_not is not None:
        raise ValueError(_refusal(name, why_not))
    ((_, out_size),) = runs
    option = inspect.signature(operator).parameters.get("kernel_size")
    kernel_size = None if option is None else conv.kernel_size[0] if keep_kernel_size else option.default
    arguments = {} if option is None else {"kernel_size": kernel_size}
    try:
        spatial = operator(conv.in_channels, stride=conv.stride[0], out_size=out_size, **arguments)
    except ValueError as error:
        raise InputError(_refusal(name, str(error))) from error
    spatial = spatial.to(conv.weight.device)
    fits = kernel_size == conv.kernel_size[0] and _is_padded_like_an_operator(conv)
    if fits and isinstance(spatial, SpatialOperator):
        spatial.start_from(conv.weight.detach())
    whole = spatial if conv.bias is None else nn.Sequential(spatial, ChannelOffset(conv.bias))
    return whole.to(conv.weight.dtype).train(conv.training)


def _why_not(conv: nn.Conv2d, runs: Runs) -> str | None:
    """Return the reason why no operator can replace ``conv``, or None."""
    for what, (vertical, horizontal) in (("kernel", conv.kernel_size), ("stride", conv.stride)):
        if vertical != horizontal:
            return f"its {what} of {vertical}x{horizontal} is not square"
    if tuple(conv.dilation) != (1, 1):
        return f"it has a dilation of {conv.dilation[0]}x{conv.dilation[1]}"
    if not runs:
        return "a forward pass does not run it"
    if len(runs) > 1:
        return f"it is run at several sizes, {', '.join(sorted(_text(in_size) for in_size, _ in runs))}"
    ((in_size, out_size),) = runs
    expected = halve(in_size, conv.stride[0])
    return None if out_size == expected else f"it maps {_text(in_size)} to {_text(out_size)}, not to {_text(expected)}"


def _text(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def _refusal(name: str, why: str) -> str:
    return f"the depthwise convolution {name!r} cannot be replaced, {why}: choose others by where="


def _is_padded_like_an_operator(conv: nn.Conv2d) -> bool:
    """Return whether the padding is that of operators, and the class does not pad or normalise by itself."""
    padding = conv.kernel_size[0] // 2
    plain = type(conv).forward is nn.Conv2d.forward and conv.padding_mode == "zeros"
    return plain and (conv.padding == "same" or tuple(conv.padding) == (padding, padding))


def _with(replacements: Mapping[nn.Module, nn.Module], module: nn.Module) -> nn.Module:
    if module in replacements:
        return replacements[module]
    for name, child in list(module._modules.items()):
        if child is not None:
            module._modules[name] = _with(replacements, child)
    return module
