"""The figures of the paper from finished runs: what is drawn, measured, kept, said and refused."""

import csv
import json
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import mean

import cv2
import numpy as np
import pytest
import torch
from running import DATA
from says import refuses, says

from facerec.commands import paper_tradeoffs, plot_paper
from facerec.config.compose import compose, resolved
from facerec.config.trained import build_trained
from facerec.errors import InputError
from facerec.perf import kept_speeds
from facerec.perf.paper_speed import PaperSpeed, measure_as_in_paper
from facerec.plots.accuracy_cost import Point, accuracy_figure
from facerec.plots.map_figures import maps_figure, statistics_figure
from facerec.plots.network import spatial_layers, spread
from facerec.runs.paper_runs import accuracy_rows, trained_networks
from facerec.runs.run_results import RunResults

PAPER_SWEEP = cache(paper_tradeoffs.paper_sweep)


@pytest.fixture(autouse=True)
def composed_once(monkeypatch):
    """To compose a sweep takes longer than to draw most figures, and it is the same for all tests."""
    monkeypatch.setattr(paper_tradeoffs, "paper_sweep", PAPER_SWEEP)


@pytest.fixture
def runs(depthwise_run, tvconv_run, tmp_path):
    """Both runs below one folder, and the second once more with another seed and accuracy."""
    for run in (depthwise_run, tvconv_run):
        shutil.copytree(run, tmp_path / run.parents[2].name)
    other = json.loads((tvconv_run / "results.json").read_text())
    other["config"]["seed"] = 2
    other["last"]["benchmarks"]["synthetic"]["accuracy"] += 0.02
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "results.json").write_text(json.dumps(other))
    return tmp_path


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved, instead of files."""
    figures = []
    monkeypatch.setattr(plot_paper, "save_figure", lambda figure, path: figures.append(figure))
    return figures


def results(folder) -> list[RunResults]:
    return [RunResults.read(file.parent) for file in sorted(folder.rglob("results.json"))]


def accuracy(result: RunResults) -> float:
    return 100 * result.last["benchmarks"]["synthetic"]["accuracy"]


class TestAccuracyAgainstCost:
    def test_the_points_are_the_means_over_seeds_and_the_bars_reach_to_each(self, runs, drawn, capsys):
        assert plot_paper.main(["figure=4", str(runs)]) == 0
        (axes,) = drawn[0].axes
        by_name = {c.get_label(): c.get_children() for c in axes.containers}
        assert list(by_name) == ["TVConv", "Depthwise"] and axes.get_xlabel() == "MACs (M)"
        assert "synthetic" in axes.get_ylabel() and axes.get_xscale() == "log"
        of_tvconv = [r for r in results(runs) if "TVConv" in r.config["operator"]["_target_"]]
        assert len(of_tvconv) == 2
        point = by_name["TVConv"][0].get_xydata()
        expected = [of_tvconv[0].cost["macs_paper"] / 1e6, mean(map(accuracy, of_tvconv))]
        np.testing.assert_allclose(point, [expected])
        bars = [line.get_ydata() for line in by_name["TVConv"] if hasattr(line, "get_ydata")][1:]
        np.testing.assert_allclose(sorted(np.concatenate(bars)), sorted(map(accuracy, of_tvconv)))
        said = capsys.readouterr().err
        assert says(said, "0 of 50", "sweep=figure4", "skip_finished=true resume=auto", "0 of 30", "figure4_shufflenet")
        assert says(said, "3 of 3 runs", "image_size")

    def test_an_operator_keeps_its_colour_whichever_others_are_drawn(self):
        def colours(*lines: str) -> dict[str, str]:
            points = [Point(line, "x0.1", (0.5,), {"MACs (M)": 1.0}) for line in lines]
            (axes,) = accuracy_figure(points, ["MACs (M)"], "lfw").axes
            return {c.get_label(): c.lines[0].get_color() for c in axes.containers}

        few, all_of = colours("Depthwise", "SASA"), colours("TVConv", "Depthwise", "DDF", "SASA", "Mine")
        assert few.items() <= all_of.items() and len(set(all_of.values())) == 5
        both = colours("MobileNetV2, Depthwise", "ShuffleNetV2, Depthwise", "MLPMixer")
        assert set(both.values()) == {few["Depthwise"], both["MLPMixer"]}

    def test_the_other_cost_is_what_is_stored(self, runs, drawn):
        assert plot_paper.main(["figure=7", str(runs)]) == 0
        macs, stored = drawn[0].axes
        result = next(r for r in results(runs) if "TVConv" in r.config["operator"]["_target_"])
        expected = (result.cost["params_deployed"] + result.cost["weight_map_elements"]) / 1e6
        assert stored.containers[0].get_children()[0].get_xdata() == [expected]
        assert macs.get_xlabel() == "MACs (M)" and "cached weights" in stored.get_xlabel()

    def test_the_picture_is_written_where_the_runs_are(self, runs):
        assert plot_paper.main(["figure=4", str(runs)]) == 0
        assert cv2.imread(str(runs / "figure4.png")).shape[0] > 400


class TestMeasured:
    @pytest.fixture
    def calls(self, monkeypatch):
        found = []

        def measure(network, size):
            found.append(size)
            return PaperSpeed(100.0 * len(found), 8, 1, 20.0)

        monkeypatch.setattr(kept_speeds, "measure_as_in_paper", measure)
        return found

    def test_each_network_is_measured_once_for_both_figures(self, runs, drawn, calls, capsys):
        assert plot_paper.main(["figure=8", str(runs), f"out={runs}/a.png"]) == 0
        assert calls == [(32, 32)] * 2  # two networks, one of two seeds
        printed = json.loads(capsys.readouterr().out)
        assert [speed["images_per_second"] for speed in printed.values()] == [100.0, 200.0]
        assert plot_paper.main(["figure=9", str(runs), f"out={runs}/b.png"]) == 0
        assert len(calls) == 2
        points = [container.get_children()[0].get_xdata()[0] for container in drawn[0].axes[0].containers]
        assert points == [100.0, 200.0] and "32x32 pixels" in drawn[0].axes[0].get_title().replace("\n", " ")
        assert [c.get_children()[0].get_xdata()[0] for c in drawn[1].axes[0].containers] == [20.0, 20.0]

    def test_what_was_measured_before_an_interruption_is_kept(self, runs, drawn, calls):
        assert plot_paper.main(["figure=8", str(runs), f"out={runs}/a.png"]) == 0
        kept = json.loads((runs / "paper_speed.json").read_text())
        kept["networks"].popitem()
        (runs / "paper_speed.json").write_text(json.dumps(kept))
        assert plot_paper.main(["figure=8", str(runs), f"out={runs}/a.png"]) == 0
        assert len(calls) == 3

    def test_another_machine_measures_again(self, runs, drawn, calls):
        assert plot_paper.main(["figure=8", str(runs), f"out={runs}/a.png"]) == 0
        kept = json.loads((runs / "paper_speed.json").read_text())
        (runs / "paper_speed.json").write_text(json.dumps({**kept, "machine": "another"}))
        assert plot_paper.main(["figure=8", str(runs), f"out={runs}/a.png"]) == 0
        assert len(calls) == 4

    def test_a_file_of_something_else_is_refused(self, runs, drawn, calls, capsys):
        (runs / "paper_speed.json").write_text('{"networks": [1]}')
        assert plot_paper.main(["figure=8", str(runs), f"out={runs}/a.png"]) == 1
        assert says(capsys.readouterr().err, "paper_speed.json", "remove")


def test_the_rate_is_the_best_of_batch_sizes_and_threads(monkeypatch):
    seconds = {(1, 1): 0.5, (2, 1): 0.5, (4, 1): 0.5, (8, 1): 2.0, (16, 1): 9.0}
    seconds |= {(batch, 2): 2 * value for (batch, _), value in seconds.items()}
    monkeypatch.setattr("facerec.perf.paper_speed.available_cores", lambda: 2)
    monkeypatch.setattr(
        "facerec.perf.paper_speed.time_passes", lambda network, x, _: [seconds[len(x), torch.get_num_threads()]] * 3
    )
    found = measure_as_in_paper(torch.nn.Conv2d(3, 2, 3), (8, 8), seconds=0)
    assert (found.images_per_second, found.batch, found.threads) == (8.0, 4, 1) and found.peak_memory_mb > 0


class TestTheTable:
    def test_has_a_row_for_each_network_in_every_format(self, runs, capsys):
        for suffix in ("md", "csv", "tex"):
            assert plot_paper.main(["figure=5", str(runs), f"out={runs}/table.{suffix}"]) == 0
        with (runs / "table.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert [(row["backbone"], row["operator"], row["seeds"]) for row in rows] == [
            ("MobileNetV2 x0.1", "Depthwise", "1"),
            ("MobileNetV2 x0.1", "TVConv", "2"),
        ]
        assert "±" in rows[1]["synthetic"] and "±" not in rows[0]["synthetic"]
        assert "| MobileNetV2 x0.1 |" in (runs / "table.md").read_text()
        assert r"\begin{tabular}" in (runs / "table.tex").read_text()
        assert says(capsys.readouterr().out, "Depthwise", "TVConv")

    def test_has_the_mean_over_several_benchmarks(self, tvconv_run):
        result = RunResults.read(tvconv_run)
        one = result.last["benchmarks"]["synthetic"]
        result.last["benchmarks"] = {"a": {**one, "accuracy": 0.5}, "b": {**one, "accuracy": 0.6}}
        (row,) = accuracy_rows(trained_networks([result]), ["a", "b"])
        assert (row["a"], row["b"], row["mean"]) == ("50.00", "60.00", "55.00")


def test_of_repeated_runs_of_a_seed_the_last_one_counts(tvconv_run):
    first, again = RunResults.read(tvconv_run), RunResults.read(tvconv_run)
    object.__setattr__(again, "started", "2999-01-01T00:00:00")
    (network,) = trained_networks([again, first])
    assert [run.started for run in network.runs] == ["2999-01-01T00:00:00"]


class TestMissingCells:
    """Which of the paper's runs are there, and what is said of others."""

    @pytest.fixture
    def of_paper(self, tvconv_run, tmp_path, monkeypatch):
        """Writes the results of a cell of a sweep, as if it had been trained."""
        monkeypatch.chdir(tmp_path)
        content = json.loads((tvconv_run / "results.json").read_text())

        def write(*overrides: str) -> Path:
            config = resolved(compose([*overrides, "data.root=my faces"]))
            folder = tmp_path / "outputs" / "mine" / str(len(list(tmp_path.glob("outputs/mine/*"))))
            folder.mkdir(parents=True)
            (folder / "results.json").write_text(json.dumps(content | {"config": config}))
            return folder.parent

        return write

    @pytest.mark.parametrize(
        ("figure", "cells", "facts"),
        [
            (
                "4",
                [["sweep=figure4", "operator=tvconv", "width=0.1"], ["sweep=figure4_shufflenet", "operator=depthwise"]],
                ("1 of 50", "0 of 30"),
            ),
            ("5", [["sweep=figure4_shufflenet", "operator=depthwise", "width=1.5"]], ("0 of 50", "1 of 30")),
            (
                "7",
                [
                    *(["sweep=figure7", f"operator={one}", "width=0.2"] for one in ("condconv", "dyconv_pw", "axial")),
                    ["sweep=figure7_mixer", "width=0.75"],
                ],
                ("3 of 250", "1 of 25"),
            ),
        ],
    )
    def test_a_run_counts_where_it_is_a_cell(self, figure, cells, facts, of_paper, drawn, tmp_path, capsys):
        for cell in cells:
            folder = of_paper(*cell, "seed=3", "trainer=cpu", "protocol=tvconv")
        out = tmp_path / ("a.md" if figure == "5" else "a.png")
        assert plot_paper.main([f"figure={figure}", str(folder), f"out={out}"]) == 0
        assert says(capsys.readouterr().err, *facts)

    def test_each_setting_that_is_not_the_papers_is_found(self, tvconv_run):
        sweep, result = paper_tradeoffs.paper_sweep("figure4"), RunResults.read(tvconv_run)
        cell = ["sweep=figure4", "operator=tvconv", "width=0.1", "seed=3", "data.root=faces"]
        changes = {
            "trainer.max_epochs": "trainer.max_epochs=4",
            "operator.affinity_channels": "operator.affinity_channels=8",
            "image_size": "image_size=112",
            "head": "head=arcface",
            "data.train_augmentation.rotation": "augmentation@data.train_augmentation=rotation",
            "data.global_batch_size": "data.global_batch_size=128",
            "trainer.limit_train_batches": "+trainer.limit_train_batches=4",
            "seed": "seed=6",
            "operator": "operator=sasa",
            "width": "width=0.7",
        }
        config = resolved(compose(cell))
        assert sweep.differences(replace(result, config=config)) == []
        assert len(sweep.missing([replace(result, config=config)])) == 49
        for key, change in changes.items():
            changed = replace(result, config=resolved(compose([*cell, change])))
            assert key in sweep.differences(changed) and len(sweep.missing([changed])) == 50

    def test_the_command_writes_to_the_folder_that_was_named_with_the_runs_own_data(self, of_paper, drawn, capsys):
        folder = of_paper("sweep=figure4", "operator=tvconv", "width=0.1", "seed=3")
        assert plot_paper.main(["figure=4", str(folder)]) == 0
        said = capsys.readouterr().err
        assert "sweep=figure4 data.root='my faces' name=mine skip_finished=true" in said and "not the paper" not in said
        folder.rename(folder.with_name("figure4"))
        assert plot_paper.main(["figure=4", str(folder.with_name("figure4"))]) == 0
        assert "data.root='my faces' skip_finished=true" in capsys.readouterr().err


