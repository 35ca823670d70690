"""Training steps of a checkout beside today's."""

import subprocess

import pytest
from says import refuses

from facerec.errors import InputError
from facerec.perf import earlier
from facerec.perf.network_speed import DEPTHWISE
from facerec.perf.setting import Setting
from facerec.perf.timing import QUICK


def checkout(folder, network_speed):
    """A commit whose package has only what the program of the other process imports."""
    package = folder / "src" / "facerec"
    files = {
        "__init__.py": "",
        "process.py": "def prepare_process():\n    pass\n",
        "perf/__init__.py": "",
        "perf/network_speed.py": network_speed,
        "perf/setting.py": "def Setting(width, batch, side):\n    return width, batch, side\n",
    }
    for name, text in files.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "one"], check=True)
    return folder


STEPS = """
from pathlib import Path
KINDS = {"depthwise": "a depthwise convolution", "TVConv": "TVConv"}
def TrainingStep(kind, setting):
    def step():
        with Path(__file__).with_name("steps").open("a") as steps:
            steps.write(f"{kind} {setting}\\n")
    return step
"""


def test_the_code_of_the_other_checkout_takes_the_steps(tmp_path):
    folder = checkout(tmp_path, STEPS)
    with earlier.step_of(folder, DEPTHWISE, Setting(0.1, 4, 32)) as step:
        step()
        step()
        taken = (folder / "src/facerec/perf/steps").read_text().splitlines()
    assert taken == ["a depthwise convolution (0.1, 4, 32)"] * 2


def test_each_case_has_both_and_names_the_commit(tmp_path):
    commit = earlier.commit_in(folder := checkout(tmp_path, STEPS))
    found = [case.run(counts=False) for case in earlier.cases(QUICK, folder)]
    assert [list(comparison.contenders) for comparison in found] == [["now", f"at {commit}"]] * 2
    assert all(comparison.ratios[0].name == f"now / at {commit}" for comparison in found)


def test_a_commit_without_such_a_step_is_said(tmp_path, capfd):
    folder = checkout(tmp_path, "")
    refused = refuses(str(folder), "step", "later commit", error=InputError)
    with refused, earlier.step_of(folder, DEPTHWISE, Setting(0.1, 4, 32)):
        pass
    assert "KINDS" in capfd.readouterr().err


@pytest.mark.parametrize("with_commit", [False, True])
def test_a_folder_that_is_no_checkout_is_said(with_commit, tmp_path):
    if with_commit:
        checkout(tmp_path, "")
        (tmp_path / "src" / "facerec").rename(tmp_path / "src" / "other")
    with refuses(str(tmp_path), "git worktree add", error=InputError):
        earlier.commit_in(tmp_path)
