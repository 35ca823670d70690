"""Parts that the backbones share: argument checks and the operator per stage."""

import math
from collections.abc import Collection, Sequence

from torch import Tensor

from facerec.operators.base import Operator, OperatorFactory, Size
from facerec.operators.depthwise import Depthwise


def check_image_size(image_size: Sequence[int], total_stride: int) -> Size:
    """Return ``image_size`` as (height, width); `ValueError` unless both are at least ``total_stride``."""
    if len(image_size) != 2 or min(image_size) < total_stride:
        raise ValueError(
            f"image_size must be (height, width) of at least {total_stride} pixels each, the total stride, got "
            f"{tuple(image_size)}"
        )
    return image_size[0], image_size[1]


def check_width(width: float) -> None:
    """Raise `ValueError` unless ``width`` is finite and positive."""
    if not 0 < width < math.inf:
        raise ValueError(f"width must be positive, got {width}")


def check_images(images: Tensor, image_size: Size) -> None:
    """Refuse images of another size than the network's, since the last pooling would ignore part of a larger map."""
    if images.shape[2:] != image_size:
        raise ValueError(
            f"the network is for images of {image_size[0]}x{image_size[1]} pixels, got {images.shape[2]}x"
            f"{images.shape[3]}: resize them or build it with another image size"
        )


def operator_of_stage(
    operator: Operator, operator_stages: Collection[int] | None, stages: range, network: str
) -> dict[int, OperatorFactory]:
    """Return the operator of each stage: ``operator`` in ``operator_stages``, elsewhere the depthwise convolution.

    None means the operator's default, mostly all stages.
    """
    if operator_stages is not None and (isinstance(operator_stages, int | str) or not len(operator_stages)):
        raise ValueError(
            f"operator_stages must be a list of stages, as [{stages[-1]}], or null for all, got {operator_stages!r}"
        )
    made, ordinary = OperatorFactory.of(operator), OperatorFactory.of(Depthwise)
    default = stages[-(made.default_last_stages or len(stages)) :]
    chosen = set(default if operator_stages is None else operator_stages)
    unknown = sorted(chosen - set(stages))
    if unknown:
        of_network = f"{network} the stages {stages[0]} to {stages[-1]}"
        raise ValueError(f"operator_stages has {unknown}, and {of_network}: give some of these")
    return {stage: made if stage in chosen else ordinary for stage in stages}
