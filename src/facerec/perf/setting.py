"""The common setting of the networks of a case, with a batch size that fits this machine: a competitor that unfolds its
input needs twice the memory."""

import ctypes
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

# Peak memory of a training step of MobileNetV2 at 96 x 96, measured by `facerec.perf.memory`, in bytes per image and
# rounded up.
_LEAN = {0.1: 10e6, 1.0: 26e6}
_UNFOLDED = {0.1: 33e6, 1.0: 112e6}
# Usable fraction of the free memory: freed memory is kept for the next step, alternating contenders fragment it, and
# three of them needed 1.3 times the largest peak and more.
_FRACTION = 0.5


@dataclass(frozen=True)
class Setting:
    """Width of MobileNetV2, batch size, and side of its square images in pixels."""

    width: float
    batch: int
    side: int = 96

    def __str__(self) -> str:
        return f"MobileNetV2 x{self.width}, {self.side} x {self.side}, batch {self.batch}"


def fitting(setting: Setting, unfolds: bool) -> Setting:
    """Halve the batch size of ``setting`` until a training step fits into the free memory; if ``unfolds``, also a step
    of the published implementation."""
    per_image = (_UNFOLDED if unfolds else _LEAN)[setting.width]
    batch, available = setting.batch, _FRACTION * free_bytes()
    while batch > 2 and batch * per_image > available:
        batch //= 2
    return replace(setting, batch=batch)


def note_on(wanted: Setting, setting: Setting) -> str:
    """Explain a batch that is smaller than ``wanted``; empty if it is not."""
    if setting == wanted:
        return ""
    return (
        f"batch {setting.batch}, since {wanted.batch} images do not fit the {free_bytes() / 1e9:.0f} GB that are free"
    )


def free_bytes() -> int:
    """Return the memory that Linux could give to a process now; on other systems, half of the physical memory."""
    _give_back()
    table = Path("/proc/meminfo")
    if table.is_file():
        (line,) = (line for line in table.read_text().splitlines() if line.startswith("MemAvailable"))
        return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _give_back() -> None:
    """Return memory to the system that earlier cases have freed and the C library keeps, see `facerec.process`."""
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim"):
        ctypes.CDLL(None).malloc_trim(0)
