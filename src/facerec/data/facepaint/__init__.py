"""Faces of people who do not exist, drawn from numbers."""

from facerec.data.facepaint.portrait import paint
from facerec.data.facepaint.shot import Conditions, Shot, draw_shot
from facerec.data.facepaint.traits import Traits, draw_traits

__all__ = ["Conditions", "Shot", "Traits", "draw_shot", "draw_traits", "paint"]
