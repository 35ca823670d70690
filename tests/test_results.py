import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pytorch_lightning.callbacks import ModelCheckpoint, Timer
from says import refuses

from facerec.errors import InputError
from facerec.runs import results
from facerec.runs.results import evaluate_checkpoint
from facerec.training.checkpoints import BestCheckpoint
from facerec.verification.verify import verify


@pytest.fixture
def result():
    embeddings = torch.randn(2, 20, 4, generator=torch.Generator().manual_seed(0))
    return verify(embeddings[0], embeddings[1], np.arange(20) % 2 == 0)


def test_a_summary_is_plain_json(result):
    assert json.loads(json.dumps(result.summary())) == result.summary()


def test_a_run_of_no_epoch_says_so(tmp_path):
    trainer = SimpleNamespace(max_epochs=3, max_steps=-1)
    with refuses("best.ckpt", "trainer.max_epochs=3", error=InputError):
        evaluate_checkpoint(trainer, None, tmp_path / "best.ckpt", None)
    trainer.max_steps = 7
    with refuses("best.ckpt", "trainer.max_steps=7", error=InputError):
        evaluate_checkpoint(trainer, None, tmp_path / "best.ckpt", None)
    timer = Timer("00:00:00:05")
    timer.load_state_dict({"time_elapsed": {"train": 6.0}})
    trainer.callbacks = [Timer(), timer]
    with refuses("best.ckpt", "trainer.max_time", "resume", error=InputError):
        evaluate_checkpoint(trainer, None, tmp_path / "best.ckpt", None)


def test_the_cost_is_that_of_the_network(tvconv_run):
    cost = json.loads((tvconv_run / "results.json").read_text())["cost"]
    weights = torch.load(tvconv_run / "best.ckpt", weights_only=True)["state_dict"]
    learned = {name: w.numel() for name, w in weights.items() if "running" not in name and "num_batches" not in name}
    assert cost["params"] == sum(n for name, n in learned.items() if name.startswith("backbone."))
    generators = sum(n for name, n in learned.items() if "weight_generator" in name or "affinity_maps" in name)
    assert cost["params_deployed"] == cost["params"] - generators
    assert cost["weight_map_elements"] > 0 and cost["macs_paper"] > cost["macs_core"] > 0


@pytest.mark.parametrize(
    ("monitor", "expected"), [("mean_accuracy", ["lfw", "cfp_ff"]), ("cfp_ff/accuracy", ["cfp_ff"])]
)
def test_the_results_name_the_benchmarks_by_which_the_best_epoch_was_chosen(monitor, expected, tmp_path):
    best = BestCheckpoint(tmp_path, filename="best", monitor=monitor, mode="max")
    trainer = SimpleNamespace(checkpoint_callbacks=[ModelCheckpoint(tmp_path, filename="last"), best])
    assert results._chosen_on(trainer, ["lfw", "cfp_ff"]) == expected


def test_a_run_says_that_it_shares_nobody(depthwise_run):
    kept = json.loads((depthwise_run / "results.json").read_text())
    for epoch in ("best", "last"):
        summary = kept[epoch]["benchmarks"]["synthetic"]
        assert (summary["shared_people"], summary["shared_images"]) == (0, 0)
        assert summary["accuracy_unshared"] == pytest.approx(summary["accuracy"])
