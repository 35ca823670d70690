"""Backbones: images ``(B, 3, H, W)`` to embeddings ``(B, embedding_dim)``. They receive the spatial operator as a
callable and never name one."""

from facerec.backbones.mobilenet_v2 import MobileNetV2
from facerec.backbones.shufflenet_v2 import ShuffleNetV2

__all__ = ["MobileNetV2", "ShuffleNetV2"]
