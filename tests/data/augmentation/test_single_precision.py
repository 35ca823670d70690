"""Apple's devices have no float64: a transform that asks for it would end a run there."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torchvision.transforms import v2

from facerec.data.augmentation.affine import Rotation, Scale, Shear, Translation
from facerec.data.augmentation.by_torchvision import Torchvision
from facerec.data.augmentation.erasing import Erasing
from facerec.data.augmentation.jitter import Jitter
from facerec.data.augmentation.low_resolution import LowResolution

TRANSFORMS: dict[str, Any] = {
    kind.__name__: kind for kind in (Rotation, Shear, Scale, Translation, Erasing, Jitter, LowResolution)
}


class WithoutFloat64(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        # Of no size are Python's own numbers, which PyTorch keeps on the host.
        if any(isinstance(x, torch.Tensor) and x.ndim and x.dtype == torch.float64 for x in tree_leaves(made)):
            raise TypeError(f"{func} made float64")
        return made


@pytest.mark.parametrize("name", [*TRANSFORMS, "Torchvision"])
def test_a_transform_makes_none(name):
    transform = TRANSFORMS[name]() if name in TRANSFORMS else Torchvision(v2.RandomErasing())
    with WithoutFloat64():
        transform(torch.zeros(2, 3, 8, 8), torch.full((2, transform.num_random), 0.25))
    with pytest.raises(TypeError, match="made float64"), WithoutFloat64():
        torch.zeros(2).double()
