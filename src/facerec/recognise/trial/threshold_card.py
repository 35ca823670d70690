"""The threshold, which a person moves, and the error rates that follow it."""

from collections.abc import Callable
from functools import partial

from nicegui import events, ui

from facerec.recognise.recogniser import DEFAULT_FMR, Recogniser, Threshold, rate_in_words
from facerec.verification.error_rates import ErrorRates

_UNMEASURED = 0.5
_MEANS = {
    "False match rate (FMR)": "of the pairs of two people are taken for one person",
    "False non-match rate (FNMR)": "of the pairs of one person are taken for two people",
}


class ThresholdCard:
    """Lets a person choose a cosine.

    Attributes:
        chosen: the threshold, with its error rates.

    Args:
        recogniser: knows the rates of its network.
        changed: is called after the threshold has moved.
    """

    def __init__(self, recogniser: Recogniser, changed: Callable[[], None]) -> None:
        self._recogniser, self._changed = recogniser, changed
        rates = recogniser.network.rates
        self.chosen = start(recogniser)
        with ui.element("section").classes("card"):
            ui.label("Threshold").classes("title")
            ui.label("Two faces are of one person if the cosine of their embeddings is above it.").classes("quiet")
            self._controls()
            if isinstance(rates, ErrorRates):
                self._presets(rates)
            with ui.element("div").classes("figures"):
                self._figures = [self._figure(name, meaning) for name, meaning in _MEANS.items()]
            ui.label(source(rates)).classes("quiet")
        self._show()

    def _controls(self) -> None:
        least, value = -1 if self.chosen.cosine < 0 else 0, round(self.chosen.cosine, 4)
        with ui.row().classes("controls"):
            slider = ui.slider(min=least, max=1, step=0.001, value=value, on_change=self._move)
            slider.props('label aria-label="threshold"')
            number = ui.number(min=least, max=1, step=0.01, format="%.4f").props(
                'dense outlined aria-label="threshold"'
            )
            number.bind_value(slider)
            self._slider = slider

    def _presets(self, rates: ErrorRates) -> None:
        with ui.row().classes("presets"):
            for fmr in sorted(rates.at_fmr, key=float, reverse=True):
                place = self._recogniser.threshold(fmr=fmr).cosine
                preset = ui.button(f"FMR {fmr}", on_click=partial(self._slider.set_value, place))
                preset.props("flat dense no-caps")

    def _figure(self, name: str, meaning: str) -> ui.label:
        with ui.element("div"):
            ui.label(name).classes("quiet")
            value = ui.label().classes("value")
            ui.label(meaning).classes("quiet")
        return value

    def _move(self, event: events.ValueChangeEventArguments) -> None:
        if event.value is not None:
            self.chosen = self._recogniser.threshold(float(event.value))
            self._show()
            self._changed()

    def _show(self) -> None:
        for label, text in zip(self._figures, in_words(self.chosen), strict=True):
            label.text = text


def start(recogniser: Recogniser) -> Threshold:
    """Return the threshold to begin with: at the usual FMR, or the nearest one that was measured, or a guess."""
    rates = recogniser.network.rates
    if isinstance(rates, str) or not rates.at_fmr:
        return recogniser.threshold(_UNMEASURED)
    return recogniser.threshold(fmr=DEFAULT_FMR if DEFAULT_FMR in rates.at_fmr else min(rates.at_fmr, key=float))


def in_words(threshold: Threshold) -> tuple[str, str]:
    """Return FMR and FNMR."""
    if threshold.rates is None or threshold.fmr is None or threshold.fnmr is None:
        return "not measured", "not measured"
    on = threshold.rates.chosen_on
    return rate_in_words(threshold.fmr, on["non_mated_pairs"]), rate_in_words(threshold.fnmr, on["mated_pairs"])


def source(rates: ErrorRates | str) -> str:
    """Return where the rates come from, or why there are none, as a sentence."""
    if isinstance(rates, str):
        return f"Not measured: {rates}."
    on = rates.chosen_on
    return (
        f"Measured on {on['name']}: {on['images']:,} images of {on['people']:,} people, {on['mated_pairs']:,} pairs of "
        f"one person and {on['non_mated_pairs']:,} of two. The rates hold for photographs like those."
    )
