"""An exported file, ready to run."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Model:
    """``metadata`` as it was written; ``embed`` takes uint8 RGB ``(B, H, W, 3)`` to float32 embeddings ``(B, D)``."""

    metadata: dict[str, str]
    embed: Callable[[np.ndarray], np.ndarray]


class ModelBackbone(nn.Module):
    """A `Model` in the place of a backbone: normalised images ``(B, 3, H, W)`` to embeddings ``(B, D)``."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        pixels = (images * 127.5 + 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
        return torch.from_numpy(self.model.embed(pixels.cpu().numpy())).to(images.device)