class TestMaps:
    def test_by_layer_alone_says_how_the_epochs_are_kept(self, tvconv_run, tmp_path, drawn, capsys):
        assert plot_paper.main(["figure=6", str(tvconv_run), f"out={tmp_path}/a.png"]) == 0
        assert says(capsys.readouterr().err, "affinity_maps.npz", "callbacks=maps")
        assert len(drawn[0].axes) == 6 * 5  # six layers of four maps and their weights
        title = drawn[0].subfigs[0].get_suptitle()
        assert says(title, "TVConv, MobileNetV2 x0.1, seed 1, after epoch 3", f"{tvconv_run.name}/last.ckpt")

    def test_one_layer_is_followed_over_the_epochs(self, tvconv_run, tmp_path, drawn):
        run = shutil.copytree(tvconv_run, tmp_path / "run")
        network, _, _ = build_trained(run / "last.ckpt")
        name, layer = list(spread(spatial_layers(network), 6).items())[1]
        history = np.stack([layer.affinity_maps.detach()[0].numpy() * factor for factor in (1, 2, 3)])
        np.savez(run / "affinity_maps.npz", epochs=np.arange(3), other=history, **{name: history})
        assert plot_paper.main(["figure=6", str(run), f"layer={name}", f"out={tmp_path}/a.png"]) == 0
        below = drawn[0].axes[6 * 5 :]
        assert [cell.get_title() for cell in below[:6]] == ["epoch 1", "epoch 2", "epoch 3", "", "", ""]
        for index, cell in enumerate(below[:3]):
            np.testing.assert_allclose(cell.get_images()[0].get_array(), history[index, 0], rtol=1e-5)

    def test_of_several_runs_the_one_that_is_drawn_is_said(self, runs, drawn, capsys):
        assert plot_paper.main(["figure=6", str(runs)]) == 0
        path = str(next(path for path in runs.rglob("last.ckpt") if "tvconv" in str(path)))
        assert says(capsys.readouterr().err, path, "of 2 checkpoints")

    def test_a_layer_that_is_not_kept_is_refused(self, tvconv_run, tmp_path, capsys):
        run = shutil.copytree(tvconv_run, tmp_path / "run")
        np.savez(run / "affinity_maps.npz", epochs=np.arange(1), first=np.zeros((1, 4, 2, 2)))
        assert plot_paper.main(["figure=6", str(run), "layer=second", f"out={tmp_path}/a.png"]) == 1
        assert says(capsys.readouterr().err, "layer=second", "first")

    def test_a_depthwise_network_has_none(self, depthwise_run, tmp_path, capsys):
        assert plot_paper.main(["figure=6", str(depthwise_run), f"out={tmp_path}/a.png"]) == 1
        assert says(capsys.readouterr().err, "affinity maps", "operator=tvconv")

    def test_at_most_six_epochs_are_drawn_with_the_first_and_the_last(self, tvconv_run):
        network, _, _ = build_trained(tvconv_run / "last.ckpt")
        layers = spread(spatial_layers(network), 2)
        figure = maps_figure(layers, list(range(38)), np.random.default_rng(0).random((38, 4, 3, 3)), "layer", "run")
        titles = [axes.get_title() for axes in figure.axes if axes.get_title().startswith("epoch")]
        assert len(titles) == 6 and (titles[0], titles[-1]) == ("epoch 1", "epoch 38")


