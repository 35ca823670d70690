"""Forest plots, from comparisons written by hand."""

import json

import pytest
from says import refuses, says

from facerec.commands.main import module_of
from facerec.commands.report_forest import comparisons_figure
from facerec.errors import InputError
from facerec.plots.forest import ForestRow, forest_figure

DEPTHWISE, GRID = "Depthwise, MobileNetV2 x0.1", "GridDepthwise, MobileNetV2 x0.1"


def comparison(difference=0.02, interval=(0.01, 0.03), p=0.01, benchmark="lfw", second=GRID, **changes) -> dict:
    found = {"difference": difference, "interval": list(interval), "p": p, "seeds": 3, "seeds_needed": None}
    names = {"benchmark": benchmark, "first": DEPTHWISE, "second": second}
    return {**names, "found": found, "p": p} | changes


@pytest.fixture
def kept(tmp_path):
    """Write a file of comparisons and give its path."""

    def written(*comparisons, name="compare", label="accuracy", unit="points", factor=100):
        path = tmp_path / f"{name}.json"
        content = {"label": label, "unit": unit, "factor": factor, "comparisons": comparisons}
        path.write_text(json.dumps(content))
        return path

    return written


def dots(axes) -> list[tuple[float, int, bool]]:
    """The value of each dot of a panel, the number of the label that it is beside, and whether it is full."""
    places = [round(tick, 6) for tick in axes.get_yticks()]
    lines = [line for line in axes.lines if line.get_marker() == "o"]
    found = [(*line.get_xydata()[0].tolist(), line.get_markerfacecolor() != "white") for line in lines]
    return [(value, places.index(round(place, 6)), is_full) for value, place, is_full in found]


def test_a_row_per_groups_and_a_panel_per_benchmark(kept):
    wide = comparison(-0.03, (-0.1, 0.04), 0.2, "cfp_fp", "GridDepthwise, MobileNetV2 x0.5")
    lfw, cfp_fp = comparisons_figure(
        [kept(comparison(), comparison(-0.0001, (-0.01, 0.01), None, "cfp_fp"), wide)]
    ).axes
    assert [lfw.get_title(), cfp_fp.get_title()] == ["lfw", "cfp_fp"]
    assert dots(lfw) == [(2, 0, True)]
    assert dots(cfp_fp) == [(-0.01, 0, False), (-3, 1, False)]
    assert [text.get_text() for text in lfw.get_yticklabels()] == [
        "GridDepthwise against Depthwise\nMobileNetV2 x0.1",
        "GridDepthwise x0.5 against Depthwise x0.1\nMobileNetV2",
    ]
    assert lfw.get_ylim()[0] > lfw.get_yticks()[1] > lfw.get_yticks()[0] > lfw.get_ylim()[1]  # from above
    low, high = cfp_fp.get_xlim()
    assert low < -10 and high > 4
    assert [text.get_text() for text in cfp_fp.texts] == ["+0.0 [-1.0, +1.0]", "-3.0 [-10.0, +4.0]"]


def test_several_files_are_titles(kept):
    files = [kept(comparison(), name="H12_small"), kept(comparison(0.05), name="H9")]
    (axes,) = comparisons_figure(files).axes
    assert [text.get_text().splitlines()[0] for text in axes.get_yticklabels()] == ["H12 small", "H9"]
    assert dots(axes) == [(2, 0, True), (5, 1, True)]


def test_metrics_without_a_common_scale_are_refused(kept):
    files = [kept(comparison()), kept(comparison(), name="hd", label="cup HD (px)", unit="pixels", factor=1)]
    with refuses("accuracy", "cup HD (px)", "one metric", error=InputError):
        comparisons_figure(files)
    assert dots(comparisons_figure(files[1:]).axes[0]) == [(0.02, 0, True)]


def test_a_comparison_that_found_nothing_is_refused(kept):
    with refuses("compare.json", "no difference", error=InputError):
        comparisons_figure([kept()])


BROKEN = [
    "",
    "[]",
    "[" * 100_000,
    json.dumps({"comparisons": [comparison()]}),  # of an older version
    json.dumps({"label": "a", "unit": "b", "factor": 100, "comparisons": [comparison(float("nan"))]}),
    json.dumps({"label": "a", "unit": "b", "factor": 100, "comparisons": [comparison(interval=(1,))]}),
    json.dumps({"label": "a", "unit": "b", "factor": 10**400, "comparisons": [comparison()]}),
]


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_another_file_is_refused_and_the_figure_stays(text, tmp_path, capsys):
    (path := tmp_path / "compare.json").write_text(text)
    (out := tmp_path / "figure.svg").write_text("kept")
    assert module_of("report").main(["forest", str(path), f"out={out}"]) == 1
    assert says(capsys.readouterr().err, str(path), "facerec report compare", "json=")
    assert out.read_text() == "kept"


def test_a_file_that_is_not_there_is_named(tmp_path):
    with refuses("gone.json", "not exist", "facerec report compare", error=InputError):
        comparisons_figure([tmp_path / "gone.json"])


def test_the_figure_is_written_in_the_format_of_its_name(kept, tmp_path):
    out = tmp_path / "figure.svg"
    assert module_of("report").main(["forest", str(kept(comparison())), f"out={out}"]) == 0
    assert "<svg" in out.read_text()
    with refuses("figure.txt", ".png", error=InputError):
        module_of("report").forest(module_of("report").ForestSettings((kept(comparison()),), tmp_path / "figure.txt"))


def test_one_difference_of_nothing_has_a_scale():
    (axes,) = forest_figure([ForestRow("a", "b", 0.0, (0.0, 0.0), None)], "difference").axes
    assert axes.get_xlim() == (-1, 1)
