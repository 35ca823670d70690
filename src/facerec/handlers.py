"""What a process does when it is told to end, and with errors that Python passes on to nobody.

Importing this module changes nothing; `facerec.process.run` installs it.
"""

import os
import signal
import sys
import threading
from types import TracebackType
from typing import Any

from facerec.errors import of_system

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM  # as a shell counts
_AGAIN = 0.1  # seconds, in which a callback or a destructor has ended


def install() -> None:
    """Let SIGTERM unwind the program as `SystemExit` does, and say or leave unsaid as below."""
    signal.signal(signal.SIGTERM, _terminate)
    threading.excepthook = _thread_failed
    sys.excepthook, sys.unraisablehook = _failed, _dropped


def _failed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not _is_left_behind():
        sys.__excepthook__(kind, error, trace)


def _is_left_behind() -> bool:
    """Whether this is a loading process, of a program that is no more."""
    processes = sys.modules.get("multiprocessing.process")
    parent = None if processes is None else processes.parent_process()
    return parent is not None and not parent.is_alive()


def _thread_failed(thread: threading.ExceptHookArgs) -> None:
    if _is_left_behind():
        return
    sentence = of_system(thread.exc_value) if isinstance(thread.exc_value, OSError) else None
    if sentence is None:
        threading.__excepthook__(thread)
    else:
        print(sentence, file=sys.stderr, flush=True)


def _dropped(error: "sys.UnraisableHookArgs") -> None:
    """Send the signal again whose exception nobody will see; other errors are told as Python does."""
    ended = error.exc_value
    if isinstance(ended, KeyboardInterrupt):
        _send_soon(signal.SIGINT)
    elif isinstance(ended, SystemExit) and ended.code == TERMINATED:
        _send_soon(signal.SIGTERM)
    else:
        sys.__unraisablehook__(error)


def _send_soon(number: int) -> None:
    timer = threading.Timer(_AGAIN, _send, (number,))
    timer.daemon = True
    timer.start()


def _send(number: int) -> None:
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)  # it may be waiting for something
    else:
        signal.raise_signal(number)


def _terminate(*_: Any) -> None:
    let_workers_end()
    sys.exit(TERMINATED)


def end_within(seconds: float, status: int) -> None:
    """End the process with ``status`` if Python's own end takes longer.

    The exception of a signal may have met a lock between its acquisition and its release, and a thread waits for it.
    """
    timer = threading.Timer(seconds, os._exit, (status,))
    timer.daemon = True
    timer.start()


def let_workers_end() -> None:
    """Leave the end of a loading process unsaid: PyTorch's handler raises for one that was told to end as well."""
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, lambda *_: None)  # the default would complain of one that is on its way
