"""Painting of synthetic faces from random numbers."""

from facerec.data.synthetic.painter.portrait import paint
from facerec.data.synthetic.painter.shot import Conditions, Shot, draw_shot
from facerec.data.synthetic.painter.traits import Traits, draw_traits

__all__ = ["Conditions", "Shot", "Traits", "draw_shot", "draw_traits", "paint"]
