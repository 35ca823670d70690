"""Heads whose centres are divided among two processes, beside the dense head of one."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hydra.utils import instantiate
from omegaconf import OmegaConf

from facerec.config.options import CONFIG_FOLDER
from facerec.heads import CosineHead, MagFace

FILES = {file.stem: file for file in sorted((CONFIG_FOLDER / "head").glob("*.yaml")) if file.stem != "none"}
ALL = pytest.mark.parametrize("name", FILES)
N, D, SAMPLES = 7, 6, (1.0, 0.999, 0.4)  # all identities, all of them by drawing, some
# One of two processes, with half of the batch: what it computes for each head.
PROGRAM = """
import sys, torch
from says import refuses
from test_divided import FILES, SAMPLES, N, batch, head_of
from facerec.heads.across_devices import joined
rank, store, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
found = {}
for name in FILES:
    for sample in SAMPLES:
        head = head_of(name, sample)
        optimizer = torch.optim.SGD([head.weight], lr=0.0)
        head.hold_part()
        head.hold_part()
        embeddings, labels = batch()
        half = slice(rank * 4, rank * 4 + 4)
        own = embeddings[half].detach().requires_grad_()
        loss = head.loss(own, labels[half])
        loss.backward()
        with head.step_on_drawn(optimizer):
            rows, gradient = head.weight.detach().clone(), head.weight.grad
        found[name, sample] = {
            "loss": loss.item(), "embeddings": own.grad, "part": head.weight.detach(), "rows": rows,
            "gradient": gradient, "averages": {n: v for n, v in head.named_buffers() if n != "draws"},
            "whole": joined(head.weight.detach(), N), "evaluated": head.eval().loss(own, labels[half]).item(),
        }
        with refuses("head.shard", "loss"):
            head(own, labels[half])
whole = head_of("arcface", 0.4)
whole.shard = False
with refuses("head.sample=0.4", "2 devices", "head.shard=true"):
    whole.hold_part()
with refuses("1 identities", "2 devices", "head.shard"):
    head_of("arcface", 1.0, 1).hold_part()
torch.save(found, f"{out}.{rank}")
torch.distributed.destroy_process_group()
"""


def head_of(name: str, sample: float = 1.0, num_identities: int = N) -> CosineHead:
    torch.manual_seed(5)
    return instantiate(OmegaConf.load(FILES[name]))(num_identities, embedding_dim=D, shard=True, sample=sample)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings of 8 images of norms from 5 to 40, four of each process, and their labels."""
    generator = torch.Generator().manual_seed(0)
    directions = F.normalize(torch.randn(8, D, generator=generator))
    lengths = torch.tensor([5.0, 40, 10, 35, 15, 30, 20, 25])[:, None]
    return (directions * lengths).requires_grad_(), torch.tensor([0, 6, 3, 3, 2, 6, 6, 2])


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> list[dict[tuple[str, float], dict[str, Any]]]:
    """What each process computed."""
    if not (torch.distributed.is_available() and torch.distributed.is_gloo_available()):
        pytest.skip("needs a PyTorch with gloo")
    folder = tmp_path_factory.mktemp("divided")
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1]), *sys.path]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(rank), str(folder / "store"), str(folder / "found")],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        for rank in range(2)
    ]
    for process in started:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    return [torch.load(folder / f"found.{rank}", weights_only=True) for rank in range(2)]


def losses_of(head: CosineHead, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The loss of each half of the batch, with averages over the whole."""
    halves = F.cross_entropy(head(embeddings, labels), labels, reduction="none").view(2, 4).mean(1)
    if isinstance(head, MagFace):
        norms = embeddings.norm(dim=1).clamp(head.lower_norm, head.upper_norm)
        halves = halves + head.regularisation * (1 / norms + norms / head.upper_norm**2).view(2, 4).mean(1)
    return halves


@ALL
@pytest.mark.parametrize("sample", SAMPLES[:2])
def test_loss_and_gradients_are_those_of_the_dense_head(found, name, sample):
    """DistributedDataParallel averages the gradient of the backbone over the devices, and not that of the centres."""
    head, (embeddings, labels) = head_of(name), batch()
    losses = losses_of(head, embeddings, labels)
    losses.mean().backward()
    assert embeddings.grad is not None and head.weight.grad is not None
    for rank, ours in enumerate(one[name, sample] for one in found):
        assert ours["loss"] == pytest.approx(losses[rank].item(), rel=1e-5)
        torch.testing.assert_close(ours["embeddings"] / 2, embeddings.grad.view(2, 4, D)[rank])
        torch.testing.assert_close(ours["averages"], dict(head.named_buffers()))
    gradient = torch.cat([one[name, sample]["gradient"] for one in found])
    torch.testing.assert_close(gradient, head.weight.grad)


@ALL
def test_each_process_holds_its_own_centres_and_the_first_can_join_them(found, name):
    parts = [one[name, 1.0]["part"] for one in found]
    assert [len(part) for part in parts] == [3, 4]
    assert torch.equal(torch.cat(parts), head_of(name).weight)
    assert torch.equal(found[0][name, 1.0]["whole"], head_of(name).weight)


@ALL
def test_each_process_draws_from_its_own_centres(found, name):
    embeddings, labels = batch()
    rows = torch.cat([one[name, 0.4]["rows"] for one in found])
    whole = head_of(name).weight
    drawn = (rows[:, None] == whole[None]).flatten(2).all(2).nonzero()[:, 1]
    assert drawn.tolist() == sorted(drawn.tolist()) and set(labels.tolist()) <= set(drawn.tolist())
    assert len(drawn) == (2 + round(0.4 * 1)) + (2 + round(0.4 * 2))
    few = head_of(name, num_identities=len(drawn))
    few.weight.data = rows
    losses = losses_of(few, embeddings, torch.searchsorted(drawn, labels))
    losses.mean().backward()
    assert embeddings.grad is not None
    for rank, ours in enumerate(one[name, 0.4] for one in found):
        assert ours["loss"] == pytest.approx(losses[rank].item(), rel=1e-5)
        torch.testing.assert_close(ours["embeddings"] / 2, embeddings.grad.view(2, 4, D)[rank])
    torch.testing.assert_close(torch.cat([one[name, 0.4]["gradient"] for one in found]), few.weight.grad)


@ALL
def test_in_evaluation_mode_all_identities_are_compared(found, name):
    head, (embeddings, labels) = head_of(name), batch()
    head(embeddings, labels)
    losses = losses_of(head.eval(), embeddings, labels)
    for sample in SAMPLES:
        if sample < 0.5:  # its averages are those of fewer identities
            continue
        assert [one[name, sample]["evaluated"] for one in found] == pytest.approx(losses.tolist(), rel=1e-5)
