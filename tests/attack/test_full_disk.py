"""A disk that fills while a run or a command writes: a sentence, nothing damaged, and the run goes on when there is
room again."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attack_row import Row
from forked_program import Program
from image_files import write_noise
from running import DEPTHWISE, THREE_EPOCHS, finished_run
from says import says
from test_train import assert_same_run

from facerec.exporting.formats import SUFFIXES

SIZES = ("8k", "16k", "32k", "64k", "100k", "200k", "400k", "600k", "800k", "1200k", "1600k", "2m", "3m", "4m")
# What each command is told: R is a finished run, F a folder of faces, D the disk.
COMMANDS = {
    "evaluate, scores": ("evaluate", "checkpoint=R/best.ckpt", "scores=D/scores.npz"),
    "evaluate, curves": ("evaluate", "checkpoint=R/best.ckpt", "roc=D/roc.png"),
    **{
        f"export {format}": ("export", "checkpoint=R/best.ckpt", f"format={format}", f"output=D/net{suffix}")
        for format, suffix in SUFFIXES.items()
        if format != "pt2"  # a compiler runs half a minute
    },
    **{f"report {format}": ("report", "R", f"{format}=D/table") for format in ("csv", "markdown", "latex", "json")},
    "report html": ("report", "html", "R", "out=D/page.html"),
    "plot_runs": ("plot_runs", "R", "out=D/runs.png"),
    "sensitivity": ("sensitivity", "checkpoint=R/best.ckpt", "transforms=[shear]", "strengths=1", "out=D/study"),
    "plot_synthetic": ("plot_synthetic", "D/faces.png"),
    "check_data": ("check_data", "data=folder", "data.root=F", "data.benchmarks=[odd]", "out=D/report"),
    "write_shards": ("write_shards", "data=folder", "data.root=F", "data.benchmarks=[odd]", "out=D/shards"),
    "recordio build": ("recordio", "build", "F/train", "D/archive"),
    "measure": ("measure", "operator=depthwise", "image_size=32", "markdown=D/costs.md"),
    "benchmark": ("benchmark", "sections=[index]", "quick=true", "json=D/speeds.json"),
}


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    subprocess.run(mount, check=True, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def may_mount(row: Row, folder: Path) -> bool:
    """Whether this process may mount a disk; if not, the row says so."""
    try:
        with small_disk(folder / "probe", "8k"):
            return True
    except (OSError, subprocess.CalledProcessError):
        row.not_tried = "needs a user who may mount a disk"
        return False


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return [*DEPTHWISE, *THREE_EPOCHS, f"data.cache={tmp_path_factory.mktemp('cache')}"]


@pytest.fixture(scope="module")
def whole(settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert (program := Program(folder, "train", *settings)).status() == 0, program.said
    return finished_run(folder)


def test_train_on_a_full_disk(row, settings, whole, tmp_path):
    """train on a full disk, then resumed with room."""
    for size in row.cases(SIZES, 1) if may_mount(row, tmp_path) else ():
        disk = tmp_path / size
        with row.trial(size) as trial, small_disk(disk, size):
            program = Program(disk / "work", "train", *settings, streams=tmp_path)
            assert_sentence(program)
            if program.status() == 0:
                trial.ending = "had room"
                continue
            subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
            again = Program(disk / "work", "train", *settings, "resume=auto", streams=tmp_path)
            assert again.status() == 0, again.said[-1500:]
            assert_same_run(finished_run(disk / "work"), whole)
            trial.ending = "a sentence, then the same"


def assert_sentence(program: Program) -> None:
    """It ends well, or says in one sentence that the disk is full."""
    status = program.status(180)
    assert status in (0, 1) and "Traceback" not in program.said, (status, program.said[-1500:])
    assert status == 0 or says(program.said.splitlines()[-1], "free space"), program.said[-1500:]


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    root = tmp_path_factory.mktemp("noise") / "faces"
    write_noise(root)
    return root


def test_commands_on_a_full_disk(row, depthwise_run, faces, tmp_path):
    """Commands on a full disk, with no room and with 60 kB."""
    cases = [(name, size) for name in COMMANDS for size in ("4k", "60k")]
    for name, size in row.cases(cases, 2) if may_mount(row, tmp_path) else ():
        disk = tmp_path / f"{name}-{size}".replace(" ", "-").replace(",", "")
        with row.trial((name, size)) as trial, small_disk(disk, size):
            program = Program(tmp_path / "work", *placed(COMMANDS[name], R=depthwise_run, F=faces, D=disk))
            assert_sentence(program)
            assert not list(disk.rglob(".partial*")), "leftovers"
            trial.ending = "had room" if program.status() == 0 else "a sentence"


def placed(arguments: tuple[str, ...], **places: Path) -> list[str]:
    """The arguments with folders for their letters."""
    return [re.sub(r"\b([RFD])(?=/|$)", lambda found: str(places[found[1]]), argument) for argument in arguments]
