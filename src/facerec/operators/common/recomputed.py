"""Blocks of a network whose maps are not kept for the backward pass, but computed again in it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from facerec.kernels.made_again import keeping_maps


def recomputed(block: nn.Module, x: Tensor) -> Tensor:
    """Return ``block(x)``, of which the backward pass keeps ``x`` alone and computes the block a second time.

    The second time gives the same bits: random numbers are drawn again, and what the block's norms note of the batch is
    dropped.
    """

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return keeping_maps(), _dropping_changes_of_buffers(block)

    return checkpoint(block, x, use_reentrant=False, context_fn=contexts)  # pyright: ignore[reportReturnType]


@contextmanager
def _dropping_changes_of_buffers(block: nn.Module) -> Iterator[None]:
    """In here, the block's modules have copies of their buffers: a buffer itself may not change after it was saved."""
    kept = [(module, dict(module._buffers)) for module in block.modules() if module._buffers]
    for module, buffers in kept:
        module._buffers.update({name: None if b is None else b.clone() for name, b in buffers.items()})
    try:
        yield
    finally:
        for module, buffers in kept:
            module._buffers.update(buffers)
