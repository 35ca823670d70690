import json
import shutil

import cv2
import numpy as np
import pytest
from says import says

from facerec.commands.main import module_of


@pytest.fixture
def runs(depthwise_run, tvconv_run, tmp_path):
    """Both runs below one folder."""
    for run in (depthwise_run, tvconv_run):
        shutil.copytree(run, tmp_path / run.parents[2].name)
    return tmp_path


def test_the_picture_has_a_curve_for_each_run_and_the_maps_of_tvconv(runs):
    module = module_of("plot_runs")
    found = module.find_runs([runs])
    assert len(found) == 2
    figure = module.figure_of(found)
    roc, *maps = figure.axes
    assert figure.subfigs[0].legends[0].get_title().get_text() == "accuracy ± standard deviation over the folds"
    assert figure.subfigs[1].get_suptitle().startswith("TVConv, MobileNetV2 x0.1\n")
    labels = [line.get_label() for line in roc.get_lines()]
    networks = ["Depthwise, MobileNetV2 x0.1, synthetic", "TVConv, MobileNetV2 x0.1, synthetic", "chance"]
    assert [label.partition(":")[0] for label in labels] == networks
    # Four layers of four maps, and of the weights.
    assert len(maps) == 4 * 5 and all(len(axes.get_images()) == 1 for axes in maps)


def test_the_curves_are_those_of_the_best_checkpoints_scores(tvconv_run):
    module = module_of("plot_runs")
    ((label, (false_accepts, true_accepts)),) = module.curves([tvconv_run]).items()
    summary = module.RunResults.read(tvconv_run).best["benchmarks"]["synthetic"]
    assert label.endswith(f"AUC {summary['auc']:.3f}") and label.startswith("TVConv, MobileNetV2 x0.1, synthetic: ")
    assert np.trapezoid(true_accepts, false_accepts) == pytest.approx(summary["auc"], abs=1e-6)


def test_runs_without_maps_have_the_curves_alone(depthwise_run):
    module = module_of("plot_runs")
    assert len(module.figure_of([depthwise_run]).axes) == 1


def test_the_program_writes_the_picture(runs, capsys):
    out = runs / "new" / "runs.png"
    assert module_of("plot_runs").main([str(runs), f"out={out}"]) == 0
    assert str(out) in capsys.readouterr().err
    assert cv2.imread(str(out)).shape == (825, 1950, 3)


def test_the_maps_are_of_the_checkpoint_that_counts_as_the_best(tvconv_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tvconv_run, run)
    results = json.loads((run / "results.json").read_text())
    results["best"]["checkpoint"] = "last.ckpt"
    (run / "results.json").write_text(json.dumps(results))
    (run / "best.ckpt").unlink()
    assert len(module_of("plot_runs").trained_layers(run)) == 4


@pytest.mark.parametrize("missing", ["scores.npz", "best.ckpt"])
def test_a_run_that_lacks_a_file_is_named(missing, runs, capsys):
    for file in runs.rglob(missing):
        file.unlink()
    assert module_of("plot_runs").main([str(runs), f"out={runs / 'a.png'}"]) == 1
    said = capsys.readouterr().err
    assert missing in said and said.count("\n") == 1
    assert not (runs / "a.png").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.pop("synthetic/scores"),
        lambda arrays: arrays.update({"synthetic/scores": arrays["synthetic/scores"][:-1]}),
        lambda arrays: arrays.update({"synthetic/scores": arrays["synthetic/scores"] * np.nan}),
        lambda arrays: arrays.update({"synthetic/is_same": np.ones(40, bool)}),
    ],
)
def test_scores_of_other_pairs_are_named(change, runs, capsys):
    scores = next(runs.rglob("scores.npz"))
    arrays = dict(np.load(scores))
    change(arrays)
    np.savez(scores, **arrays)
    assert module_of("plot_runs").main([str(runs)]) == 1
    said = capsys.readouterr().err
    assert says(said, str(scores), "synthetic", "remove", "results.json", "resume=auto") and said.count("\n") == 1


def test_a_folder_without_runs_is_named(tmp_path, capsys):
    assert module_of("plot_runs").main([str(tmp_path / "gone")]) == 1
    assert says(capsys.readouterr().err, "no results.json", str(tmp_path / "gone"))
