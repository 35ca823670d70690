"""Calls in a process of their own: what crashes there, hangs or takes gigabytes does no harm here."""

import os
import resource
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from forked_program import CONTEXT

from facerec.errors import InputError


class Limited:
    """Calls functions of modules in a process that is kept from call to call, and replaced when it has ended.

    Args:
        seconds: after which a call is a `TimeoutError`.
        memory: bytes that a call may ask for beyond what the process has; after that it gets a `MemoryError`.
    """

    def __init__(self, seconds: float = 60, memory: int = 1_500_000_000) -> None:
        self.seconds, self.memory = seconds, memory
        self._process: Any = None

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what the function returns, and raise an `InputError` that it raises; all else is a `RuntimeError`."""
        if self._process is None or not self._process.is_alive():
            self._pipe, theirs = CONTEXT.Pipe()
            self._process = CONTEXT.Process(target=_serve, args=(theirs, self.memory), daemon=True)
            self._process.start()
            theirs.close()
        self._pipe.send((function, arguments))
        if not self._pipe.poll(self.seconds):
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.join()
            raise TimeoutError(f"not ended after {self.seconds} s")
        try:
            kind, found = self._pipe.recv()
        except EOFError as error:
            self._process.join()
            raise RuntimeError(f"the process ended with {self._process.exitcode}") from error
        if kind == "returned":
            return found
        raise (InputError if kind == "refused" else RuntimeError)(found)


def _serve(pipe: Connection, memory: int) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    while True:
        function, arguments = pipe.recv()
        allow_memory(memory)
        try:
            answer = "returned", function(*arguments)
        except InputError as error:
            answer = "refused", str(error)
        except BaseException as error:
            answer = "failed", _where(error)
        allow_memory(None)
        pipe.send(answer)


def allow_memory(memory: int | None) -> None:
    """Let this process ask for so many more bytes than it has, or for all."""
    pages = int(open("/proc/self/statm").read().split()[0])  # noqa: SIM115 - it may be all that memory is left for
    limit = resource.RLIM_INFINITY if memory is None else pages * os.sysconf("SC_PAGE_SIZE") + memory
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "" if trace is None else f" ({trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno})"
    return f"{type(error).__name__}: {error}{place}"
