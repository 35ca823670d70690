"""Backbones map images to embeddings; they receive the spatial operator as a callable."""

from facerec.backbones.iresnet import IResNet
from facerec.backbones.mobilefacenet import MobileFaceNet
from facerec.backbones.mobilenet_v2 import MobileNetV2
from facerec.backbones.shufflenet_v2 import ShuffleNetV2

__all__ = ["IResNet", "MobileFaceNet", "MobileNetV2", "ShuffleNetV2"]
