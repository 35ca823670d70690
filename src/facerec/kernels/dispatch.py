"""What the operators of this package ask of tensors before they run."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_exporting = False


@contextmanager
def exporting() -> Iterator[None]:
    """In here the kernels answer as in `facerec.kernels.plain`, so that what an exporter traces runs without them."""
    global _exporting
    before, _exporting = _exporting, True
    try:
        yield
    finally:
        _exporting = before


def is_exporting() -> bool:
    """Whether this is inside `exporting`."""
    return _exporting


def needs_dispatch(*tensors: Tensor | None) -> bool:
    """Whether PyTorch has to see one operator: to record its gradient, or to compile or export it. Its dispatch takes
    longer than the convolution of one image."""
    given = [tensor for tensor in tensors if tensor is not None]
    recorded = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given)
    traced = any(type(tensor) not in (Tensor, nn.Parameter) for tensor in given)
    return recorded or traced or torch.compiler.is_compiling() or torch.jit.is_tracing()  # pyright: ignore


def check_taps_and_devices(taps: int, *tensors: Tensor | None) -> None:
    """What machine code takes for granted: `ValueError` unless the taps are those of a square, odd window and all
    tensors are on one device."""
    if round(taps**0.5) ** 2 != taps or taps % 2 == 0:
        raise ValueError(f"weights must have k * k taps with k odd, got {taps}")
    devices = sorted({str(tensor.device) for tensor in tensors if tensor is not None})
    if len(devices) > 1:
        raise ValueError(f"images and weights must be on one device, got {' and '.join(devices)}")


def in_channels_last(maps: Tensor) -> Tensor:
    """``(B, C, H, W)`` as ``(B, H, W, C)`` lies in memory, copied where it does not."""
    return maps.contiguous(memory_format=torch.channels_last)


def images_at_a_time(x: Tensor, group_bytes: int) -> int:
    """As many of ``(B, ...)`` as ``group_bytes`` hold, at least one: on a CPU what one step writes is still in the
    core's own cache when the next one reads it. On a GPU all of them."""
    return max(1, len(x) if x.is_cuda else group_bytes // (x.shape[1:].numel() * x.element_size()))
