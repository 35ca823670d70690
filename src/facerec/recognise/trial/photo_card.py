"""A photograph that a person gives to the page, with its faces in boxes: one of them is chosen."""

from base64 import b64encode
from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import NamedTuple

import numpy as np
from nicegui import events, ui
from PIL import Image

from facerec.data.decode import resize
from facerec.errors import InputError
from facerec.recognise.face_finder import Photograph

MOST_BYTES = 64 << 20  # of a photograph's file
_LONGEST_SIDE = 1000  # pixels of what is shown
_KINDS = "image/*,.heic,.heif"  # HEIC is let in, since the page then says what to do
_CHOSEN, _OTHER = "#1f7ae0", "#8a8f98"
_TOO_LARGE = f"this is no picture, or a file of more than {MOST_BYTES >> 20} MB: take another one"
_HEADER = """
<div class="row items-center no-wrap drop">
  <q-btn flat no-caps dense icon="add_photo_alternate" label="Choose a photograph"><q-uploader-add-trigger /></q-btn>
  <span class="quiet q-ml-sm">or drop it here</span>
</div>
"""


class Shown(NamedTuple):
    """A photograph and what the page shows of it: an address that holds the picture, shrunk by ``scale``."""

    photograph: Photograph
    address: str
    scale: float


Look = Callable[[bytes, str], Awaitable[Shown]]
Change = Callable[[], Awaitable[None]]


class PhotoCard:
    """Takes a photograph and lets a person choose a face of it.

    Args:
        title: of the card.
        look: finds the faces in the bytes of a file that has a name.
        changed: is called after another photograph or face was chosen.
    """

    def __init__(self, title: str, look: Look, changed: Change) -> None:
        self._look, self._changed = look, changed
        self._shown: Shown | None = None
        self.face = 1
        with ui.element("section").classes("card"):
            ui.label(title).classes("title")
            self._upload = ui.upload(
                auto_upload=True, max_file_size=MOST_BYTES, on_upload=self._take, on_rejected=self._reject
            ).props(f'accept="{_KINDS}" flat')
            self._upload.add_slot("header", _HEADER)
            with self._upload.add_slot("list"):
                self._picture = ui.interactive_image(on_mouse=self._point, events=["click"], sanitize=False).classes(
                    "picture"
                )
            self._busy = ui.linear_progress(show_value=False).props("indeterminate")
            self._said = ui.label().classes("quiet")
            self._problem = ui.label().classes("problem").props("role=alert")
            self._numbers = ui.toggle([], on_change=self._choose).props("no-caps dense")
        self._draw()

    @property
    def photograph(self) -> Photograph | None:
        """The photograph, if there is one with a face."""
        return self._shown.photograph if self._shown is not None and self._shown.photograph.faces else None

    async def _take(self, event: events.UploadEventArguments) -> None:
        self._upload.reset()
        self._busy.visible = True
        problem, self._shown, self.face = "", None, 1
        try:
            self._shown = await self._look(await event.file.read(), event.file.name)
            self._shown.photograph.face()
        except InputError as error:
            problem = str(error)
        if not self._upload.is_deleted:  # the page may be closed by now
            self._draw(problem)
            await self._changed()

    def _reject(self) -> None:
        self._say(_TOO_LARGE)

    def _say(self, problem: str) -> None:
        self._problem.text, self._problem.visible = sentence(problem), bool(problem)

    async def _point(self, event: events.MouseEventArguments) -> None:
        if self._shown is not None:
            place = np.array([event.image_x, event.image_y]) / self._shown.scale
            number = face_at(self._shown.photograph, place)
            self._numbers.value = number or self.face

    async def _choose(self, event: events.ValueChangeEventArguments) -> None:
        if self._shown is not None and event.value and event.value != self.face:
            self.face = event.value
            self._picture.content = boxes(self._shown, self.face)
            await self._changed()

    def _draw(self, problem: str = "") -> None:
        shown, faces = self._shown, 0 if self._shown is None else len(self._shown.photograph.faces)
        self._busy.visible = False
        self._say(problem)
        self._picture.visible = shown is not None
        if shown is not None:
            self._picture.set_source(shown.address)
            self._picture.content = boxes(shown, self.face)
        self._said.text = "" if shown is None else f"{shown.photograph.name}: {_counted(faces)}"
        self._said.visible = faces > 0
        self._numbers.set_options({number: f"Face {number}" for number in range(1, faces + 1)}, value=self.face)
        self._numbers.visible = faces > 1


def sentence(text: str) -> str:
    """Return an error's message, or another clause, as a sentence."""
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _counted(faces: int) -> str:
    return "one face" if faces == 1 else f"{faces} faces, numbered from the largest; choose one by its box or number"


def shown(photograph: Photograph) -> Shown:
    """Return the photograph with a JPEG picture of at most 1000 pixels a side."""
    height, width = photograph.image.shape[:2]
    scale = min(1.0, _LONGEST_SIDE / max(height, width))
    small = np.empty((max(1, round(height * scale)), max(1, round(width * scale)), 3), np.uint8)
    resize(photograph.image, small)
    file = BytesIO()
    Image.fromarray(small).save(file, "JPEG", quality=88)
    return Shown(photograph, f"data:image/jpeg;base64,{b64encode(file.getvalue()).decode()}", scale)


def face_at(photograph: Photograph, place: np.ndarray) -> int | None:
    """Return the number of the smallest face whose box contains the ``place`` (x, y), if one does."""
    for number, face in reversed(list(enumerate(photograph.faces, 1))):
        inside = (place - face.box[:2]) / face.box[2:]
        if ((inside >= 0) & (inside <= 1)).all():
            return number
    return None


def boxes(shown: Shown, chosen: int) -> str:
    """Return the boxes and numbers of the faces as the inner SVG of the picture; the ``chosen`` one is last."""
    unit = max(shown.photograph.image.shape[:2]) * shown.scale / 200
    faces = sorted(enumerate(shown.photograph.faces, 1), key=lambda numbered: numbered[0] == chosen)
    return "".join(
        _box(number, [length * shown.scale for length in face.box], unit, number == chosen) for number, face in faces
    )


def _box(number: int, box: list[float], unit: float, is_chosen: bool) -> str:
    left, top, width, height = box
    colour, tag = _CHOSEN if is_chosen else _OTHER, 9 * unit
    return (
        f'<g><rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" fill="none" '
        f'stroke="{colour}" stroke-width="{(1.4 if is_chosen else 0.9) * unit:.2f}"/>'
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{(0.5 + 0.5 * len(str(number))) * tag:.1f}" height="{tag:.1f}" '
        f'fill="{colour}"/><text x="{left + 0.25 * tag:.1f}" y="{top + 0.8 * tag:.1f}" font-size="{0.8 * tag:.1f}" '
        f'font-family="sans-serif" fill="white">{number}</text></g>'
    )
