"""A BatchNorm in evaluation, which is a factor and an offset per channel."""

from torch import Tensor, nn


def scale_and_offset(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return what ``norm`` does in evaluation, ``x * scale + offset``, ``(C,)`` each."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = (norm.running_var + norm.eps).rsqrt()
    scale = scale if norm.weight is None else scale * norm.weight
    offset = -norm.running_mean * scale
    return scale, offset if norm.bias is None else offset + norm.bias
