"""The exported files that run are the networks that were meant."""

import numpy as np
import torch

from facerec.backbones import MobileFaceNet
from facerec.data.loading import normalise
from facerec.exporting.formats import Model
from facerec.operators.grid_depthwise import GridDepthwise
from facerec.perf import export
from facerec.perf.network_speed import OURS
from facerec.perf.timing import QUICK, Effort

KINDS = ("", "x0.1, ", "embedded, ", "grid, ", "modern, ")


def test_a_case_writes_the_files_and_runs_them():
    (case,) = export.cases(QUICK)
    networks = ("TVConv x0.1", "depthwise x0.1")
    names = {f"{network}, {what}" for what in ("torchscript", "its best exact file") for network in networks}
    assert set(case.run().contenders) == names | {"depthwise x0.1, native"}


def test_the_network_beside_its_file_is_the_same(tmp_path):
    backbone, pixels = export.Network(OURS, 0.1, ()).build(32), export.random_pixels(2, 32)
    with torch.no_grad():
        expected = backbone(normalise(torch.from_numpy(pixels))).numpy()
    np.testing.assert_allclose(export._in_pytorch(backbone).embed(pixels), expected, atol=1e-3)


def test_the_best_exact_runtime_of_each_counts(monkeypatch):
    seconds = {"a, onnx": 4.0, "a, pt2": 2.0, "b, onnx": 5.0, "b, pt2": 8.0}
    seconds |= {f"{name}, {form}": 1.0 for name in "ab" for form in ("PyTorch", "native float16")}
    monkeypatch.setattr(export, "alternate", lambda calls, effort: {name: [seconds[name]] for name in calls})
    forms = ("onnx", "pt2", "PyTorch", "native float16")
    models = {name: {form: Model({}, len) for form in forms} for name in "ab"}
    rates = export._measure(lambda: models, 10, 4, QUICK)
    assert rates["a, its best exact file"] == [5] and rates["b, its best exact file"] == [2]


def test_the_headline_is_that_of_the_issue_at_every_batch():
    goals = {case.name: case.goals for case in export.cases(Effort())}
    batches = (1, 2, 4, 8, 16)
    assert list(goals) == [f"{kind}batch {batch}" for kind in KINDS for batch in batches]
    exact, rounded = ([goals[f"batch {batch}"][number].target for batch in batches] for number in (0, 1))
    assert (exact, rounded) == ([1.3, 1.6, 2.0, 2.3, 2.3], [1.7, 2.0, 2.4, 2.4, 2.4])
    for goal, ours in zip(goals["batch 1"], ("its best exact file", "native float16"), strict=True):
        assert (goal.top, goal.bottom) == (f"TVConv x0.5, {ours}", "depthwise x1.0, its best exact file")


def test_filters_on_a_grid_are_measured_beside_the_better_depthwise_file():
    goals = {case.name: case.goals for case in export.cases(Effort())}
    for name, width in (("grid, batch 1", 0.1), ("modern, batch 16", 0.25)):
        found = [(goal.top, goal.bottom) for goal in goals[name]]
        assert found == [(f"grid x{width}, native", f"depthwise x{width}, its best exact file")]
    network = export.Network(export.GRID, 0.25, (), backbone=MobileFaceNet).build(32)
    assert type(network) is MobileFaceNet and sum(isinstance(each, GridDepthwise) for each in network.modules()) == 16


def test_the_embedded_network_has_the_operator_in_its_last_four_stages():
    network = export.Network(OURS, 0.1, (), (4, 5, 6, 7)).build(32)
    assert sum(type(module).__name__ == "TVConv" for module in network.modules()) == 11
