"""The tab that compares two photographs."""

from dataclasses import replace

from nicegui import ui

from facerec.errors import InputError
from facerec.recognise.recogniser import Comparison, Recogniser
from facerec.recognise.trial.photo_card import Look, PhotoCard, sentence
from facerec.recognise.trial.threshold_card import ThresholdCard
from facerec.recognise.trial.worker import Worker

_BEGIN = "Give two photographs: whether they show the same person will stand here"


class CompareTab:
    """Two photographs, the score and the decision.

    Args:
        recogniser: compares the faces.
        worker: does what takes long.
        look: finds the faces.
        threshold: of the decision.
    """

    def __init__(self, recogniser: Recogniser, worker: Worker, look: Look, threshold: ThresholdCard) -> None:
        self._recogniser, self._worker, self._threshold = recogniser, worker, threshold
        self._found: Comparison | None = None
        with ui.element("div").classes("pair"):
            self._cards = [PhotoCard(f"{which} photograph", look, self._compare) for which in ("First", "Second")]
        with ui.element("section").classes("card").props("aria-live=polite"):
            self._decision = ui.label().classes("decision")
            self._gauge = ui.html(sanitize=False).classes("full")
            self._reasons = ui.label().classes("quiet")
        self.decide()

    async def _compare(self) -> None:
        """Compare the chosen faces."""
        one, other = (card.photograph for card in self._cards)
        first, second = (card.face for card in self._cards)
        self._found, problem = None, ""
        if one is not None and other is not None:
            threshold, compare = self._threshold.chosen, self._recogniser.compare
            try:
                self._found = await self._worker.do(lambda: compare(one, other, threshold, (first, second)))
            except InputError as error:
                problem = str(error)
        self.decide(problem)

    def decide(self, problem: str = "") -> None:
        """Show the decision at the threshold as it is now, or the ``problem``."""
        found = None if self._found is None else replace(self._found, threshold=self._threshold.chosen)
        said = problem or _BEGIN if found is None else found.sentence()
        decision, _, reasons = said.partition(": ") if found else ("", "", said)
        self._decision.text, self._reasons.text = decision.capitalize(), sentence(reasons)
        self._decision.classes(replace="decision" if found is None else f"decision {_side(found)}")
        self._decision.visible = self._gauge.visible = found is not None
        self._gauge.content = "" if found is None else gauge(found)


def _side(found: Comparison) -> str:
    return "same" if found.same_person else "other"


def gauge(found: Comparison) -> str:
    """Return a picture of the cosine beside the threshold, on a line from -1, or 0 if both are above it, to 1."""
    cosines = (found.cosine, found.threshold.cosine)
    least = -1 if min(cosines) < 0 else 0
    score, threshold = (20 + 320 * (cosine - least) / (1 - least) for cosine in cosines)
    return (
        '<svg viewBox="0 0 360 68" role="img" aria-label="cosine and threshold" class="gauge">'
        '<line x1="20" x2="340" y1="36" y2="36" class="track"/>'
        f'<text x="0" y="40">{least}</text><text x="360" y="40" class="end">1</text>'
        f'<line x1="{threshold:.1f}" x2="{threshold:.1f}" y1="26" y2="46" class="tick"/>'
        f'<text x="{min(max(threshold, 50), 310):.1f}" y="62" class="middle">threshold</text>'
        f'<circle cx="{score:.1f}" cy="36" r="6" class="{_side(found)}"/>'
        f'<text x="{min(max(score, 60), 300):.1f}" y="18" class="middle score">cosine {found.cosine:.4f}</text></svg>'
    )
