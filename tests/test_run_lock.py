"""Two processes must not train in one folder."""

from pathlib import Path

import pytest
from filelock import FileLock
from says import refuses

from facerec.errors import InputError
from facerec.runs import run_lock
from facerec.runs.run_lock import alone_in

ENDED = 2**22 + 1  # no process has such a number


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(run_lock, "PATIENCE", 0.0)
    for rank in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(rank, raising=False)


def test_the_second_is_refused_and_the_first_goes_on(tmp_path):
    with alone_in(tmp_path):
        with refuses(str(tmp_path), "process", "wait", "name=", error=InputError), alone_in(tmp_path):
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


def test_a_lock_that_a_killed_process_left_is_none(tmp_path):
    (tmp_path / ".lock").touch()
    with alone_in(tmp_path):
        assert (tmp_path / ".lock").is_file()


def test_other_devices_of_the_run_enter_with_the_first(tmp_path, monkeypatch):
    with alone_in(tmp_path):
        monkeypatch.setenv("LOCAL_RANK", "1")
        with alone_in(tmp_path):
            assert (tmp_path / ".lock").is_file()
        assert (tmp_path / ".lock").is_file()


def test_where_files_cannot_be_locked_a_run_is_not_stopped(tmp_path, monkeypatch):
    def no_locks(*_: object, **__: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(FileLock, "acquire", no_locks)
    with alone_in(tmp_path):
        pass


@pytest.mark.parametrize("name", ["last.ckpt", "best.ckpt", "metrics.csv", "run.json", "scores.npz", "results.json"])
def test_half_written_files_of_killed_processes_go(name, tmp_path):
    others = [tmp_path / name, tmp_path / f".partial.1.{name}", tmp_path / f".partial.{ENDED}.table.md"]
    for path in (*others, half(tmp_path, name)):
        path.touch()
    with alone_in(tmp_path):
        assert not half(tmp_path, name).exists()
    assert sorted(tmp_path.iterdir()) == sorted(others)


def half(folder: Path, name: str) -> Path:
    return folder / f".partial.{ENDED}.{name}"
