"""The exported files that run are the networks that were meant."""

import numpy as np
import torch

from facerec.data.loading import normalise
from facerec.exporting.formats import Model
from facerec.perf import export
from facerec.perf.network_speed import KINDS, OURS, build_network
from facerec.perf.setting import Setting
from facerec.perf.timing import QUICK, Effort


def test_a_case_writes_the_files_and_runs_them():
    (case,) = export.cases(QUICK)
    networks = ("TVConv x0.1", "depthwise x0.1")
    names = {f"{network}, {what}" for what in ("PyTorch", "torchscript", "its best file") for network in networks}
    assert set(case.run().contenders) == names


def test_the_network_beside_its_file_is_the_same(tmp_path):
    setting = Setting(0.1, 2, 32)
    backbone, pixels = build_network(KINDS[OURS], setting).eval(), export.random_pixels(2, 32)
    with torch.no_grad():
        expected = backbone(normalise(torch.from_numpy(pixels))).numpy()
    np.testing.assert_allclose(export._in_pytorch(backbone).embed(pixels), expected, atol=1e-3)


def test_the_best_runtime_of_each_counts(monkeypatch):
    seconds = {"a, onnx": 4.0, "a, pt2": 2.0, "b, onnx": 5.0, "b, pt2": 8.0}
    seconds |= {"a, PyTorch": 1.0, "b, PyTorch": 1.0}
    monkeypatch.setattr(export, "alternate", lambda calls, effort: {name: [seconds[name]] for name in calls})
    models = {name: {form: Model({}, len) for form in ("onnx", "pt2", "PyTorch")} for name in "ab"}
    rates = export._measure(lambda: models, 10, 4, QUICK)
    assert rates["a, its best file"] == [5] and rates["b, its best file"] == [2]


def test_the_headline_is_that_of_the_issue_at_every_batch():
    cases = export.cases(Effort())
    assert [case.name for case in cases] == ["batch 1", "batch 2", "batch 4", "batch 8", "batch 16"]
    (goal,) = cases[0].goals
    assert (goal.top, goal.bottom, goal.target) == ("TVConv x0.5, its best file", "depthwise x1.0, its best file", 2.5)
