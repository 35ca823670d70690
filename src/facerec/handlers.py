"""What a process does when it is told to end, and with errors that Python passes on to nobody.

Importing this module changes nothing; `facerec.process.run` installs it.
"""

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, NoReturn

from facerec.errors import of_system

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM  # as a shell counts
SECONDS = 30.0  # for Python's own end
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
        _after(_AGAIN, _send, signal.SIGINT)
    elif isinstance(ended, SystemExit) and ended.code == TERMINATED:
        _after(_AGAIN, _send, signal.SIGTERM)
    else:
        sys.__unraisablehook__(error)


def _send(number: int) -> None:
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)  # it may be waiting for something
    else:
        signal.raise_signal(number)


def _terminate(*_: Any) -> None:
    let_workers_end()
    sys.exit(TERMINATED)


def end_soon(status: int) -> None:
    """End a process that was told to with ``status``: at once if it is connected to those of other devices, else when
    Python does, or after `SECONDS`.

    The exception of a signal may have met a lock between its acquisition and its release, and a thread waits for it.
    """
    if is_connected():
        _leave(status)
    _after(SECONDS, os._exit, status)


def is_connected() -> bool:
    """Whether this is one of several processes that train one run, which have found each other."""
    distributed = sys.modules.get("torch.distributed")
    return distributed is not None and distributed.is_available() and distributed.is_initialized()


def _leave(status: int) -> NoReturn:
    """End without ending the connection to the others: they may be gone, and then the library's threads end the process
    by SIGABRT. The operating system closes it."""
    lightning = sys.modules.get("lightning_fabric.utilities.distributed")
    if lightning is not None:
        atexit.unregister(lightning._destroy_dist_connection)
    atexit._run_exitfuncs()  # temporary files are removed
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # nobody reads it any more
            stream.flush()
    os._exit(status)


def _after(seconds: float, call: Callable[[int], object], number: int) -> None:
    timer = threading.Timer(seconds, call, (number,))
    timer.daemon = True
    timer.start()


def let_workers_end() -> None:
    """Leave the end of a loading process unsaid: PyTorch's handler raises for one that was told to end as well."""
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, lambda *_: None)  # the default would complain of one that is on its way
