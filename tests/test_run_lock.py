"""Two processes must not train in one folder."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest
from says import refuses, says

from facerec.errors import InputError
from facerec.runs import run_lock
from facerec.runs.run_lock import alone_in

ENDED = 2**22 + 1  # no process has such a number


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(run_lock, "PATIENCE", 0.5)
    monkeypatch.setattr(run_lock, "BEAT", 0.05)
    for rank in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(rank, raising=False)


def claimed(folder: Path, **changes: object) -> Path:
    """The file that a process of another machine, or another process of this one, has left."""
    owner = {"machine": "elsewhere 1 pid:[2]", "process": 7, "started": "3", "number": 4, "beats": 0}
    (folder / ".lock").write_text(json.dumps(owner | changes))
    return folder / ".lock"


def test_the_second_is_refused_and_the_first_goes_on(tmp_path):
    with alone_in(tmp_path):
        told = (str(tmp_path), f"process {os.getpid()} on", "wait", "name=")
        with refuses(*told, error=InputError), alone_in(tmp_path):
            raise AssertionError("two are in it")
        with pytest.raises(InputError), alone_in(tmp_path):
            pass  # still
    with alone_in(tmp_path):
        pass


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_nothing_stays_however_it_ends(error, tmp_path):
    with pytest.raises(error), alone_in(tmp_path):
        raise error
    assert not list(tmp_path.iterdir())


class TestWhatADeadProcessLeft:
    def entered(self, folder: Path) -> float:
        """How long it took to get in."""
        before = time.monotonic()
        with alone_in(folder):
            assert json.loads((folder / ".lock").read_text())["process"] == os.getpid()
        assert not (folder / ".lock").exists()
        return time.monotonic() - before

    def test_on_this_machine_counts_no_more(self, tmp_path):
        claimed(tmp_path, machine=run_lock._machine(), process=ENDED)
        assert self.entered(tmp_path) < 0.4

    @pytest.mark.skipif(not Path("/proc/1/stat").exists(), reason="nobody says here when a process has started")
    def test_counts_no_more_if_another_one_has_its_number_now(self, tmp_path):
        claimed(tmp_path, machine=run_lock._machine(), process=os.getpid())
        assert self.entered(tmp_path) < 0.4

    @pytest.mark.parametrize("content", ["", "[1]", "{", '{"machine": 3}', "\0" * 512])
    def test_before_it_said_who_it_is_counts_no_more_after_a_while(self, content, tmp_path):
        (tmp_path / ".lock").write_text(content)
        assert self.entered(tmp_path) >= 0.5

    def test_on_another_machine_counts_no_more_after_a_while(self, tmp_path, capsys):
        claimed(tmp_path)
        assert self.entered(tmp_path) >= 0.5
        assert says(capsys.readouterr().err, "elsewhere", str(tmp_path))


def test_a_process_of_another_machine_that_gives_signs_of_life_is_one(tmp_path):
    def live() -> None:
        for beats in range(100):
            if not ended:
                claimed(tmp_path, beats=beats)
            time.sleep(0.02)

    ended: list[bool] = []
    other = Thread(target=live)
    claimed(tmp_path)
    other.start()
    with refuses("process 7 on elsewhere", "wait", error=InputError), alone_in(tmp_path):
        raise AssertionError("two are in it")
    ended.append(True)
    other.join()


def test_it_gives_signs_of_life(tmp_path):
    with alone_in(tmp_path):
        first = (tmp_path / ".lock").read_bytes()
        time.sleep(0.3)
        assert (tmp_path / ".lock").read_bytes() != first


def test_one_that_was_taken_over_while_it_slept_ends(tmp_path, monkeypatch, capsys):
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    with alone_in(tmp_path):
        lock = claimed(tmp_path)
        time.sleep(0.3)
    assert ended == [1] and lock.exists()  # it is the other's
    assert says(capsys.readouterr().err, str(tmp_path), "another process")


def test_a_lock_that_somebody_removed_is_made_again(tmp_path):
    with alone_in(tmp_path):
        (tmp_path / ".lock").unlink()
        time.sleep(0.3)
        with pytest.raises(InputError), alone_in(tmp_path):
            pass


def test_only_one_of_many_processes_takes_over(tmp_path):
    claimed(tmp_path, machine=run_lock._machine(), process=ENDED)
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom facerec.runs.run_lock import alone_in\n"
        "with alone_in(Path(sys.argv[1])): time.sleep(3)"
    )
    all_of_them = [subprocess.Popen([sys.executable, "-c", program, tmp_path], stderr=-3) for _ in range(4)]
    assert sorted(process.wait() for process in all_of_them) == [0, 1, 1, 1]


def test_other_devices_of_the_run_enter_with_the_first(tmp_path, monkeypatch):
    with alone_in(tmp_path):
        monkeypatch.setenv("LOCAL_RANK", "1")
        with alone_in(tmp_path):
            assert (tmp_path / ".lock").is_file()
        assert (tmp_path / ".lock").is_file()


def test_where_no_file_can_be_created_a_run_is_not_stopped(tmp_path):
    with alone_in(tmp_path / "missing"):
        pass


@pytest.mark.parametrize(
    "name", ["last.ckpt", "best.ckpt", "metrics.csv", "run.json", "scores.npz", "affinity_maps.npz", "results.json"]
)
def test_half_written_files_of_killed_processes_go(name, tmp_path):
    others = [tmp_path / name, tmp_path / f".partial.1.{name}", tmp_path / f".partial.{ENDED}.table.md"]
    for path in (*others, half(tmp_path, name)):
        path.touch()
    with alone_in(tmp_path):
        assert not half(tmp_path, name).exists()
    assert sorted(tmp_path.iterdir()) == sorted(others)


def half(folder: Path, name: str) -> Path:
    return folder / f".partial.{ENDED}.{name}"
