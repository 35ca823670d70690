import csv
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from says import refuses

from facerec.errors import InputError
from facerec.training.callbacks.metrics import MetricsTable


def end_of_epoch(path: Path, epoch: int, **metrics: float) -> None:
    values = {name: torch.tensor(value) for name, value in metrics.items()}
    trainer = SimpleNamespace(current_epoch=epoch, global_step=10 * (epoch + 1), callback_metrics=values)
    MetricsTable(str(path)).on_train_epoch_end(trainer, None)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "metrics.csv"


def test_an_epoch_is_a_row(path):
    end_of_epoch(path, 0, loss=3.0, accuracy=0.5)
    end_of_epoch(path, 1, loss=1 / 3, accuracy=0.75)
    assert rows(path) == [
        {"epoch": "0", "step": "10", "accuracy": "0.5", "loss": "3"},
        {"epoch": "1", "step": "20", "accuracy": "0.75", "loss": "0.333333"},
    ]
    assert list(path.parent.iterdir()) == [path]


def test_a_number_that_comes_later_leaves_the_rows_before_empty(path):
    end_of_epoch(path, 0, loss=3.0)
    end_of_epoch(path, 1, speed=100.0)
    assert rows(path) == [
        {"epoch": "0", "step": "10", "loss": "3", "speed": ""},
        {"epoch": "1", "step": "20", "loss": "", "speed": "100"},
    ]


def test_what_an_epoch_did_not_log_is_empty_in_its_row(path):
    table, known = MetricsTable(str(path)), {}
    for epoch, logged in enumerate([{"loss": 3.0, "accuracy": 0.5}, {"loss": 2.0}, {"loss": 1.0, "accuracy": 0.5}]):
        known |= {name: torch.tensor(value) for name, value in logged.items()}  # as Lightning does
        trainer = SimpleNamespace(current_epoch=epoch, global_step=epoch, callback_metrics=known)
        table.on_train_epoch_end(trainer, None)
    assert [(row["loss"], row["accuracy"]) for row in rows(path)] == [("3", "0.5"), ("2", ""), ("1", "0.5")]


def test_a_resumed_run_writes_its_epochs_over_and_keeps_those_before(path):
    for epoch in range(4):
        end_of_epoch(path, epoch, loss=float(epoch))
    end_of_epoch(path, 2, loss=9.0)
    assert [(row["epoch"], row["loss"]) for row in rows(path)] == [("0", "0"), ("1", "1"), ("2", "9")]


@pytest.mark.parametrize(
    "content",
    [
        b"epoch,step,loss\n0,10,\xff\n",
        b"epoch,step,loss\nx,10,3\n",
        b"epoch,step,loss\n0,10\n",
        b"epoch,step,loss\n0,10,3,4\n",
        b"epock,step,loss\n0,10,3\n",
        b'epoch,step,loss\n0,10,"3\n',
    ],
)
def test_a_damaged_file_is_named_before_the_first_step_and_stays(content, path):
    path.parent.mkdir()
    path.write_bytes(content)
    with refuses(str(path), "damaged", "remove", error=InputError):
        MetricsTable(str(path)).on_fit_start(None, None)
    assert path.read_bytes() == content


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_leaves_the_rows_before(path):
    end_of_epoch(path, 0, loss=3.0)
    before = path.read_bytes()
    (path.parent / f".partial.{os.getpid()}.metrics.csv").symlink_to("/dev/full")
    with refuses("metrics.csv", "No space left on device", error=InputError):
        end_of_epoch(path, 1, loss=2.0)
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]
