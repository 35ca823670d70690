"""Turns, by a clock that only the contenders move."""

import pytest
import torch

from facerec.perf.timing import Effort, alternate, milliseconds, per_second, threads


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 0.0
        calls = ""

        def contender(self, name, seconds):
            def call():
                self.now += seconds
                self.calls += name

            return call

    clock = Clock()
    monkeypatch.setattr("facerec.perf.timing.time.perf_counter", lambda: clock.now)
    return clock


def test_contenders_take_turns_forwards_and_backwards_after_a_warm_up(clock):
    contenders = {name: clock.contender(name, 1.0) for name in "abc"}
    alternate(contenders, Effort(rounds=3, seconds=0))
    assert clock.calls == "abc" + "abc" + "cba" + "abc"


def test_a_turn_lasts_its_seconds_and_counts_one_call(clock):
    contenders = {"a": clock.contender("a", 0.25), "b": clock.contender("b", 3.0)}
    assert alternate(contenders, Effort(rounds=2, seconds=1)) == {"a": [0.25, 0.25], "b": [3.0, 3.0]}
    assert clock.calls == "aaaab" + "aaaab" + "baaaa"


def test_a_slow_case_ends_early_but_not_before_three_rounds(clock):
    slow = {"a": clock.contender("a", 50.0)}
    assert alternate(slow, Effort(rounds=9, most_seconds=120)) == {"a": [50] * 3}
    assert alternate(slow, Effort(rounds=9, most_seconds=250)) == {"a": [50] * 5}


def test_threads_are_given_back():
    before = torch.get_num_threads()
    with pytest.raises(KeyError), threads(2):
        assert torch.get_num_threads() == 2
        raise KeyError
    assert torch.get_num_threads() == before


def test_seconds_become_milliseconds_and_rates():
    assert milliseconds({"a": [0.5, 0.25]}) == {"a": [500, 250]}
    assert per_second({"a": [0.5, 0.25]}, images=8) == {"a": [16, 32]}
