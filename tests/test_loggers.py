"""The loggers that a run can be given, each where its package is installed."""

import csv
import subprocess
import sys
from importlib.util import find_spec

import pytest
from running import DEPTHWISE, ONE_EPOCH, train, trained
from says import says

ROWS = ["trainer.log_every_n_steps=1"]
PACKAGES = ("wandb", "mlflow")


def test_csv_files_have_a_row_for_each_step_and_the_accuracy(tmp_path):
    run = trained(tmp_path, *DEPTHWISE, *ONE_EPOCH, *ROWS, "logger=csv")
    with (run / "csv" / "version_0" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    losses = [float(row["train/loss_step"]) for row in rows if row["train/loss_step"]]
    assert len(losses) == 4 and all(loss > 0 for loss in losses)
    assert [bool(row["mean_accuracy"]) for row in rows].count(True) == 1
    assert not (run / "tensorboard").exists()


def test_a_resumed_run_leaves_the_first_files_alone(tmp_path):
    run = trained(tmp_path, *DEPTHWISE, *ONE_EPOCH, *ROWS, "logger=csv", "name=first")
    first = (run / "csv" / "version_0" / "metrics.csv").read_bytes()
    (run / "results.json").unlink()
    arguments = [*DEPTHWISE, "trainer.max_epochs=2", *ROWS, "logger=csv", "name=first", "resume=auto"]
    assert train(tmp_path, *arguments) == 0
    assert (run / "csv" / "version_0" / "metrics.csv").read_bytes() == first
    assert (run / "csv" / "version_1" / "metrics.csv").is_file()


def test_wandb_writes_a_run_that_can_be_sent_later(tmp_path):
    pytest.importorskip("wandb", reason="needs wandb")
    run = trained(tmp_path, *DEPTHWISE, *ONE_EPOCH, *ROWS, "logger=wandb")
    (offline,) = (run / "wandb").glob("offline-run-*")
    assert list(offline.glob("*.wandb"))


@pytest.mark.filterwarnings("ignore:The ``noload``")  # of SQLAlchemy, from inside mlflow
def test_mlflow_has_the_metrics_of_a_run(tmp_path):
    pytest.importorskip("mlflow", reason="needs mlflow")
    run = trained(tmp_path, *DEPTHWISE, *ONE_EPOCH, *ROWS, "logger=mlflow", "name=logged")
    # In a process of its own: MLFlow keeps its database open.
    asked = (
        "import mlflow; mlflow.set_tracking_uri('sqlite:///outputs/mlflow.db'); "
        "print(mlflow.search_runs(experiment_names=['logged']).iloc[0]['metrics.mean_accuracy'])"
    )
    found = subprocess.run([sys.executable, "-c", asked], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert 0 <= float(found.stdout.split()[-1]) <= 1 and run.is_dir()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_missing_package_is_said_with_the_remedy_before_the_images_are_read(package, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("facerec.config.build.find_spec", lambda name: None if name == package else find_spec(name))
    assert train(tmp_path, *DEPTHWISE, *ONE_EPOCH, f"logger={package}") == 1
    said = capsys.readouterr().err
    assert says(said, f"logger={package}", f"pip install {package}") and "Traceback" not in said
    assert not list(tmp_path.rglob("*.ckpt"))
