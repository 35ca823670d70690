"""From a source of images to batches of uint8 on the device, and from those to the network's input."""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from facerec.data.decode import resize
from facerec.data.source import ImageSource


class ImageDataset(Dataset):
    """Item i is ``(image, target)``: the image as uint8 RGB ``(H, W, 3)`` in ``image_size`` = (height, width), and
    ``targets[i]``."""

    def __init__(self, source: ImageSource, targets: np.ndarray, image_size: tuple[int, int]) -> None:
        self.source, self.targets, self.image_size = source, targets, image_size

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.from_numpy(resize(self.source.load(index), self.image_size)), int(self.targets[index])


def normalise(images: Tensor) -> Tensor:
    """uint8 ``(B, H, W, 3)`` to float32 ``(B, 3, H, W)`` in [-1, 1], in channels_last memory: ``(x - 127.5) /
    127.5``."""
    return images.permute(0, 3, 1, 2).float().sub_(127.5).div_(127.5)


def flip_at_random(images: Tensor, seed: tuple[int, ...]) -> Tensor:
    """Mirror each image of ``(B, 3, H, W)`` with probability one half, decided by ``seed`` alone: the same on every
    device and after a resume."""
    entropy = int(np.random.SeedSequence(seed).generate_state(1)[0])
    coins = torch.rand(len(images), generator=torch.Generator().manual_seed(entropy)) < 0.5
    return torch.where(coins.to(images.device)[:, None, None, None], images.flip(-1), images)
