"""Time to end in order when a process is told to end."""

import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Any

from facerec.console import log


class FirstSignal:
    """Notes the first SIGTERM or SIGINT, so that what runs can come to an end in order.

    The second one, and the end of the time that there is, do what the first would have done.

    Args:
        grace: how much time there is, in seconds; 0: none.

    Attributes:
        received: the signal; None before.
    """

    def __init__(self, grace: float) -> None:
        self._grace, self._before = grace, dict[int, Any]()
        self.received: int | None = None

    def catch(self) -> None:
        """Note signals from now on, those that something is done at."""
        if not self._grace:
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            if callable(signal.getsignal(number)):
                self._before[number] = signal.getsignal(number)
        with suppress(ValueError):  # not the main thread
            for number in self._before:
                signal.signal(number, self._note)

    def release(self) -> None:
        """Leave signals to those who had them before."""
        if self.received is not None and hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, before in self._before.items():
            with suppress(ValueError):
                signal.signal(number, before)

    def end(self) -> None:
        """End the process as the signal would have done; go on if there was none."""
        if self.received is not None:
            self._pass_on(self.received, None)
            sys.exit(128 + self.received)  # it was only noted

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            self._pass_on(number, frame)
            return
        self.received = number
        if hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, lambda *_: self.end())
            signal.setitimer(signal.ITIMER_REAL, self._grace)
        if number == signal.SIGINT:
            with suppress(RuntimeError):  # it is being written to at this moment
                log("ending after this step, with a checkpoint; Ctrl-C again ends at once")

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self.release()
        self._before[number](number, frame)
