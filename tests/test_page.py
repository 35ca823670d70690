"""The page about a sweep, in a real browser where there is one."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, browser
from says import every, refuses, says
from sweep_files import write_sweep

from facerec.commands.main import module_of
from facerec.errors import InputError
from facerec.pages.page import PageOptions, sweep_page
from facerec.runs.report import find_runs

HOSTILE = "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'>\"'&\udcff"


@pytest.fixture(scope="module")
def sweep(tmp_path_factory, tvconv_run):
    """Twelve cells: four operators at three widths; those of TVConv have a checkpoint."""
    folder = tmp_path_factory.mktemp("sweep") / "twelve"
    write_sweep(folder)
    for run in folder.glob("tvconv*"):
        (run / "last.ckpt").symlink_to(tvconv_run / "last.ckpt")
    return folder


@pytest.fixture(scope="module")
def page(sweep):
    """The page of the twelve cells, as the command writes it."""
    assert module_of("report").main(["html", str(sweep)]) == 0
    return sweep / "report.html"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    with browser(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


def written(folder: Path, **options) -> str:
    return sweep_page([folder], PageOptions(**options))


def small(folder: Path, **changed) -> Path:
    write_sweep(folder, **({"operators": ("depthwise.Depthwise", "tvconv.TVConv"), "widths": (0.1,)} | changed))
    return folder


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [400, 1280])
def test_it_loads_without_an_error_or_a_request_and_fits_the_window(page, chromium, width, dark):
    chromium.requests.clear()
    chromium.open(page, width, dark)
    assert chromium.problems == []
    assert {address.partition(":")[0] for address in chromium.requests} == {"file", "data"}
    assert chromium.value("document.documentElement.scrollWidth") <= width
    red, green, blue = map(int, re.findall(r"\d+", chromium.value("getComputedStyle(document.body).backgroundColor")))
    assert (red + green + blue < 200) == dark


def test_every_plot_is_drawn(page, chromium):
    chromium.open(page)
    plots = chromium.value("""[...document.querySelectorAll("svg")].map(svg => ({
        name: svg.closest("section").id,
        lines: [...svg.querySelectorAll("g[data-cell] path")].map(path => path.getTotalLength()),
        dots: svg.querySelectorAll("g circle").length,
        height: svg.getBoundingClientRect().height,
    }))""")
    counts = {name: sum(plot["name"] == name for plot in plots) for name in {plot["name"] for plot in plots}}
    # Two benchmarks; the costs are multiply-adds, parameters and images/s; curves of the loss and two accuracies.
    assert counts == {"findings": 2, "accuracy-and-cost": 3, "training": 3, "roc-and-det": 2 * 2}
    for plot in plots:
        dots = {"findings": 3 * 3, "accuracy-and-cost": 12}.get(plot["name"], 0)
        assert (plot["dots"], len(plot["lines"])) == (dots, 0 if dots else 12)
        assert plot["height"] > 100 and all(length > 50 for length in plot["lines"])
    assert chromium.value("""[...document.images].every(image => image.naturalWidth > 0)""")
    assert chromium.value("document.images.length") == 3 * 6 * 5  # TVConv cells, layers, maps and weights


def test_every_dot_of_a_cost_has_a_label_and_none_covers_another(page, chromium):
    chromium.open(page)
    plots = chromium.value("""[...document.querySelectorAll("#accuracy-and-cost svg")].map(svg => [
        [...svg.querySelectorAll(".label")].map(text => text.getBBox()).map(b => [b.x, b.x + b.width, b.y + b.height]),
        [...svg.querySelectorAll("circle")].map(dot => [dot.cx.baseVal.value, dot.cy.baseVal.value])])""")
    for labels, dots in plots:
        assert len(labels) == len(dots) == 12
        for index, (left, right, bottom) in enumerate(labels):
            assert left >= 0 and right <= 362 and bottom < 225
            for low, high, other in labels[:index]:
                assert right < low + 2 or high < left + 2 or abs(bottom - other) > 9
            assert not any(left + 1 < x < right - 1 and bottom - 10 < y < bottom - 2 for x, y in dots)


def test_a_group_has_one_colour_in_all_plots_and_legends(page):
    found = page.read_text()
    drawn = set(re.findall(r'data-group="(\d+)"', found))
    lines = set(re.findall(r'<g class="(c\d)" data-cell="\d+" data-group="(\d+)">', found))
    named = set(re.findall(r'<li data-group="(\d+)"><i class="(c\d)"></i>', found))
    assert {(group, colour) for colour, group in lines} == named and len(named) == len(drawn) == 4


def test_a_dashed_line_is_spoken_of_where_there_is_one(tmp_path, page):
    def figures(text: str) -> list[str]:
        return re.findall(
            "<figure>.*?</figure>", text.partition('id="accuracy-and-cost"')[2].partition("</section>")[0]
        )

    small(tmp_path, operators=("depthwise.Depthwise", "ddf.DDF"))  # DDF costs more and is better: both are on the line
    for run in tmp_path.glob("ddf*"):
        content = json.loads((run / "results.json").read_text())
        content["training_images_per_second"] = 1000
        (run / "results.json").write_text(json.dumps(content))
    found = [*figures(page.read_text()), *figures(written(tmp_path))]
    drawn = ['class="front"' in figure for figure in found]
    assert drawn == [says(figure, "dashed line") for figure in found] and set(drawn) == {True, False}


def test_logarithmic_axes_say_so(page):
    found = page.read_text()
    assert found.count(">False accept rate, logarithmic</text>") == 2 and found.count(">False accept rate</text>") == 0
    assert found.count(">Multiply-adds (M), logarithmic</text>") == 1 and found.count(">Images/s</text>") == 1


def test_a_click_on_a_header_sorts_and_another_one_turns_the_order(page, chromium):
    chromium.open(page)
    column = """[...document.querySelectorAll("#runs tbody tr")].map(row => row.cells[INDEX].textContent)"""
    names = chromium.value("""[...document.querySelectorAll("#runs th")].map(cell => cell.textContent)""")
    for name, number in (("lfw", True), ("MACs (M)", True), ("Operator", False)):
        index = names.index(name)
        before = chromium.value(column.replace("INDEX", str(index)))
        key = (lambda text: float(text.split()[0])) if number else str.lower
        for turn in (number, not number):
            chromium.value(f"""document.querySelectorAll("#runs th button")[{index}].click()""")
            after = chromium.value(column.replace("INDEX", str(index)))
            assert sorted(after) == sorted(before)
            assert list(map(key, after)) == sorted(map(key, before), reverse=turn)
            direction = chromium.value(f"""document.querySelectorAll("#runs th")[{index}].ariaSort""")
            assert direction == ("descending" if turn else "ascending")


def test_the_mouse_on_a_line_highlights_its_network_in_all_plots(page, chromium):
    chromium.open(page)
    over = """document.querySelector("#training svg g[data-cell='3'] path")
        .dispatchEvent(new MouseEvent("mouseover", {bubbles: true}))"""
    chromium.value(over)
    lit = chromium.value("""[...document.querySelectorAll("svg .on")].map(part => part.dataset.cell)""")
    assert lit == ["3"] * (3 + 3 + 4)
    chromium.value("""document.body.dispatchEvent(new MouseEvent("mouseover", {bubbles: true}))""")
    assert chromium.value("""document.querySelectorAll("svg .on, .pointing").length""") == 0


def hostile_sweep(folder: Path) -> Path:
    """Names of benchmarks, images, classes, settings and commands that are programs elsewhere."""
    named = HOSTILE.removesuffix("\udcff")  # a file of scores holds no such names
    small(folder, benchmarks=("lfw", named))
    for run in find_runs([folder]):
        content = json.loads((run / "results.json").read_text())
        content["config"]["optimizer"][HOSTILE] = f"{HOSTILE}{run.name}"
        content["config"]["backbone"]["_target_"] = f"facerec.{HOSTILE}"
        content |= {"command": HOSTILE, "git_commit": HOSTILE, "environment": {HOSTILE: HOSTILE}}
        content["data"]["train"]["fingerprint"] = HOSTILE
        (run / "results.json").write_text(json.dumps(content))
        with np.load(run / "last_scores.npz") as file:
            arrays = dict(file)
        for name in ("lfw", named):
            arrays[f"{name}/images"] = np.array([f"{named}{i}" for i in range(len(arrays[f"{name}/images"]))])
        np.savez_compressed(run / "last_scores.npz", **arrays)
    return folder


def test_names_from_a_run_are_text(tmp_path):
    found = written(hostile_sweep(tmp_path / "a<b>"), allow=("optimizer",))
    assert found.count("<script") == 1 and found.count("<img") == 0
    assert "&lt;script&gt;window.hacked=1" in found
    assert "<title>a&lt;b&gt; - facerec</title>" in found


def test_nothing_from_a_run_is_executed(tmp_path, chromium):
    file = tmp_path / "page.html"
    file.write_text(written(hostile_sweep(tmp_path / "a"), allow=("optimizer",)), encoding="utf-8")
    chromium.open(file)
    assert chromium.problems == [] and chromium.value("typeof window.hacked") == "undefined"
    assert HOSTILE.replace("\udcff", "?") in chromium.value("document.body.textContent")
    # Even a program in the page itself is refused by its policy.
    file.write_text(file.read_text().replace("</main>", "<script>window.hacked = 1</script></main>"))
    chromium.open(file)
    assert chromium.value("typeof window.hacked") == "undefined"
    assert says(chromium.problems.pop(), "Content Security Policy")


def test_forty_runs_are_far_below_five_megabytes(tmp_path):
    write_sweep(tmp_path, widths=(0.1, 0.2, 0.3, 0.5, 1.0), seeds=(1, 2), pairs=1000, epochs=38)
    assert len(find_runs([tmp_path])) == 40
    assert 200_000 < len(written(tmp_path).encode()) < 1_500_000


def test_runs_that_cannot_be_compared_say_why(tmp_path):
    small(tmp_path, operators=("tvconv.TVConv",), widths=(0.1, 0.2))
    assert says(written(tmp_path), "cannot be compared", "operator", "name runs that differ")
    assert says(written(tmp_path, over="width"), "width=0.2 with width=0.1")


def test_what_allow_let_pass_is_listed(tmp_path):
    small(tmp_path, widths=(0.1, 0.2))
    assert says(written(tmp_path), "Runs that differ in operator alone") and not says(
        written(tmp_path), "What else differs"
    )
    for run in tmp_path.glob("tvconv*"):
        content = json.loads((run / "results.json").read_text())
        content["git_commit"] = f"{run.name.partition('width=0.')[2][0]}abc"
        content["config"]["optimizer"]["lr"] = 0.5
        (run / "results.json").write_text(json.dumps(content))
    assert says(written(tmp_path, allow=("optimizer",)), "cannot be compared", "commit")
    found = written(tmp_path, allow=("commit", "optimizer"))
    assert "operator alone" not in found
    assert says(found, "differ in operator and in 2 more settings", "may be due", "What else differs: 2 settings")
    assert re.findall("<li><b>optimizer.lr</b>: (.*?)</li>", found) == ["0.1, 0.5"]
    (commits,) = re.findall("<li><b>commit</b>: (.*?)</li>", found)
    assert set(commits.split(", ")) >= {"1abc", "2abc"}  # those of both widths


def test_a_run_that_lacks_files_is_named_with_what_it_lacks(tmp_path):
    small(tmp_path)
    for name in ("last_scores.npz", "metrics.csv"):
        for file in tmp_path.rglob(name):
            file.unlink()
    found = written(tmp_path)
    for run in find_runs([tmp_path]):
        assert says(found, f"{run}/metrics.csv", f"{run}/last.ckpt is missing")
    assert says(found, "last_scores.npz is missing", "No run has curves", "No run has scores", "cannot be compared")


def test_scores_that_draw_no_curve_are_named(tmp_path):
    small(tmp_path)
    file = next(tmp_path.rglob("last_scores.npz"))
    with np.load(file) as arrays:
        np.savez_compressed(file, **(dict(arrays) | {"lfw/scores": np.full(600, np.nan, np.float32)}))
    assert says(written(tmp_path), str(file), "finite", "lfw", "evaluate the run again")


def test_benchmarks_are_side_by_side_whichever_run_was_verified_on_them(tmp_path):
    small(tmp_path / "a", benchmarks=("lfw",))
    small(tmp_path / "b", benchmarks=("cfp_ff",))
    names = names_of_columns(written(tmp_path))
    first = names.index("lfw")
    assert names[first - 1 : first + 3] == ["Epoch", "lfw", "cfp_ff", "MACs (M)"] and names[-1] == "Images/s"


def names_of_columns(page: str) -> list[str]:
    return re.findall(r"<button[^>]*>([^<]*)<", page.partition('id="runs"')[2].partition("</thead>")[0])


def test_on_what_best_epochs_were_chosen_is_a_column_if_it_differs(tmp_path):
    small(tmp_path)
    for run, expected in zip(find_runs([tmp_path]), ("lfw", "cfp_ff"), strict=True):
        content = json.loads((run / "results.json").read_text()) | {"best_chosen_on": [expected]}
        (run / "results.json").write_text(json.dumps(content))
    assert names_of_columns(written(tmp_path))[-1] == "Chosen on"
    (tmp_path / "b").mkdir()
    run.rename(tmp_path / "b" / run.name)
    assert says(written(tmp_path / "b"), "it was chosen on cfp_ff") and "Chosen on" not in written(tmp_path / "b")


def with_maps(run: Path, epochs: int) -> np.ndarray:
    """Let a run have kept the maps of two layers; returns those of the first."""
    maps = np.random.default_rng(0).normal(size=(epochs, 3, 6, 5)).astype(np.float16)
    np.savez_compressed(run / "affinity_maps.npz", epochs=np.arange(epochs), first=maps, second=maps[:, :, :3, :3])
    return maps


def test_maps_of_the_first_layer_are_shown_over_evenly_spaced_epochs(tmp_path):
    small(tmp_path, seeds=(1, 2))
    assert not says(written(tmp_path), "over the epochs")
    (run,) = tmp_path.glob("tvconv*seed=2")  # the first seed has none
    maps = with_maps(run, 11).astype(float)
    (part,) = re.findall(r"<figcaption>first over the epochs, seed 2</figcaption>.*?</figure>", written(tmp_path))
    assert re.findall(r"<td>(\d+)</td>", part) == ["1", "3", "5", "7", "9", "11"]
    titles = re.findall(r'title="(epoch \d+, map \d): (\S+) to', part)
    assert titles == [
        (f"epoch {e + 1}, map {m + 1}", f"{maps[e, m].min():.3g}") for e in range(0, 11, 2) for m in range(3)
    ]


def test_maps_of_a_run_that_diverged_are_said_to_be_not_finite(tmp_path):
    small(tmp_path)
    (run,) = tmp_path.glob("tvconv*")
    maps = with_maps(run, 3)
    maps[1:, 0] = np.nan
    maps[:, 1] = np.inf
    np.savez_compressed(run / "affinity_maps.npz", epochs=np.arange(3), first=maps)
    found = written(tmp_path)
    assert re.findall(r'title="(epoch \d, map \d)">not finite<', found) == [
        *("epoch 1, map 2", "epoch 2, map 1", "epoch 2, map 2", "epoch 3, map 1", "epoch 3, map 2")
    ]
    assert f'title="epoch 1, map 1: {maps[0, 0].min():.3g} to' in found and found.count("<img") == 4


def test_damaged_maps_are_named_and_the_page_is_written(tmp_path):
    small(tmp_path)
    (run,) = tmp_path.glob("tvconv*")
    (run / "affinity_maps.npz").write_bytes(b"PK")
    assert says(written(tmp_path), f"{run}/affinity_maps.npz is damaged")
    np.savez_compressed(run / "affinity_maps.npz", epochs=np.arange(3), first=np.zeros((3, 2)))
    assert says(written(tmp_path), f"{run}/affinity_maps.npz is damaged", "each epoch")


def measured(folder: Path, megabytes: dict[str, float]) -> None:
    """Write what facerec plot_paper figure=9 keeps."""
    speeds = {name: {"images_per_second": 9.0, "peak_memory_mb": number} for name, number in megabytes.items()}
    (folder / "paper_speed.json").write_text(json.dumps({"machine": "a small computer", "networks": speeds}))


def test_peak_memory_is_drawn_where_it_was_measured(tmp_path):
    small(tmp_path, widths=(0.1, 0.2))
    found = written(tmp_path)
    assert says(found, "Peak memory of 4 networks is not measured", f"facerec plot_paper figure=9 {tmp_path}")
    assert not says(found, "Accuracy against peak memory")
    sizes = {
        f"MobileNetV2 x{width:g}, {operator}": 10.5 * width for operator in ("Depthwise", "TVConv") for width in (1, 2)
    }
    measured(tmp_path, sizes | {"another": 7.0})
    assert says(written(tmp_path), "Peak memory of 4 networks is not measured")
    sizes = {name.replace(" x", " x0."): size for name, size in sizes.items()}
    measured(tmp_path, sizes)
    found = written(tmp_path)
    assert not says(found, "is not measured") and says(found, "Accuracy against peak memory", "on a small computer")
    shown = re.findall(r"<title>(\w+), (MobileNetV2 x0\.\d): [\d.]+ %, ([\d.]+) peak memory", found)
    assert {f"{backbone}, {operator}": float(size) for operator, backbone, size in shown} == sizes
    measured(tmp_path, dict(list(sizes.items())[1:]))
    assert says(written(tmp_path), "Accuracy against peak memory", "Peak memory of 1 network is not measured")


def test_a_damaged_file_of_measured_memory_is_named(tmp_path):
    small(tmp_path)
    (tmp_path / "paper_speed.json").write_text("{}")
    assert says(written(tmp_path), "Peak memory is not drawn", f"{tmp_path}/paper_speed.json", "remove it")


def test_a_setting_that_no_run_has_is_refused(tmp_path):
    small(tmp_path)
    with refuses("widht", "width", error=InputError):
        written(tmp_path, over="widht")


def test_the_faces_of_the_hardest_pairs_are_shown_only_if_asked(depthwise_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pictures = r'<img src="data:image/jpeg;base64,[\w+/=]+" alt="face"'
    assert re.findall(pictures, written(depthwise_run)) == []
    shown = re.findall(pictures, written(depthwise_run, faces=True))
    assert len(shown) == 2 * 10 and len(set(shown)) > 2


def test_faces_of_data_that_are_gone_are_named(tmp_path):
    small(tmp_path)
    assert says(written(tmp_path, faces=True), "faces cannot be shown")


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_page_of_a_real_run_is_whole(depthwise_run, tvconv_run, tmp_path, chromium):
    out = tmp_path / "new" / "page.html"
    given = [str(depthwise_run), str(tvconv_run), f"out={out}", "allow=commit"]
    assert module_of("report").main(["html", *given]) == 0
    chromium.open(out)
    assert chromium.problems == []
    sections = chromium.value("""[...document.querySelectorAll("section")].map(s => s.innerText)""")
    assert len(sections) == 9 and every(len(text) > 40 for text in sections)
    links = chromium.value("""[...document.querySelectorAll("nav a")].map(a => a.hash)""")
    assert every(chromium.value(f"""document.querySelector({json.dumps(link)}) !== null""") for link in links)
