"""A picture of a comparison: both photographs with their faces in boxes, and the decision."""

import textwrap

import numpy as np
from PIL import Image, ImageDraw

from facerec.alignment.detector import DetectedFace
from facerec.data.decode import resize
from facerec.plots.contact_sheet import font
from facerec.recognise.face_finder import Photograph
from facerec.recognise.recogniser import Comparison

_HEIGHT, _WIDEST, _MARGIN, _LINE = 480, 800, 12, 22  # pixels
_SAME, _OTHER, _UNUSED, _INK, _PAPER = (0, 150, 60), (210, 40, 40), (130, 130, 130), (30, 30, 30), (255, 255, 255)


def comparison_picture(comparison: Comparison) -> np.ndarray:
    """Return the picture, uint8 RGB ``(H, W, 3)``: the compared faces green for the same person and red otherwise, the
    others grey with their numbers."""
    colour = _SAME if comparison.same_person else _OTHER
    both = zip(comparison.photographs, comparison.faces, strict=True)
    photographs = [_photograph(photograph, number, colour) for photograph, number in both]
    width = max(640, sum(image.width for image in photographs) + 3 * _MARGIN)
    lines = _lines(comparison, width)
    page = Image.new("RGB", (width, _HEIGHT + len(lines) * _LINE + 3 * _MARGIN), _PAPER)
    left = _MARGIN
    for image in photographs:
        page.paste(image, (left, _MARGIN))
        left += image.width + _MARGIN
    draw = ImageDraw.Draw(page)
    for row, line in enumerate(lines):
        ink = colour if row == 0 else _INK
        draw.text((_MARGIN, _HEIGHT + 2 * _MARGIN + row * _LINE), line, ink, font(18 if row == 0 else 14))
    return np.asarray(page)


def _lines(comparison: Comparison, width: int) -> list[str]:
    decision, _, reasons = comparison.sentence().partition(": ")
    return [f"{decision.capitalize()}: cosine {comparison.cosine:.4f}", *textwrap.wrap(reasons, width // 8)]


def _photograph(photograph: Photograph, chosen: int, colour: tuple[int, int, int]) -> Image.Image:
    height, width = photograph.image.shape[:2]
    scale = min(_HEIGHT / height, _WIDEST / width)
    small = np.empty((max(1, round(height * scale)), max(1, round(width * scale)), 3), np.uint8)
    resize(photograph.image, small)
    image = Image.fromarray(small)
    for number, face in reversed(list(enumerate(photograph.faces, 1))):
        _draw(
            ImageDraw.Draw(image), face, scale, f"{number}", colour if number == chosen else _UNUSED, number == chosen
        )
    return image


def _draw(
    draw: ImageDraw.ImageDraw, face: DetectedFace, scale: float, text: str, ink: tuple[int, int, int], is_chosen: bool
) -> None:
    left, top, width, height = (length * scale for length in face.box)
    draw.rectangle((left, top, left + width, top + height), outline=ink, width=3 if is_chosen else 2)
    for x, y in (face.points * scale).tolist() if is_chosen else ():
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=ink)
    tag = draw.textbbox((0, 0), text, font(14))
    above = max(0, top - tag[3] - 6)
    draw.rectangle((left, above, left + tag[2] + 8, above + tag[3] + 6), fill=ink)
    draw.text((left + 4, above + 2), text, _PAPER, font(14))
