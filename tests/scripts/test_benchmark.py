import json

import pytest
import torch
from says import every, says

from facerec.commands.main import module_of

ALL = [
    "layer",
    "norm",
    "generator",
    "network",
    "memory",
    "throughput",
    "heads",
    "saving",
    "pipeline",
    "index",
    "augmentation",
    "verification",
    "export",
    "coverage",
]


@pytest.fixture
def benchmark(capsys):
    def ran(*arguments: str) -> tuple[int, list[str], str]:
        """Exit status, lines for programs, text for people."""
        status = module_of("benchmark").main(list(arguments))
        printed = capsys.readouterr()
        return status, printed.out.splitlines(), printed.err

    return ran


def test_a_quick_run_has_every_section_and_judges_nothing(benchmark):
    status, lines, shown = benchmark("quick=true")
    report = json.loads(lines[-1])
    assert status == 0
    assert list(dict.fromkeys(comparison["section"] for comparison in report["comparisons"])) == ALL
    assert {ratio["met"] for comparison in report["comparisons"] for ratio in comparison["ratios"]} == {None}
    assert every(section in shown for section in ALL) and "met" not in shown
    assert report["machine"]["threads"] == torch.get_num_threads()
    assert report["command"] == "facerec benchmark quick=true"


def test_the_sections_asked_for_are_run_and_written(benchmark, tmp_path):
    page, file = tmp_path / "performance.md", tmp_path / "report.json"
    arguments = ("sections=verification,layer", "quick=true", "threads=1", f"markdown={page}", f"json={file}")
    status, lines, _ = benchmark(*arguments)
    report = json.loads(lines[-1])
    assert status == 0 and json.loads(file.read_text()) == report
    assert [comparison["section"] for comparison in report["comparisons"]] == ["verification"] * 2 + ["layer"] * 8
    text = page.read_text()
    assert text.index("### verification") < text.index("### layer")
    assert "facerec benchmark sections=verification,layer" in text


@pytest.mark.parametrize(
    ("argument", "facts"),
    [
        (
            "section=layer",
            ("'section=layer'", "'sections'"),
        ),
        ("quick", ("'quick'", "quick=VALUE")),
        (
            "sections=layer,speed",
            (
                "'speed'",
                "layer, norm, generator, network, memory, throughput, heads, saving, pipeline, index",
            ),
        ),
        ("quick=yes", ("quick", "true or false", "'yes'")),
        ("threads=0", ("threads", "at least 1", "'0'")),
        ("threads=-2", ("threads", "at least 1", "'-2'")),
    ],
)
def test_a_mistake_is_one_sentence_and_status_1(argument, facts, benchmark):
    status, lines, shown = benchmark(argument)
    assert (status, lines, shown.count("\n")) == (1, [], 1) and says(shown, *facts)


def test_a_page_that_cannot_take_the_tables_is_said_before_anything_is_measured(benchmark, tmp_path):
    page = tmp_path / "performance.md"
    page.write_text("# Speed\n")
    status, lines, shown = benchmark("sections=layer", f"markdown={page}")
    assert (status, lines) == (1, []) and says(shown, str(page), "tables")
