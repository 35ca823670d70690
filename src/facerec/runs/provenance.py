"""The provenance of a run: command, configuration, code and environment."""

import hashlib
import json
import platform
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from facerec.files import replacing, write_json

_CODE = Path(__file__).parent


def write_settings(folder: Path, cfg: DictConfig, made_by: dict[str, Any]) -> None:
    """Write config.yaml and run.json to a run's ``folder`` before its first step."""
    with replacing(folder / "config.yaml") as partial:
        OmegaConf.save(cfg, partial, resolve=True)
    write_json(folder / "run.json", made_by)


def provenance(overrides: list[str], config: dict[str, Any], teacher: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return start time, command, fingerprint of the configuration, teacher, code and environment, to reproduce a run.

    ``teacher`` is what `facerec.data.teacher.Teacher.described` returns.
    """
    return {
        "started": datetime.now().isoformat(timespec="seconds"),
        "command": " ".join(["train.py", *overrides]),
        "config_fingerprint": hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16],
        "teacher": teacher,
        **code_and_environment(),
    }


def code_and_environment() -> dict[str, Any]:
    """Return the Git commit of the code, and versions, platform, device and threads."""
    return {
        "git_commit": commit_of(_CODE),
        "git_dirty": bool(_git(_CODE, "status", "--porcelain", "--untracked-files=no")),
        "environment": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),  # a subclass of str, which weights-only loading refuses
            "platform": platform.platform(),
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or "cpu",
            "threads": torch.get_num_threads(),
        },
    }


def commit_of(folder: Path) -> str | None:
    """Return the commit that is checked out in ``folder``, or None if there is none, or no Git."""
    return _git(folder, "rev-parse", "HEAD")


def _git(folder: Path, *arguments: str) -> str | None:
    """Return the output of Git in ``folder``, or None outside a checkout or without Git."""
    try:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
