"""Checks and layout conversions that the operators of this package share."""

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
    """Return whether the call must go through PyTorch's dispatcher: to record its gradient, or to compile or export it.

    The dispatch takes longer than the convolution of one image, so it is skipped where it is not needed.
    """
    given = [tensor for tensor in tensors if tensor is not None]
    recorded = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given)
    traced = any(type(tensor) not in (Tensor, nn.Parameter) for tensor in given)
    return recorded or traced or torch.compiler.is_compiling() or torch.jit.is_tracing()  # pyright: ignore


def check_taps_and_devices(taps: int, *tensors: Tensor | None) -> None:
    """Raise `ValueError` unless the taps form a square window of odd size and all tensors are on one device.

    The machine code relies on both.
    """
    if round(taps**0.5) ** 2 != taps or taps % 2 == 0:
        raise ValueError(f"weights must have k * k taps with k odd, got {taps}")
    devices = sorted({str(tensor.device) for tensor in tensors if tensor is not None})
    if len(devices) > 1:
        raise ValueError(f"images and weights must be on one device, got {' and '.join(devices)}")


def in_channels_last(maps: Tensor) -> Tensor:
    """Return ``(B, C, H, W)`` in channels_last memory, copied if it is in another format."""
    return maps.contiguous(memory_format=torch.channels_last)


def images_at_a_time(x: Tensor, chunk_bytes: int) -> int:
    """Return how many images of ``(B, ...)`` fit into ``chunk_bytes``, at least one; on a GPU, all of them.

    On a CPU, what one step writes is then still in the core's own cache when the next step reads it.
    """
    return max(1, len(x) if x.is_cuda else chunk_bytes // (x.shape[1:].numel() * x.element_size()))
