"""Files of weights in the formats of timm, read without running anything that is in them."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from facerec.errors import InputError

TIMM_FILES = (".safetensors", ".pth", ".pt", ".bin")


def timm_weights(what: str, file: Path) -> dict[str, Tensor]:
    """Return the weights in a file of timm's; raise `InputError` that begins with ``what`` if they cannot be read."""
    from timm.models import load_state_dict  # slow to import

    try:
        weights = load_state_dict(str(file), weights_only=True)
    except OSError as error:
        raise InputError(f"{what} cannot be read ({error.strerror or 'no such file'}): check the path") from error
    except Exception as error:
        raise InputError(f"{what} is damaged or holds more than weights: give a file of timm's weights") from error
    for name, weight in weights.items():
        if not isinstance(name, str) or not is_whole(weight):
            raise InputError(f"{what} holds no weights under {name!r}: give a file of timm's weights")
    return weights


def is_whole(weight: Any) -> bool:
    """Return whether ``weight`` is a tensor on the CPU with a stored value for every element."""
    if not isinstance(weight, Tensor) or weight.layout is not torch.strided or weight.device.type != "cpu":
        return False
    return weight.nbytes <= weight.untyped_storage().nbytes()