class TestTheDataBesideTheMaps:
    def test_both_figures_are_drawn_of_the_runs_own_images(self, tvconv_run, tmp_path, drawn, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert plot_paper.main(["figure=11", str(tvconv_run), "out=a.png"]) == 0
        assert plot_paper.main(["figure=12", str(tvconv_run), "out=b.png"]) == 0
        first, second = drawn
        assert len(first.axes) == 2 + 4 and first.axes[0].get_images()[0].get_array().shape == (32, 32, 3)
        assert len(second.axes) == 6 * (2 + 4)
        assert all("TVConv, MobileNetV2 x0.1, seed 1" in figure.get_suptitle() for figure in drawn)

    def test_the_correlations_are_those_of_numpy(self, tvconv_run):
        network, _, _ = build_trained(tvconv_run / "last.ckpt")
        layers = spread(spatial_layers(network), 1)
        (layer,) = layers.values()
        size = tuple(layer.affinity_maps.shape[2:])
        statistics = torch.rand(2, 3, *size)
        with torch.no_grad():
            layer.affinity_maps[0, 0].normal_()
            layer.affinity_maps[0, 1].fill_(1)
        axes = statistics_figure(statistics, layers, "run").axes
        one = layer.affinity_maps[0, 0].detach().numpy().ravel()
        expected = [np.corrcoef(one, part.mean(0).numpy().ravel())[0, 1] for part in statistics]
        shown = axes[2].get_xlabel().removeprefix("r ").split(", ")
        np.testing.assert_allclose([float(text) for text in shown], expected, atol=0.0051)
        assert axes[3].get_xlabel() == "r n/a, n/a"


class TestVariances:
    def test_trained_networks_and_one_that_is_not(self, depthwise_run, tvconv_run, drawn, capsys, tmp_path):
        own = ["backbone=timm", "backbone.name=resnet18", "operator=none", "image_size=32", "embedding_dim=16"]
        arguments = ["figure=1e", str(depthwise_run), str(tvconv_run / "last.ckpt"), *own, *DATA, "images=20"]
        arguments = [one for one in arguments if not one.startswith("trainer")]
        assert plot_paper.main([*arguments, f"out={tmp_path}/a.png"]) == 0
        found = json.loads(capsys.readouterr().out)
        names = ["Depthwise, MobileNetV2 x0.1", "TVConv, MobileNetV2 x0.1", "resnet18, untrained"]
        assert list(found) == names == [axes.get_title() for axes in drawn[0].axes]
        for layers in found.values():
            assert len(layers) >= 4
            assert all(0 < layer["intra"] < 1.001 and 0 < layer["cross"] < 1.001 for layer in layers)

    def test_without_a_network_it_says_what_to_give(self, tmp_path, capsys):
        assert plot_paper.main(["figure=1e", f"out={tmp_path}/a.png"]) == 1
        assert says(capsys.readouterr().err, "figure=1e", "folder of runs", "backbone=")


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["figure=3"], ("figure", "'3'", "1e", "12")),
        (["figure=4"], ("figure=4", "folder", "outputs/NAME")),
        (["figure=6", "{}/empty"], ("last.ckpt", "empty")),
        (["figure=4", "{}/empty"], ("results.json", "empty")),
        (["figure=4", "{}", "out={}/a.txt"], ("a.txt", ".png")),
        (["figure=5", "{}", "out={}/a.png"], ("a.png", ".md", ".csv", ".tex")),
        (["figure=4", "{}", "width=0.1"], ("figure=4", "width=0.1")),
        (["figure=1e", "{}", "images=1"], ("images", "2", "'1'")),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_sentence(arguments, facts, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert plot_paper.main([argument.format(tmp_path) for argument in arguments]) == 1
    said = capsys.readouterr().err
    assert says(said, *facts) and said.count("\n") == 1


def test_runs_without_a_common_benchmark_are_refused(depthwise_run, tvconv_run, tmp_path):
    for number, run in enumerate((depthwise_run, tvconv_run)):
        content = json.loads((run / "results.json").read_text())
        for epoch in ("best", "last"):
            content[epoch]["benchmarks"] = {f"b{number}": content[epoch]["benchmarks"]["synthetic"]}
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "results.json").write_text(json.dumps(content | {"best_chosen_on": [f"b{number}"]}))
    with refuses("benchmark", "common", error=InputError):
        plot_paper.draw(plot_paper.Settings("4", (tmp_path,), tmp_path / "a.png"))
