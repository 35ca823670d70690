"""The tab of the people in a gallery's file: who is enrolled, and whom a photograph shows."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from nicegui import ui

from facerec.errors import InputError
from facerec.recognise.gallery import Gallery
from facerec.recognise.recogniser import Finding, Recogniser
from facerec.recognise.trial.photo_card import Look, PhotoCard, sentence
from facerec.recognise.trial.threshold_card import ThresholdCard
from facerec.recognise.trial.worker import Worker

NO_GALLERY = (
    "Start the page with gallery=FILE.npz to enrol people, and to search among them. Without it, nothing is kept."
)
_LONGEST_NAME = 100
_BEGIN = "Give a photograph: whom it shows will stand here"
_EMPTY = "Nobody is enrolled yet: give a photograph and a name."


class GalleryTab:
    """A photograph, the most similar people, and everybody who is enrolled.

    The file is read before each use, since other tabs and programs may write it.

    Args:
        recogniser: embeds the faces.
        file: of the gallery.
        worker: does what takes long.
        look: finds the faces.
        threshold: of the decision.
    """

    def __init__(
        self, recogniser: Recogniser, file: Path, worker: Worker, look: Look, threshold: ThresholdCard
    ) -> None:
        self._recogniser, self._file, self._worker, self._threshold = recogniser, file, worker, threshold
        self._found: Finding | None = None
        with ui.element("div").classes("pair"):
            with ui.element("div"):
                self._card = PhotoCard("A photograph", look, self._search)
                self._enrolment()
            with ui.element("div"):
                with ui.element("section").classes("card").props("aria-live=polite"):
                    ui.label("Who it is").classes("title")
                    self._answer = ui.label().classes("decision")
                    self._matches = ui.element("div").classes("rows")
                    self._reasons = ui.label().classes("quiet")
                self._people = ui.element("section").classes("card")
        self._question()
        self.decide()
        self._show_people(self._read())

    def _enrolment(self) -> None:
        with ui.element("section").classes("card"):
            ui.label("Enrol this face").classes("title")
            ui.label(f"Its embedding and the name are written to {self._file}. They are biometric data.").classes(
                "quiet"
            )
            with ui.row().classes("controls"):
                self._name = ui.input("Name").props(f"dense outlined maxlength={_LONGEST_NAME}").classes("grows")
                ui.button("Enrol", on_click=self._enrol).props("no-caps unelevated")
            self._problem = ui.label().classes("problem").props("role=alert")
            self._problem.visible = False

    def _read(self) -> Gallery:
        return self._recogniser.gallery(self._file, may_be_new=True)

    async def _search(self) -> None:
        """Look for the chosen face in the gallery."""
        photograph, face, threshold = self._card.photograph, self._card.face, self._threshold.chosen
        self._found, problem = None, ""
        if photograph is not None:
            search = self._recogniser.search
            try:
                self._found = await self._worker.do(lambda: search(self._read(), photograph, threshold, face))
            except InputError as error:
                problem = str(error)
        self.decide(problem)

    def decide(self, problem: str = "") -> None:
        """Show whom the photograph shows, at the threshold as it is now, or the ``problem``."""
        found = None if self._found is None else replace(self._found, threshold=self._threshold.chosen)
        self._answer.visible = found is not None
        self._reasons.text = sentence(problem or _BEGIN if found is None else found.reasons())
        self._matches.clear()
        if found is not None:
            self._answer.text = found.person or "Nobody"
            self._answer.classes(replace="decision same" if found.person else "decision other")
            with self._matches:
                _show_matches(found)

    async def _enrol(self) -> None:
        try:
            name, photograph = (self._name.value or "").strip(), self._card.photograph
            if not name or photograph is None:
                raise InputError("a photograph with a face and a name are needed: give both")
            embedding = await self._worker.do(lambda: self._recogniser.embed(photograph, self._card.face))
            await self._change(lambda old: _enrolled(old, name, photograph.name, embedding))
            self._name.value = ""  # the next face is another person's
        except InputError as error:
            self._say(str(error))

    async def _change(self, change: Callable[[Gallery], Gallery]) -> None:
        """Write the gallery that ``change`` makes of the present one, and show it."""

        def work() -> Gallery:
            changed = change(self._read())
            changed.write(self._file)
            return changed

        self._show_people(await self._worker.do(work))
        self._say("")
        await self._search()

    def _say(self, problem: str) -> None:
        self._problem.text, self._problem.visible = sentence(problem), bool(problem)

    def _question(self) -> None:
        with ui.dialog() as self._dialog, ui.card():
            self._asked = ui.label()
            with ui.row():
                sure = ui.button("Remove", on_click=lambda: self._dialog.submit(True))
                sure.props("no-caps unelevated color=negative")
                ui.button("Keep", on_click=lambda: self._dialog.submit(False)).props("no-caps flat")

    async def _remove(self, person: str) -> None:
        self._asked.text = f"Remove {person} from the gallery? The embeddings are deleted from the file."
        if await self._dialog:
            await self._change(lambda old: old.without(person))

    def _show_people(self, gallery: Gallery) -> None:
        counts = Counter(gallery.people.tolist())
        self._people.clear()
        with self._people:
            ui.label(f"Enrolled: {len(counts)}").classes("title")
            if not counts:
                ui.label(_EMPTY).classes("quiet")
            with ui.element("div").classes("rows people"):
                for person in gallery.names:
                    ui.label(person).classes("name")
                    ui.label(f"{counts[person]} picture{'s' * (counts[person] > 1)}").classes("quiet")
                    remove = ui.button(icon="delete", on_click=partial(self._remove, person))
                    remove.props("flat dense round size=sm").props["aria-label"] = f"Remove {person}"


def _enrolled(old: Gallery, person: str, photo: str, embedding: np.ndarray) -> Gallery:
    """Return the gallery with one more picture; `InputError` if the person has one of that name."""
    if ((old.people == person) & (old.photos == photo)).any():
        raise InputError(f"{person} has a picture {photo} already: rename the file to enrol another one")
    return old.with_faces(person, [photo], embedding[None])


def _show_matches(found: Finding) -> None:
    for name in ("Person", "Cosine", "Squared distance"):
        ui.label(name).classes("quiet")
    for match in found.matches:
        is_above = "above" if match.cosine > found.threshold.cosine else "below"
        ui.label(match.person).classes(f"name {is_above}")
        ui.label(f"{match.cosine:.4f}").classes(is_above)
        ui.label(f"{2 - 2 * match.cosine:.4f}").classes(is_above)
