"""The settings that a person makes once for all commands: ``facerec/settings.yaml`` in ``~/.config``."""

import os
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from facerec.errors import InputError, suggestion
from facerec.files import in_home, refuse_no_regular_file

_KEYS = ("detector",)
NO_DETECTOR = (
    "no detector given, which finds the faces: add detector=FILE, a face_detection_yunet_*.onnx of OpenCV's model zoo, "
    "or write the line detector: FILE into {file} once, or give aligned=true for images of aligned faces"
)


def settings_file() -> Path:
    """Return the path of the file, in ``$XDG_CONFIG_HOME`` if that is set."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or in_home("~/.config"), "facerec", "settings.yaml")


def chosen_detector(given: Path | None) -> Path:
    """Return the detector that is ``given``, or else the one in the settings file; `InputError` without one."""
    if given is not None:
        return given
    file = settings_file()
    found = _read(file) if file.exists() else {}
    if "detector" not in found:
        raise InputError(NO_DETECTOR.format(file=file))
    return Path(in_home(found["detector"]))


def _read(file: Path) -> dict[str, str]:
    refuse_no_regular_file(file)
    try:
        content = OmegaConf.load(file)
        found = OmegaConf.to_container(content, resolve=False) if isinstance(content, DictConfig) else None
    except (OSError, OmegaConfBaseException, YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"settings file {file} cannot be read: write a line detector: FILE") from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise InputError(f"settings file {file} is no list of lines KEY: FILE: write a line detector: FILE")
    unknown = [str(key) for key in found if key not in _KEYS]
    if unknown:
        raise InputError(f"settings file {file} has an unknown key {unknown[0]!r}; {suggestion(unknown[0], _KEYS)}")
    return {str(key): str(value) for key, value in found.items()}
