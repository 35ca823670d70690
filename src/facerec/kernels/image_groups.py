"""How many images of a batch are worked on together."""

from torch import Tensor


def images_at_a_time(x: Tensor, group_bytes: int) -> int:
    """As many of ``(B, ...)`` as ``group_bytes`` hold, at least one: on a CPU what one step writes is still in the
    core's own cache when the next one reads it. On a GPU all of them."""
    return max(1, len(x) if x.is_cuda else group_bytes // (x.shape[1:].numel() * x.element_size()))
