"""Running machine code on the threads that PyTorch computes with.

The threads of a separate pool would compete with PyTorch's, which spin on all cores after each operation while they
wait for the next one. PyTorch's wheels for Linux use GNU OpenMP, where a plain function starts a parallel region.
Elsewhere a pool of Python threads is used; the machine code itself needs no interpreter.
"""

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from pathlib import Path

import torch

_Task = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def run_on_threads(address: int, argument: int, threads: int) -> None:
    """Call ``void f(void *)`` at ``address`` with ``argument`` on ``threads`` threads at once."""
    if threads <= 1:
        _Task(address)(argument)
    else:
        _parallel_region()(address, argument, threads)


@cache
def _parallel_region() -> Callable[[int, int, int], None]:
    folder = Path(torch.__file__).parent / "lib"
    # PyTorch as built by a Linux distribution uses the system's library, which is the second name.
    for library in [*map(str, folder.glob("libgomp*")), "libgomp.so.1"]:
        try:
            return _of_openmp(ctypes.CDLL(library))
        except (OSError, AttributeError):
            continue
    return _of_python()


def _of_openmp(library: ctypes.CDLL) -> Callable[[int, int, int], None]:
    start = library.GOMP_parallel
    start.restype, start.argtypes = None, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    return lambda address, argument, threads: start(address, argument, threads, 0)


def _of_python() -> Callable[[int, int, int], None]:
    pool = ThreadPoolExecutor(thread_name_prefix="facerec-kernel")

    def run(address: int, argument: int, threads: int) -> None:
        task = _Task(address)
        helpers = [pool.submit(task, argument) for _ in range(threads - 1)]
        try:
            task(argument)
        finally:
            wait(helpers)  # the argument must stay in memory as long as they read it

    return run
