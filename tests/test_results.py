import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from says import refuses

from facerec.errors import InputError
from facerec.runs.results import save_scores, verify_checkpoint
from facerec.verification.verify import verify


@pytest.fixture
def result():
    embeddings = torch.randn(2, 20, 4, generator=torch.Generator().manual_seed(0))
    return verify(embeddings[0], embeddings[1], np.arange(20) % 2 == 0)


def test_scores_and_truth_of_every_benchmark_come_back(tmp_path, result):
    save_scores(tmp_path / "scores.npz", {"lfw": result, "cfp_ff": result})
    kept = np.load(tmp_path / "scores.npz")
    each = ("centres", "is_same", "scores", "thresholds")
    assert sorted(kept.files) == [f"{name}/{array}" for name in ("cfp_ff", "lfw") for array in each]
    np.testing.assert_allclose(kept["lfw/scores"], result.scores, rtol=1e-6)
    assert kept["lfw/scores"].dtype == np.float32 and np.array_equal(kept["lfw/is_same"], result.is_same)
    assert [path.name for path in tmp_path.iterdir()] == ["scores.npz"]


def test_a_summary_is_plain_json(result):
    assert json.loads(json.dumps(result.summary())) == result.summary()


def test_a_run_of_no_epoch_says_so(tmp_path):
    trainer = SimpleNamespace(max_epochs=0)
    with refuses("best.ckpt", "trainer.max_epochs", error=InputError):
        verify_checkpoint(trainer, None, None, tmp_path / "best.ckpt")


def test_the_cost_is_that_of_the_network(tvconv_run):
    cost = json.loads((tvconv_run / "results.json").read_text())["cost"]
    weights = torch.load(tvconv_run / "best.ckpt", weights_only=True)["state_dict"]
    learned = {name: w.numel() for name, w in weights.items() if "running" not in name and "num_batches" not in name}
    assert cost["params"] == sum(n for name, n in learned.items() if name.startswith("backbone."))
    generators = sum(n for name, n in learned.items() if "weight_generator" in name or "affinity_maps" in name)
    assert cost["params_deployed"] == cost["params"] - generators
    assert cost["weight_map_elements"] > 0 and cost["macs_paper"] > cost["macs_core"] > 0
