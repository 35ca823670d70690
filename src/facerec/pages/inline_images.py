"""Small images inside the page: affinity maps as PNG and faces as JPEG, both as data URLs."""

import base64
import io

import numpy as np
from matplotlib import colormaps
from PIL import Image

from facerec.pages.markup import Html, element

_FACE = 64  # pixels


def map_image(values: np.ndarray, name: str, span: tuple[float, float] | None = None) -> Html:
    """Return a map ``(H, W)`` from the lowest value of ``span``, dark, to the highest; its own by default.

    A map with NaN or infinite values, as of a run that diverged, is described instead.
    """
    if not np.isfinite(values).all():
        return element("span", "not finite", title=name)
    low, high = span or (float(values.min()), float(values.max()))
    levels = np.clip(255 * (values - low) / (high - low or 1.0), 0, 255).round().astype(np.uint8)
    image = Image.fromarray(levels, "L").convert("P")
    image.putpalette((255 * colormaps["magma"](np.arange(256))[:, :3]).astype(np.uint8).tobytes())
    title = f"{name}: {values.min():.3g} to {values.max():.3g}"
    return element("img", src=_data(image, "PNG"), alt=name, title=title)


def face_image(image: np.ndarray) -> Html:
    """Return an image, uint8 RGB ``(H, W, 3)``, with its longer side reduced to 64 pixels."""
    small = Image.fromarray(image)
    small.thumbnail((_FACE, _FACE))
    return element("img", src=_data(small, "JPEG"), alt="face", width=small.width, height=small.height)


def _data(image: Image.Image, form: str) -> str:
    file = io.BytesIO()
    image.save(file, form, quality=80, optimize=True)
    return f"data:image/{form.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
