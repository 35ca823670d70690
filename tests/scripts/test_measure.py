import json

import pytest
from says import every, says

from facerec.commands.main import module_of


@pytest.fixture
def measure(capsys):
    def measured(*arguments: str) -> tuple[int, list[str], str]:
        """Exit status, lines for programs, text for people."""
        status = module_of("measure").main(list(arguments))
        printed = capsys.readouterr()
        return status, printed.out.splitlines(), printed.err

    return measured


def test_the_last_line_has_the_numbers_of_the_paper(measure):
    status, lines, _ = measure("backbone=mbv2", "operator=tvconv", "width=0.1")
    assert status == 0
    assert json.loads(lines[-1]) == {
        "settings": ["backbone=mbv2", "operator=tvconv", "width=0.1"],
        "macs_paper": 22474240,
        "macs_core": 18023680,
        "params": 16369368,
        "params_deployed": 315096,
        "weight_map_elements": 4084992,
        "macs_once": 4238770176,
    }


def test_people_read_one_line_a_number(measure):
    _, lines, shown = measure("operator=depthwise", "width=0.1", "image_size=32", "embedding_dim=16")
    cost = json.loads(lines[-1])
    cost.pop("settings")
    rows = dict(line.split() for line in shown.splitlines())
    assert rows == {name: f"{value:,}" for name, value in cost.items()}
    assert cost["weight_map_elements"] == 0 and cost["params"] == cost["params_deployed"]


def test_the_image_size_counts(measure):
    small, large = (
        json.loads(measure("operator=depthwise", "width=0.1", f"image_size={size}")[1][-1]) for size in (32, 64)
    )
    assert large["macs_core"] > 3 * small["macs_core"] and large["params"] == small["params"]


@pytest.mark.parametrize(
    ("argument", "facts"),
    [
        ("widht=0.1", ("'widht=0.1'", "'width'")),
        ("width=-1", ("width", "positive", "-1.0", "config node: backbone")),
        ("operator=tvcov", ("operator=tvcov", "'tvconv'")),
        ("--hlep", ("'--hlep'", "KEY=VALUE")),
        ("sweep=figure7", ("sweep=figure7", "commas")),
        ("speed=yes", ("speed", "true or false", "'yes'")),
    ],
)
def test_a_mistake_is_one_sentence_and_status_1(argument, facts, measure):
    status, lines, said = measure(argument)
    assert (status, lines, said.count("\n")) == (1, [], 1) and says(said, *facts)


SMALL = ("image_size=32", "embedding_dim=16", "operator.kernel_size=3")


def test_values_with_commas_are_compared_each_with_each(measure):
    status, lines, shown = measure(
        "operator=depthwise,involution", "width=0.1,0.2", *SMALL, "backbone.operator_stages=[2,3]"
    )
    measured = json.loads(lines[-1])
    assert status == 0
    assert [cell["settings"][:2] for cell in measured] == [
        ["operator=depthwise", "width=0.1"],
        ["operator=depthwise", "width=0.2"],
        ["operator=involution", "width=0.1"],
        ["operator=involution", "width=0.2"],
    ]
    assert every(cell["settings"][2:] == [*SMALL, "backbone.operator_stages=[2,3]"] for cell in measured)
    rows = [line.split() for line in shown.splitlines() if line.strip()]
    assert rows[0][:2] == ["macs_paper", "macs_core"]
    assert [row[:2] for row in rows[1:]] == [cell["settings"][:2] for cell in measured]
    assert rows[3][2] == f"{measured[2]['macs_paper']:,}"


def test_the_table_is_written_for_a_page(measure, tmp_path):
    page = tmp_path / "table.md"
    _, lines, _ = measure("operator=depthwise,partial_conv", *SMALL, "width=0.1", f"markdown={page}")
    header, rule, *rows = page.read_text().splitlines()
    assert header.startswith("|  | macs_paper | macs_core |") and rule.count("|") == header.count("|")
    partial = json.loads(lines[-1])[1]
    assert rows[1].startswith(f"| operator=partial_conv | {partial['macs_paper']:,} | {partial['macs_core']:,} |")


def test_speed_is_measured_on_request(measure):
    _, lines, shown = measure("operator=depthwise", *SMALL, "width=0.1", "speed=true")
    measured = json.loads(lines[-1])
    assert measured["images_per_second"] > 0 and measured["threads"] == 1
    assert measured["peak_memory_mb"] > measured["params"] * 4 / 1e6
    assert "peak_memory_mb" in shown


def test_images_need_not_be_square(measure):
    small = ("operator=depthwise", "width=0.1", "embedding_dim=16")
    for size in ("backbone.image_size=[32]", "backbone.image_size=32"):
        assert says(measure(*small, size)[2], "backbone.image_size", "height", "width", "backbone.image_size=[32,32]")
    status, lines, _ = measure(*small, "backbone.image_size=[64,32]")
    _, square, _ = measure(*small, "image_size=32")
    cost, half = json.loads(lines[-1]), json.loads(square[-1])
    assert status == 0 and cost["macs_paper"] > 1.9 * half["macs_paper"]
