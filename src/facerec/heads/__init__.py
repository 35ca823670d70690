"""Margin-softmax heads, one file per paper; `facerec.heads.cosine_head.CosineHead` is their contract."""

from facerec.heads.adaface import AdaFace
from facerec.heads.am_softmax import AMSoftmax
from facerec.heads.arcface import ArcFace
from facerec.heads.combined_margin import CombinedMargin
from facerec.heads.cosine_head import CosineHead
from facerec.heads.curricularface import CurricularFace
from facerec.heads.magface import MagFace
from facerec.heads.subcentre_arcface import SubCentreArcFace

__all__ = [
    "AMSoftmax",
    "AdaFace",
    "ArcFace",
    "CombinedMargin",
    "CosineHead",
    "CurricularFace",
    "MagFace",
    "SubCentreArcFace",
]
