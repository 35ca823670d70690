"""Lightning's trainer with the settings that this project adds to it."""

import inspect
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl

from facerec.training.callbacks.weight_average import EMA


class Trainer(pl.Trainer):
    """Lightning's `Trainer`, with one more argument.

    Args:
        callbacks: as Lightning's, in a list.
        ema: decay per step of the exponential moving average of the weights, which is verified and saved in place of
            the weights; None: no average.
        settings: as Lightning's.
    """

    def __init__(self, *, callbacks: Sequence[pl.Callback] = (), ema: float | None = None, **settings: Any) -> None:
        super().__init__(callbacks=[*callbacks, *([] if ema is None else [EMA(ema)])], **settings)


def _show_all_parameters(constructor: Any) -> None:
    """Let `inspect.signature` and type hints show Lightning's parameters too, by which settings are checked."""
    theirs, ours = inspect.signature(pl.Trainer.__init__), inspect.signature(constructor).parameters
    shown = {**theirs.parameters, **{name: p for name, p in ours.items() if p.kind is not p.VAR_KEYWORD}}
    constructor.__signature__ = theirs.replace(parameters=list(shown.values()))
    constructor.__annotations__ |= {**pl.Trainer.__init__.__annotations__, **constructor.__annotations__}


_show_all_parameters(Trainer.__init__)
