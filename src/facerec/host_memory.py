"""Keep the host's memory between steps."""

import ctypes
import sys

import torch

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def keep_freed_memory() -> None:
    """Let the C library keep what a step frees for the next step. Call it once, before anything large is allocated.

    By default glibc maps every large tensor afresh and gives it back when it is freed, so that each step pays a page
    fault for every 4 KiB that it writes; training a small network on the CPU spends more time there than on arithmetic.
    Other C libraries are left as they are.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(_M_MMAP_MAX, 0)
            libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    # Deterministic mode would fill every fresh tensor with NaN first, in case somebody reads what nobody wrote.
    torch.utils.deterministic.fill_uninitialized_memory = False
