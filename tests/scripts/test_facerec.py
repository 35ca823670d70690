"""The one program over all commands."""

import subprocess
import sys
import tomllib

import pytest
from running import ROOT
from says import every, says

from facerec.commands.main import COMMANDS, main


def test_help_lists_every_command_in_a_line(capsys):
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(COMMANDS) and all(len(line.split()) > 2 for line in lines)


def test_the_version_is_that_of_the_package(capsys):
    assert main(["--version"]) == 0
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert capsys.readouterr().out.split() == ["facerec", project["version"]]


def test_without_a_command_it_says_what_there_is_with_status_1(capsys):
    assert main([]) == 1 and "evaluate" in capsys.readouterr().out
    assert main(["evalute"]) == 1 and says(capsys.readouterr().err, "'evalute'", "'evaluate'")


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("evaluate", ["checkpoint=", "model=", "form=training|deployed", "image_size=", "roc=", "affine_strength="]),
        ("export", ["checkpoint=", "format=onnx|torchscript|pt2", "output=", "int8=true|false", "tolerance="]),
        ("sensitivity", ["transforms=A,B,... to study (rotation,shear,scale,translation)", "strengths="]),
        ("recordio", ["[rec=]PATH", "records=", "list=", "force="]),
        ("filter_frontal", ["min_images=NUMBER leave out identities with fewer images left (1)", "classifier="]),
        ("check_data", ["Exit status 1 when a finding is an error", "checkpoint=", "out="]),
    ],
)
def test_help_names_every_setting_with_its_default(name, facts, capsys):
    assert main([name, "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert [fact for fact in facts if fact not in said] == []


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "train"])
def test_help_is_there_for_every_command(name, capsys):
    assert main([name, "-h"]) == 0
    assert "ettings" in capsys.readouterr().out or name in ("recordio", "prepare_benchmark")


SLOW = ("torch", "cv2", "matplotlib", "scipy", "sklearn", "pytorch_lightning")


def test_help_and_wrong_settings_import_nothing_slow():
    """Of every command: its help, a misspelt setting, and a value that is none."""
    words = [[name] for name in COMMANDS if name not in ("train", "recordio", "prepare_benchmark")]
    words += [["report", "compare"], ["report", "html"], ["recordio", "build"], ["prepare_benchmark", "cfp_ff"]]
    calls = [["evaluate", "-h"], ["evaluate", "checkpoint=a", "form=fast"], *([*word, "chekpoint=a"] for word in words)]
    lines = [
        "from facerec.commands.main import main; import sys",
        f"status = [main(call) for call in {calls}]",
        f"sys.exit(status != [0] + [1] * {len(calls) - 1} or any(name in sys.modules for name in {SLOW}))",
    ]
    ended = subprocess.run([sys.executable, "-c", "\n".join(lines)], check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    said = ended.stderr.splitlines()
    assert len(said) == len(calls) - 1 and says(said[0], "form", "training or deployed", "'fast'")
    assert every("chekpoint=a" in line for line in said[1:])
