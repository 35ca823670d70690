"""How the programs of the project use the process that they run in."""

import ctypes
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def prepare_process() -> None:
    """Call it once, first: memory is kept between steps, and nothing is printed that the user cannot act on."""
    _keep_freed_memory()
    # PyTorch's profiler writes to standard error when it starts, and that a machine without a GPU has none.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    # Lightning meets a newer PyTorch, or says what is meant to be so.
    warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated")
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
    warnings.filterwarnings("ignore", message="The dirpath has changed from")
    warnings.filterwarnings("ignore", message="The number of training batches .* is smaller than the logging interval")
    warnings.filterwarnings("ignore", message=".*does not have many workers")
    warnings.filterwarnings("ignore", message="It is recommended to use `self.log.*sync_dist=True")
    warnings.filterwarnings("ignore", message="torch.distributed.nn.functional.all_gather is deprecated")


def _keep_freed_memory() -> None:
    """Let the C library keep what a step frees for the next step.

    By default glibc maps every large tensor afresh and gives it back when it is freed, so that each step pays a page
    fault for every 4 KiB that it writes; training a small network on the CPU spends more time there than on arithmetic.
    Other C libraries are left as they are.
    """
    _set_malloc({_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: -1})  # no tensor is mapped by itself, nothing is given back
    # Deterministic mode would fill every fresh tensor with NaN first, in case somebody reads what nobody wrote.
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]


@contextmanager
def freed_memory_given_back() -> Iterator[None]:
    """Inside, the C library does as it does by default: slower, and with no holes between what is kept."""
    _set_malloc({_M_MMAP_MAX: 65536, _M_TRIM_THRESHOLD: 128 << 10})
    try:
        yield
    finally:
        _keep_freed_memory()


def _set_malloc(options: dict[int, int]) -> None:
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            for option, value in options.items():
                libc.mallopt(option, value)
