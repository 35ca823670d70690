"""A batch, a sum and a maximum over the devices of a run, with gradients.

Every device computes the loss of its own images; the gradient is that of the mean loss of all devices. Without a
process group there is one device.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function


def num_devices() -> int:
    """Return the number of devices of the run."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def device_index() -> int:
    """Return the index of this process's device, from 0."""
    return dist.get_rank() if num_devices() > 1 else 0


def of_all_devices(values: Tensor) -> Tensor:
    """Return the ``values`` ``(B, ...)`` of all devices of the run, without gradient; each device has as many."""
    values = values.detach()
    if num_devices() == 1:
        return values
    gathered = [torch.empty_like(values) for _ in range(num_devices())]
    dist.all_gather(gathered, values.contiguous())
    return torch.cat(gathered)


def embeddings_of_all_devices(embeddings: Tensor) -> Tensor:
    """Return the ``embeddings`` ``(B, D)`` of all devices.

    The gradient of this device's part is the sum over all devices, times their number: DistributedDataParallel divides
    that of the backbone by it.
    """
    return _Gathered.apply(embeddings) if num_devices() > 1 else embeddings


def summed(values: Tensor) -> Tensor:
    """Return the sum of the ``values`` over all devices, with the sum of their gradients."""
    return _Summed.apply(values) if num_devices() > 1 else values


@torch.no_grad()
def maximum(values: Tensor) -> Tensor:
    """Return the maximum of the ``values`` over all devices, without gradient."""
    values = values.clone()
    if num_devices() > 1:
        dist.all_reduce(values, dist.ReduceOp.MAX)
    return values


@torch.no_grad()
def joined(part: Tensor, num_rows: int) -> Tensor:
    """Return the table ``(num_rows, ...)`` in main memory on the first device, and the ``part`` itself on others.

    ``part`` has this device's rows, those of `rows_of`. One part at a time is on the devices.
    """
    whole = part.new_empty((num_rows, *part.shape[1:]) if device_index() == 0 else 0, device="cpu")
    for device in range(num_devices()):
        rows = rows_of(num_rows, device)
        theirs = part.contiguous() if device == device_index() else part.new_empty((len(rows), *part.shape[1:]))
        if num_devices() > 1:
            dist.broadcast(theirs, src=device)
        if device_index() == 0:
            whole[rows.start : rows.stop] = theirs
    return whole if device_index() == 0 else part


def rows_of(num_rows: int, device: int) -> range:
    """Return the rows of a table that a device holds: parts follow each other and differ in length by at most one."""
    return range(device * num_rows // num_devices(), (device + 1) * num_rows // num_devices())


class _Gathered(Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.rows = len(values)
        return of_all_devices(values)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        own = _total(grads[0])[device_index() * ctx.rows :][: ctx.rows]
        return own * num_devices()


class _Summed(Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return _total(values)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return _total(grads[0])


def _total(values: Tensor) -> Tensor:
    total = values.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total
