"""Contact sheets: pages of small images with captions, for visual inspection."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageDraw, ImageFont

from facerec.data import decode
from facerec.files import replacing

_MARGIN, _LINE = 6, 13  # pixels
_INK, _PAPER = (30, 30, 30), (255, 255, 255)


@dataclass(frozen=True)
class Section:
    """A titled group of images. ``images`` are uint8 RGB ``(H, W, 3)`` of any sizes, each with a caption of one or more
    lines."""

    title: str
    images: Sequence[np.ndarray]
    captions: Sequence[str]


def write_contact_sheet(sections: Sequence[Section], path: Path, columns: int = 10, side: int = 96) -> None:
    """Write the page of ``sections`` to ``path``, a PNG.

    Args:
        sections: from top to bottom; a section without images shows only its title.
        path: file that is written whole or not at all; `InputError` if it cannot be written.
        columns: images per row.
        side: length of an image's longer side in pixels.
    """
    width = columns * (side + _MARGIN) + _MARGIN
    parts = [_draw(section, columns, side, width) for section in sections]
    with replacing(path) as partial:
        Image.fromarray(np.concatenate(parts)).save(partial, format="PNG")


def _draw(section: Section, columns: int, side: int, width: int) -> np.ndarray:
    starts = range(0, len(section.images), columns)
    rows = [(section.images[i : i + columns], section.captions[i : i + columns]) for i in starts]
    return np.concatenate([_title(section.title, width), *(_row(*row, side, width) for row in rows)])


def _title(text: str, width: int) -> np.ndarray:
    page = Image.new("RGB", (width, 30), _PAPER)
    ImageDraw.Draw(page).text((_MARGIN, 9), _drawable(text), _INK, font(14))
    return np.asarray(page)


def _row(images: Sequence[np.ndarray], captions: Sequence[str], side: int, width: int) -> np.ndarray:
    lines = max(caption.count("\n") + 1 for caption in captions)
    page = Image.new("RGB", (width, side + lines * _LINE + 2 * _MARGIN), _PAPER)
    draw, small = ImageDraw.Draw(page), font(10)
    for column, (image, caption) in enumerate(zip(images, captions, strict=True)):
        left = _MARGIN + column * (side + _MARGIN)
        page.paste(Image.fromarray(_fitted(image, side)), (left, 0))
        for row, line in enumerate(caption.split("\n")):
            draw.text((left, side + 2 + row * _LINE), _shortened(_drawable(line), small, side), _INK, small)
    return np.asarray(page)


def _fitted(image: np.ndarray, side: int) -> np.ndarray:
    """Resize ``image`` so that its longer side is ``side`` pixels long."""
    scale = side / max(image.shape[:2])
    height, width = (max(1, round(length * scale)) for length in image.shape[:2])
    fitted = np.empty((height, width, 3), np.uint8)
    decode.resize(image, fitted)
    return fitted


def _shortened(line: str, small: ImageFont.FreeTypeFont, width: int) -> str:
    """Cut off the beginning of ``line`` until it fits: paths differ in their ends."""
    if small.getlength(line) <= width:
        return line
    while line and small.getlength("…" + line) > width:
        line = line[1:]
    return "…" + line


def _drawable(text: str) -> str:
    """Replace characters that the font would draw as empty boxes by escapes, such as \\u674e."""
    known = _characters()
    return "".join(c if ord(c) in known else c.encode("unicode_escape").decode("ascii") for c in text)


@cache
def _characters() -> frozenset[int]:
    """Return the code points that the font can draw."""
    return frozenset(FT2Font(_font_file()).get_charmap())


def font(size: int) -> ImageFont.FreeTypeFont:
    """Return the font for text in pictures, ``size`` pixels high."""
    return ImageFont.truetype(_font_file(), size)


def _font_file() -> str:
    # Matplotlib's font is available on every machine and has the characters of most languages.
    return f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"
