"""Tables of two comparisons that a person can read."""

import io

import pytest
from rich.console import Console
from says import refuses

from facerec.errors import InputError
from facerec.perf.comparison import Comparison, Ratio, Spread
from facerec.perf.tables import BEGIN, END, markdown, number, sentence, show, write_markdown

TWICE = Ratio("b / a", Spread(2.1, 2.0, 2.24), 2, False, True)
COMPARISONS = [
    Comparison("layer", "4 x 4", "ms", {"a": Spread(1, 1, 1), "b": Spread(2.1, 2, 2.24)}, [TWICE], ""),
    Comparison("layer", "8 x 8", "ms", {"a": Spread(1234.5, 1000, 2000)}, [], "batch 2"),
    Comparison("memory", "x0.1", "MB", {"c": Spread(12.34, 12.34, 12.34)}, [], ""),
]


@pytest.mark.parametrize(
    ("target", "at_most", "met", "said"),
    [
        (2, False, True, ", target at least 2x: met"),
        (3, False, False, ", target at least 3x: NOT met"),
        (0.85, True, False, ", target at most 0.85x: NOT met"),
        (None, False, None, ""),
        (2, False, None, ""),
    ],
)
def test_a_ratio_is_said_with_its_target(target, at_most, met, said):
    assert sentence(Ratio("b / a", TWICE.spread, target, at_most, met)) == f"b / a: 2.1x (2 to 2.24){said}"


@pytest.mark.parametrize(
    ("value", "shown"), [(1234.5, "1,234"), (100, "100"), (99.96, "100"), (12.345, "12.3"), (0.01234, "0.0123")]
)
def test_a_number_has_three_digits_that_count(value, shown):
    assert number(value) == shown


def test_a_page_has_a_table_for_each_section():
    texts = markdown(COMPARISONS, "a machine", "a command")
    assert list(texts) == ["layer", "memory"]
    assert texts["layer"].splitlines() == [
        "`a command`, a machine.",
        "",
        "|  | a | b | ratios |",
        "|---|---|---|---|",
        "| 4 x 4 [ms] | 1 | 2.1 (2 to 2.24) | b / a: 2.1x (2 to 2.24), target at least 2x: met |",
        "| 8 x 8 [ms] (batch 2) | 1,234 (1,000 to 2,000) |  |  |",
    ]
    assert texts["memory"].splitlines()[2:] == ["|  | c | ratios |", "|---|---|---|", "| x0.1 [MB] | 12.3 |  |"]


def test_comparisons_of_other_contenders_have_a_table_of_their_own():
    others = [Comparison("layer", name, "ms", {"d": Spread(1, 1, 1)}, [], "") for name in ("2 x 2", "3 x 3")]
    tables = markdown([*COMPARISONS[:2], *others], "a machine", "a command")["layer"].split("\n\n")
    assert [table.splitlines()[0] for table in tables[1:]] == ["|  | a | b | ratios |", "|  | d | ratios |"]
    assert [len(table.splitlines()) for table in tables[1:]] == [4, 4]
    assert len(tables) == 3


def test_a_terminal_shows_the_same():
    written = io.StringIO()
    show(COMPARISONS, Console(file=written, width=160))
    for words in ("layer", "4 x 4 [ms]", "target at least 2x: met", "x0.1 [MB]", "1,234 (1,000 to 2,000)"):
        assert words in written.getvalue()


def test_a_new_page_can_be_written_over(tmp_path):
    page = tmp_path / "performance.md"
    write_markdown({"layer": "old"}, page)
    write_markdown({"layer": "new"}, page)
    assert page.read_text() == f"{BEGIN}\n\n### layer\n\nnew\n\n{END}\n"


def test_what_stands_around_the_tables_and_what_was_not_measured_again_stays(tmp_path):
    page = tmp_path / "performance.md"
    page.write_text(f"# Speed\n{BEGIN}\n### layer\n\n| old |\n\n### norm\n\n| a |\n\n| b |\n{END}\n\n### Why\n")
    write_markdown({"layer": "new", "memory": "first"}, page)
    tables = "### layer\n\nnew\n\n### norm\n\n| a |\n\n| b |\n\n### memory\n\nfirst"
    assert page.read_text() == f"# Speed\n{BEGIN}\n\n{tables}\n\n{END}\n\n### Why\n"


@pytest.mark.parametrize("text", ["# Speed\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n"])
def test_a_page_without_a_place_is_left_alone(text, tmp_path):
    page = tmp_path / "performance.md"
    page.write_text(text)
    with refuses(str(page), BEGIN, END, error=InputError):
        write_markdown({"layer": "new"}, page)
    assert page.read_text() == text
