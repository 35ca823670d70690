import json

import pytest
from running import program


@pytest.fixture
def measure(capsys):
    def measured(*arguments: str) -> tuple[int, list[str], str]:
        """Exit status, lines for programs, text for people."""
        status = program("scripts/measure.py").main(list(arguments))
        printed = capsys.readouterr()
        return status, printed.out.splitlines(), printed.err

    return measured


def test_the_last_line_has_the_numbers_of_the_paper(measure):
    status, lines, _ = measure("backbone=mbv2", "operator=tvconv", "width=0.1")
    assert status == 0
    assert json.loads(lines[-1]) == {
        "macs_paper": 22474240,
        "macs_core": 18023680,
        "params": 16369368,
        "params_deployed": 315096,
        "weight_map_elements": 4084992,
    }


def test_people_read_one_line_a_number(measure):
    _, lines, shown = measure("operator=depthwise", "width=0.1", "image_size=32", "embedding_dim=16")
    cost = json.loads(lines[-1])
    rows = dict(line.split() for line in shown.splitlines())
    assert rows == {name: f"{value:,}" for name, value in cost.items()}
    assert cost["weight_map_elements"] == 0 and cost["params"] == cost["params_deployed"]


def test_the_image_size_counts(measure):
    small, large = (
        json.loads(measure("operator=depthwise", "width=0.1", f"image_size={size}")[1][-1]) for size in (32, 64)
    )
    assert large["macs_core"] > 3 * small["macs_core"] and large["params"] == small["params"]


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("widht=0.1", "unknown config key 'widht'; did you mean 'width'?"),
        ("width=-1", "width must be positive, got -1.0 (config node: backbone)"),
        ("operator=tvcov", "operator=tvcov is not an option of operator; did you mean 'tvconv'?"),
        ("--help", "the argument '--help' is not understood: write KEY=VALUE, in quotes what holds = or ,"),
    ],
)
def test_a_mistake_is_one_sentence_and_status_1(argument, sentence, measure):
    assert measure(argument) == (1, [], f"{sentence}\n")
