"""The averages that AdaFace and CurricularFace follow: of training batches alone, and of all devices."""

import json
import os
import statistics
import subprocess
import sys

import numpy as np
import pytest
import torch

from facerec.heads import AdaFace, CurricularFace, MagFace

BATCHES, N, D = 3, 4, 6
# One of two processes: each follows the averages over its half of every batch.
PROGRAM = """
import json, sys, torch
from facerec.heads import AdaFace, CurricularFace, MagFace
rank, file, store = int(sys.argv[1]), sys.argv[2], sys.argv[3]
torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
state = torch.load(file, weights_only=True)
heads = {"AdaFace": AdaFace(4, 6, t_alpha=0.2), "CurricularFace": CurricularFace(4, 6, t_alpha=0.2)}
for name, head in heads.items():
    head.load_state_dict(state[name])
    for embeddings, labels in zip(state["embeddings"], state["labels"]):
        half = slice(rank * len(labels) // 2, (rank + 1) * len(labels) // 2)
        head.loss(embeddings[half], labels[half]).backward()
print(json.dumps({n: {k: v.item() for k, v in h.named_buffers()} for n, h in heads.items()}))
torch.distributed.destroy_process_group()
"""


def batches() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    lengths = torch.linspace(0.5, 140, BATCHES * 8).view(BATCHES, 8, 1)
    return torch.nn.functional.normalize(torch.randn(BATCHES, 8, D), dim=2) * lengths, torch.arange(8) % N


def test_adaface_follows_mean_and_deviation_of_the_norms():
    embeddings, labels = batches()
    head, mean, deviation = AdaFace(N, D, t_alpha=0.2), 20.0, 100.0
    for batch in embeddings:
        head(batch, labels)
        norms = [min(max(float(np.linalg.norm(one)), 0.001), 100.0) for one in batch.double().numpy()]
        mean, deviation = 0.8 * mean + 0.2 * statistics.mean(norms), 0.8 * deviation + 0.2 * statistics.stdev(norms)
        assert head.mean.item() == pytest.approx(mean) and head.std.item() == pytest.approx(deviation)


def test_curricularface_follows_the_mean_cosine_to_the_own_class():
    embeddings, labels = batches()
    head, average = CurricularFace(N, D, t_alpha=0.2), 0.0
    centres = head.weight.detach().double().numpy()
    for batch in embeddings:
        head(batch, labels)
        cosines = [
            one @ centres[label] / np.linalg.norm(one) / np.linalg.norm(centres[label])
            for one, label in zip(batch.double().numpy(), labels.tolist(), strict=True)
        ]
        average = 0.8 * average + 0.2 * statistics.mean(cosines)
        assert head.t.item() == pytest.approx(average, abs=1e-6)


@pytest.mark.parametrize("cls", [AdaFace, CurricularFace])
def test_averages_change_in_training_alone_and_are_in_the_state(cls):
    embeddings, labels = batches()
    head = cls(N, D)
    before = {name: value.item() for name, value in head.named_buffers()}
    head.eval()(embeddings[0], labels)
    assert {name: value.item() for name, value in head.named_buffers()} == before
    head.train()(embeddings[0], labels)
    assert all(value.item() != before[name] for name, value in head.named_buffers())
    assert before.keys() <= head.state_dict().keys()


def test_the_norm_has_no_gradient_in_adaface_and_one_in_magface():
    """A gradient across the sphere alone is orthogonal to the embedding."""

    embeddings, labels = batches()
    for cls, has in ((AdaFace, False), (MagFace, True)):
        inside = (torch.nn.functional.normalize(embeddings[0]) * 50).requires_grad_()
        (gradient,) = torch.autograd.grad(cls(N, D).loss(inside, labels), inside)
        along = (gradient * inside.detach()).sum(1) / 50
        assert (along.abs() > 1e-5).all() if has else (along.abs() < 1e-5).all()


def test_two_devices_follow_the_averages_of_the_whole_batch(tmp_path):
    if not (torch.distributed.is_available() and torch.distributed.is_gloo_available()):
        pytest.skip("needs a PyTorch with gloo")
    embeddings, labels = batches()
    heads = {"AdaFace": AdaFace(N, D, t_alpha=0.2), "CurricularFace": CurricularFace(N, D, t_alpha=0.2)}
    state = {name: {key: value.clone() for key, value in head.state_dict().items()} for name, head in heads.items()}
    torch.save({**state, "embeddings": embeddings, "labels": labels.repeat(BATCHES, 1)}, tmp_path / "state")
    for head in heads.values():
        for batch in embeddings:
            head(batch, labels)
    alone = {name: {key: value.item() for key, value in head.named_buffers()} for name, head in heads.items()}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(rank), str(tmp_path / "state"), str(tmp_path / "store")],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for rank in range(2)
    ]
    for process in started:
        printed, _ = process.communicate(timeout=120)
        together = json.loads(printed.splitlines()[-1])
        for name, averages in alone.items():
            assert together[name] == pytest.approx(averages, rel=1e-5)
