"""Which benchmark gives the thresholds of a file, and what stands there if none does."""

import json

import numpy as np
import pytest
from says import refuses, says

from facerec.data.source import Benchmark
from facerec.errors import InputError
from facerec.exporting.measured import choose_benchmark, measured, read_rates
from facerec.verification.error_rates import ErrorRates


class Images:
    def __init__(self, number: int) -> None:
        self.number = number

    def __len__(self) -> int:
        return self.number

    def fingerprint(self) -> str:
        return str(self.number)


def benchmark(name: str, people: list[str] | None, number: int = 4) -> Benchmark:
    images, pair = Images(len(people) if people else number), np.array([0])
    return Benchmark(name, images, pair, pair + 1, np.array([True]), tuple(people) if people else None)


FEW, MANY, UNKNOWN = benchmark("few", list("aab")), benchmark("many", list("aabbc")), benchmark("bin", None)


def test_the_one_with_the_most_pairs_of_two_people_is_taken():
    assert choose_benchmark([FEW, MANY, UNKNOWN]) is MANY
    assert choose_benchmark([FEW, MANY], "few") is FEW
    with refuses("thresholds=bin", "does not tell", "few, many", error=InputError):
        choose_benchmark([FEW, MANY, UNKNOWN], "bin")
    with refuses("thresholds=lfw", "no benchmark", "none", error=InputError):
        choose_benchmark([UNKNOWN], "lfw")


def test_without_people_the_reason_stands_there():
    metadata = measured({}, {}, choose_benchmark([UNKNOWN]), "the checkpoint", {})
    assert says(read_rates(metadata), "bin", "none tells whom")


def test_images_that_cannot_be_compared_are_a_reason():
    of_one_kind = benchmark("one", list("abc"))
    assert says(read_rates(measured({}, {"one": np.eye(3)}, of_one_kind, "", {})), "one", "a person with two images")


def test_too_few_pairs_are_a_reason_for_each_rate():
    rates = read_rates(measured({}, {"many": np.eye(5) + 1}, MANY, "the checkpoint", {}))
    assert isinstance(rates, ErrorRates) and rates.at_fmr == {} and says(rates.refused["1e-2"], "8 non-mated pairs")
    assert rates.chosen_on == {
        **{"name": "many", "fingerprint": MANY.fingerprint(), "images": 5, "people": 3},
        **{"mated_pairs": 2, "non_mated_pairs": 8},
    }


@pytest.mark.parametrize("text", ["[]", "no JSON", json.dumps({"curve": 3}), "[" * 100_000])
def test_what_is_no_rates_is_a_reason(text):
    assert says(read_rates({"thresholds": text}), "damaged")
    assert says(read_rates({}), "older")
