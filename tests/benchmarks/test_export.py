"""The exported files that run are the networks that were meant."""

from facerec.benchmarks import export
from facerec.benchmarks.timing import QUICK, Effort
from facerec.exporting.model import Model


def test_a_case_writes_the_files_and_runs_them():
    (case,) = export.cases(QUICK)
    networks = ("TVConv x0.1", "depthwise x0.1")
    names = [f"{network}, {what}" for what in ("torchscript", "its best") for network in networks]
    assert list(case.run().contenders) == names


def test_the_best_runtime_of_each_counts(monkeypatch):
    seconds = {"a, onnx": 4.0, "a, pt2": 2.0, "b, onnx": 5.0, "b, pt2": 8.0}
    monkeypatch.setattr(export, "alternate", lambda calls, effort: {name: [seconds[name]] for name in calls})
    models = {name: {form: Model({}, len) for form in ("onnx", "pt2")} for name in "ab"}
    rates = export._measure(lambda: models, 10, 4, QUICK)
    assert rates["a, its best"] == [5] and rates["b, its best"] == [2]


def test_the_headline_is_that_of_the_issue_at_every_batch():
    cases = export.cases(Effort())
    assert [case.name for case in cases] == ["batch 1", "batch 2", "batch 4", "batch 8", "batch 16"]
    (goal,) = cases[0].goals
    assert (goal.top, goal.bottom, goal.target) == ("TVConv x0.5, its best", "depthwise x1.0, its best", 2.5)
