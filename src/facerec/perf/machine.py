"""The machine and the software versions of a measurement."""

import platform
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import torch

from facerec.process import available_cores
from facerec.runs.provenance import code_and_environment


@dataclass(frozen=True)
class Machine:
    """Hardware and versions. ``cores`` counts those that this process may use; ``commit`` ends in "+" if the code has
    uncommitted changes."""

    cpu: str
    cores: int
    threads: int
    torch: str
    onednn: str | None
    commit: str | None
    date: str

    def __str__(self) -> str:
        onednn = f"oneDNN {self.onednn}" if self.onednn else "no oneDNN"
        commit = f"commit {self.commit}" if self.commit else "no commit"
        return (
            f"{self.cpu}, {self.cores} cores, {self.threads} threads, torch {self.torch}, {onednn}, {commit}, "
            f"{self.date}"
        )


def describe_machine() -> Machine:
    """Describe the machine and the environment of this process."""
    code = code_and_environment()
    commit = code["git_commit"] and code["git_commit"][:12] + ("+" if code["git_dirty"] else "")
    return Machine(
        cpu=_cpu_model(),
        cores=available_cores(),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        onednn=_onednn_version() if torch.backends.mkldnn.is_available() else None,
        commit=commit,
        date=f"{datetime.now():%Y-%m-%d}",
    )


def _cpu_model() -> str:
    table = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.*)$", table.read_text(), re.MULTILINE) if table.is_file() else []
    return names[0] if names else platform.processor() or platform.machine()


def _onednn_version() -> str:
    (version,) = re.findall(r"MKL-DNN v([\d.]+)", torch.__config__.show()) or ("of unknown version",)
    return version
