import os
import signal
import time

import pytest
from says import says

from facerec.training.first_signal import FirstSignal


@pytest.fixture
def ended(monkeypatch):
    """The signals that were done what is done at them by default."""
    found: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)
    before = [signal.getsignal(number) for number in numbers]
    for number in numbers[:2]:
        signal.signal(number, lambda number, _: found.append(number))
    yield found
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_is_noted_and_the_second_passed_on(number, ended):
    caught = FirstSignal(60)
    caught.catch()
    send(number)
    assert caught.received == number and not ended
    send(number)
    assert ended == [number]


def test_it_ends_as_it_would_have_when_there_is_time(ended):
    caught = FirstSignal(60)
    caught.catch()
    caught.end()
    send(signal.SIGTERM)
    with pytest.raises(SystemExit) as raised:
        caught.end()
    assert ended == [signal.SIGTERM] and raised.value.code == 143


def test_the_time_is_limited(ended):
    caught = FirstSignal(0.1)
    caught.catch()
    send(signal.SIGTERM)
    with pytest.raises(SystemExit):
        time.sleep(5)
    assert ended == [signal.SIGTERM]


def test_what_is_released_is_passed_on_and_no_time_runs(ended):
    caught = FirstSignal(0.1)
    caught.catch()
    send(signal.SIGTERM)
    caught.release()
    time.sleep(0.2)
    assert not ended
    send(signal.SIGTERM)
    assert ended == [signal.SIGTERM]


def test_no_time_is_none(ended):
    caught = FirstSignal(0)
    caught.catch()
    send(signal.SIGTERM)
    assert ended == [signal.SIGTERM] and caught.received is None


def test_who_presses_ctrl_c_is_told_how_to_end_at_once(ended, capsys):
    caught = FirstSignal(60)
    caught.catch()
    send(signal.SIGINT)
    assert says(capsys.readouterr().err, "after this step", "Ctrl-C again")
    caught.release()


def test_what_is_ignored_stays_ignored(ended):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in the background of a shell
    caught = FirstSignal(60)
    caught.catch()
    send(signal.SIGINT)
    assert caught.received is None
    caught.release()
