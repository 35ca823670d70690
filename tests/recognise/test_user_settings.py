"""The detector, named once for all commands."""

from pathlib import Path

import pytest
from image_files import write_text
from says import refuses

from facerec.errors import InputError
from facerec.recognise.user_settings import chosen_detector, settings_file


@pytest.fixture
def file(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "facerec" / "settings.yaml"


def test_the_file_is_asked_if_the_line_says_nothing(file, monkeypatch):
    with refuses("detector=FILE", str(file), "YuNet", "aligned=true", error=InputError):
        chosen_detector(None)
    write_text(file, "# mine\ndetector: ~/yunet.onnx\n")
    monkeypatch.setenv("HOME", "/home/ann")
    assert chosen_detector(None) == Path("/home/ann/yunet.onnx") and chosen_detector(Path("b")) == Path("b")


def test_it_is_in_the_folder_for_settings(monkeypatch):
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/ann")
    assert settings_file() == Path("/home/ann/.config/facerec/settings.yaml")


@pytest.mark.parametrize(
    ("text", "fact"),
    [("detektor: a", "'detector'"), ("- a", "KEY: FILE"), ("detector: 3", "KEY: FILE"), ("a: [", "cannot be read")],
)
def test_a_mistake_in_it_is_said(text, fact, file):
    write_text(file, text)
    with refuses(str(file), fact, error=InputError):
        chosen_detector(None)
