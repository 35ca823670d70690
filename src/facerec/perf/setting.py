"""What the networks of a case have in common, with a batch that fits this machine: a competitor that unfolds its input
needs twice the memory."""

import ctypes
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

# The peak of a training step of MobileNetV2 at 96 x 96, measured by `facerec.perf.memory`, in bytes an image and
# rounded up.
_LEAN = {0.1: 20e6, 1.0: 62e6}
_UNFOLDED = {0.1: 33e6, 1.0: 112e6}
# Of the free memory: freed memory is kept for the next step, contenders that take turns leave holes in it, and three of
# them were seen to need 1.3 times the largest peak and more.
_SHARE = 0.5


@dataclass(frozen=True)
class Setting:
    """Of MobileNetV2 and its square images."""

    width: float
    batch: int
    side: int = 96

    def __str__(self) -> str:
        return f"MobileNetV2 x{self.width}, {self.side} x {self.side}, batch {self.batch}"


def fitting(setting: Setting, unfolds: bool) -> Setting:
    """``setting`` with its batch halved until a training step fits the memory that is free; ``unfolds``: that of the
    published form too."""
    an_image = (_UNFOLDED if unfolds else _LEAN)[setting.width]
    batch, available = setting.batch, _SHARE * free_bytes()
    while batch > 2 and batch * an_image > available:
        batch //= 2
    return replace(setting, batch=batch)


def note_on(wanted: Setting, setting: Setting) -> str:
    """What a reader must know of a smaller batch."""
    if setting == wanted:
        return ""
    return (
        f"batch {setting.batch}, since {wanted.batch} images do not fit the {free_bytes() / 1e9:.0f} GB that are free"
    )


def free_bytes() -> int:
    """What Linux could give to a process now; elsewhere, half of what there is."""
    _give_back()
    table = Path("/proc/meminfo")
    if table.is_file():
        (line,) = (line for line in table.read_text().splitlines() if line.startswith("MemAvailable"))
        return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _give_back() -> None:
    """What earlier cases have freed and the C library keeps, see `facerec.process`."""
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim"):
        ctypes.CDLL(None).malloc_trim(0)
