"""Of all processes that want a cell of a sweep, one has it."""

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from facerec.runs.claims import FOLDER, ClaimLost, Claims

ENDED = 2**22 + 1  # no process has such a number
LONG, SHORT = 1000.0, 1.0


@pytest.fixture
def cell(tmp_path) -> Path:
    return tmp_path / "sweep" / "operator=a,width=0.1"


def held(cell: Path, number: int = 1, age: float = 0.0, host: str = "elsewhere", pid: int = 1) -> Path:
    """The claim of another process, last renewed so many seconds ago."""
    path = cell.parent / FOLDER / f"{cell.name}.{number}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"host": host, "pid": pid}))
    os.utime(path, (time.time() - age,) * 2)
    return path


def takes(claims: Claims, cell: Path) -> bool:
    with claims.take(cell) as holder:
        return holder is None


def test_a_cell_has_one_process_until_that_gives_it_back(cell):
    claims = Claims(LONG)
    with claims.take(cell) as holder:
        assert holder is None
        with Claims(LONG).take(cell) as other:
            assert other == f"process {os.getpid()} of {claims.host}"
        assert takes(claims, cell.with_name("operator=a,width=0.1.1"))  # the name of another cell
    assert takes(claims, cell)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_it_is_given_back_however_the_block_ends(error, cell):
    with pytest.raises(error), Claims(LONG).take(cell):
        raise error
    assert takes(Claims(LONG), cell) and not list((cell.parent / FOLDER).iterdir())


@pytest.mark.parametrize("stale", [False, True])
def test_of_many_at_once_one_gets_it(stale, cell):
    if stale:
        held(cell, age=2 * LONG)
    together, done = threading.Barrier(8), threading.Barrier(8)

    def wants(_: int) -> bool:
        claims = Claims(LONG)
        together.wait(30)
        with claims.take(cell) as holder:
            done.wait(30)
            return holder is None

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(wants, range(8))) == 1


@pytest.mark.parametrize(
    ("age", "host", "process", "free"),
    [
        (LONG / 2, "elsewhere", "ended", False),
        (LONG * 2, "elsewhere", "ended", True),
        (LONG * 2, None, "alive", True),  # and does not renew its claim
        (LONG / 2, None, "ended", True),
        (1.0, None, "ended", False),  # the name of this machine, which may be that of another container
        (LONG / 2, None, "alive", False),
    ],
)
def test_whose_claim_has_gone_stale_loses_it(age, host, process, free, cell):
    claims = Claims(LONG)
    held(cell, age=age, host=host or claims.host, pid=ENDED if process == "ended" else os.getpid())
    assert takes(claims, cell) == free


def test_what_cannot_be_read_yet_is_a_claim(cell):
    held(cell).write_text("")
    with Claims(LONG).take(cell) as holder:
        assert holder is not None and "unknown" in holder


def test_a_claim_is_renewed_while_its_process_lives(cell):
    claims = Claims(SHORT)
    with claims.take(cell) as holder:
        assert holder is None
        time.sleep(1.2 * SHORT)
        assert not takes(Claims(SHORT), cell) and not Claims(SHORT).is_silent(cell)


@pytest.mark.parametrize("how", ["taken over", "removed"])
def test_whoever_was_silent_for_too_long_ends(how, cell):
    with pytest.raises(ClaimLost), Claims(SHORT).take(cell):
        if how == "removed":
            (cell.parent / FOLDER / f"{cell.name}.1").unlink()
        else:
            held(cell, 2)
        for _ in range(1000):
            time.sleep(0.01)


def test_lightnings_way_to_end_is_told_apart_from_the_users(cell):
    with pytest.raises(ClaimLost), Claims(SHORT).take(cell):
        held(cell, 2)
        try:
            for _ in range(1000):
                time.sleep(0.01)
        except KeyboardInterrupt:
            raise SystemExit(1) from None


def test_a_cell_that_ends_its_processes_is_given_up(cell):
    for number in range(1, 5):
        held(cell, number, age=2 * LONG)
    with Claims(LONG).take(cell) as holder:
        assert holder is not None and "4 processes" in holder and f"{cell.name}.4" in holder


def test_who_is_silent_is_worth_waiting_for(cell):
    claims = Claims(LONG)
    assert not claims.is_silent(cell)
    held(cell, age=LONG / 2)
    assert claims.is_silent(cell)
    held(cell, age=0)
    assert not claims.is_silent(cell)


def test_a_failure_counts_where_it_would_come_again(cell):
    here, elsewhere = Claims(LONG), Claims(LONG)
    elsewhere.host = "elsewhere"
    for claims in (here, elsewhere):
        assert claims.failure(cell) is None
    here.fail(cell, "no memory", of_settings=False)
    found = here.failure(cell)
    assert found is not None and found.why == "no memory" and elsewhere.failure(cell) is None
    here.fail(cell, "an even kernel", of_settings=True)
    assert elsewhere.failure(cell) is not None
    time.sleep(0.01)
    assert Claims(LONG).failure(cell) is None  # whoever starts later tries again
