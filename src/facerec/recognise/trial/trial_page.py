"""The page: two tabs, and the threshold of both."""

from pathlib import Path

from nicegui import ui

from facerec.recognise.recogniser import Recogniser
from facerec.recognise.trial.compare_tab import CompareTab
from facerec.recognise.trial.gallery_tab import NO_GALLERY, GalleryTab
from facerec.recognise.trial.photo_card import Shown, shown
from facerec.recognise.trial.threshold_card import ThresholdCard
from facerec.recognise.trial.worker import Worker

_LEAD = "Photographs stay on this machine, and nothing is kept unless the page was started with a gallery."
_WARNINGS = (
    "This is not a liveness check: a printed photograph, or a screen, is a face like any other.",
    "Embeddings of people are biometric data: get consent before you enrol somebody.",
)
_FAILED = "This failed, and the terminal says why: reload the page."


def trial_page(recogniser: Recogniser, gallery: Path | None, worker: Worker) -> None:
    """Build the page of one visitor.

    Args:
        recogniser: finds and compares the faces.
        gallery: the file of the people; None if nobody is enrolled.
        worker: does what takes long.
    """

    async def look(data: bytes, name: str) -> Shown:
        return await worker.do(lambda: shown(recogniser.look(data, name)))

    def decide() -> None:
        for tab in tabs:
            tab.decide()

    ui.colors(primary="#1f5fa8")
    ui.add_css(Path(__file__).with_name("trial_page.css").read_text(encoding="utf-8"))
    ui.on_exception(lambda: ui.notify(_FAILED, type="negative"))
    with ui.element("main"):
        _head(recogniser)
        panels = _panels("Compare", "Gallery")
        threshold = ThresholdCard(recogniser, decide)
    with panels["Compare"]:
        tabs: list[CompareTab | GalleryTab] = [CompareTab(recogniser, worker, look, threshold)]
    with panels["Gallery"]:
        if gallery is None:
            with ui.element("section").classes("card"):
                ui.label(NO_GALLERY)
        else:
            tabs.append(GalleryTab(recogniser, gallery, worker, look, threshold))


def _head(recogniser: Recogniser) -> None:
    with ui.element("header"):
        ui.html("<h1>The same person?</h1>", sanitize=False)
        ui.label(_LEAD)
        ui.label(f"Model: {recogniser.network.name}").classes("quiet")
        with ui.element("div").classes("warnings"):
            for warning in _WARNINGS:
                with ui.element("div"):
                    ui.icon("warning_amber")
                    ui.label(warning)


def _panels(*names: str) -> dict[str, ui.tab_panel]:
    with ui.tabs().props("no-caps align=left") as tabs:
        for name in names:
            ui.tab(name)
    with ui.tab_panels(tabs, value=names[0], animated=False).props("keep-alive").classes("full"):
        return {name: ui.tab_panel(name) for name in names}
