"""Margin-softmax heads, one file per paper; `facerec.heads.cosine_head.CosineHead` is their contract."""

from facerec.heads.am_softmax import AMSoftmax
from facerec.heads.arcface import ArcFace
from facerec.heads.cosine_head import CosineHead

__all__ = ["AMSoftmax", "ArcFace", "CosineHead"]
