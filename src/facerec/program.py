"""How a program of the project ends when it is told to: a program imports this first, and it imports nothing slow."""

import logging
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM  # as a shell counts


def run(main: Callable[[list[str]], int]) -> NoReturn:
    """End the process with the exit status that ``main`` gives for the command line's arguments.

    Ctrl-C that ``main`` has no words for is said in one sentence, with status 130. SIGTERM unwinds ``main`` as
    `SystemExit` does, so that temporary files go, with status 143. When the reader of the output has seen enough, as
    ``head`` has, the program ends silently with status 1; what is written to a closed stream goes nowhere.
    """
    _open_closed_streams()
    logging.raiseExceptions = False  # a message that nobody can read any more is no traceback either
    if signal.getsignal(signal.SIGINT) is _end_imports:  # Ctrl-C may be ignored, as in the background of a shell script
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        try:
            status = main(sys.argv[1:])
        finally:
            sys.stdout.flush()
    except (KeyboardInterrupt, SystemExit, ImportError) as ended:
        if not is_interrupt(ended):
            raise
        print("interrupted", file=sys.stderr)
        status = INTERRUPTED
    except BrokenPipeError:
        if not reader_is_gone():
            raise
        status = 1
    sys.exit(status)


def is_interrupt(ended: BaseException) -> bool:
    """Ctrl-C, also as what Lightning, status 1, or a compiled module that was being imported made of it."""
    if isinstance(ended, SystemExit) and ended.code != 1:
        return False
    return isinstance(ended, KeyboardInterrupt) or isinstance(ended.__cause__ or ended.__context__, KeyboardInterrupt)


@contextmanager
def importing() -> Iterator[None]:
    """Ctrl-C ends the process at once inside, and says nothing: nothing has begun (`_end_imports`)."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _open_closed_streams() -> None:
    """Python has None for a stream that the shell's ``>&-`` closed."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))


def _terminate(*_: Any) -> None:
    # PyTorch's handler would raise for a loading process that was told to end as well, in place of what is raised here.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    sys.exit(TERMINATED)


def reader_is_gone() -> bool:
    """Whether nobody reads standard output or error any more; what is still to be written there is then dropped."""
    gone = [stream.fileno() for stream in (sys.stdout, sys.stderr) if _is_closed_pipe(stream.fileno())]
    for descriptor in gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    return bool(gone)


def _is_closed_pipe(descriptor: int) -> bool:
    watch = select.poll()
    watch.register(descriptor, 0)  # an error or a hang-up is told unasked
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in watch.poll(0))


def _end_imports(*interrupt: Any) -> None:
    """Ctrl-C between the import of this module and `run`: nothing has begun, so there is nothing to say.

    Not as an exception: half of an import is tried again by NumPy and others, and ends in errors of their own.
    """
    program = sys.modules["__main__"]
    if program.__name__ == "__main__" and getattr(program, "run", None) is run:
        os._exit(INTERRUPTED)
    signal.default_int_handler(*interrupt)  # this module was imported by something else, such as a test


if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _end_imports)
