"""Norms of two devices that see the images of both, on the CPU, over the network that the machine has with itself."""

import os
import subprocess
import sys

import pytest
import torch
from says import refuses
from timm.layers import BatchNormAct2d
from torch import nn

from facerec.backbones.timm_network import FusedBatchNormAct2d
from facerec.errors import InputError
from facerec.training.synced_norms import SyncedNorms

C, BATCH, FIRST = 6, 8, 3  # channels, images, and those of the first device
PROGRAM = """
import sys, torch
from test_synced_norms import inputs, norms, part, trained
from facerec.training.synced_norms import SyncedNorms
rank, store, file = int(sys.argv[1]), sys.argv[2], sys.argv[3]
torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
torch.save(trained(SyncedNorms().apply(norms()), rank), file)
torch.distributed.destroy_process_group()
"""


def norms() -> nn.Module:
    torch.manual_seed(0)
    made = nn.ModuleDict(
        {
            "flat": nn.BatchNorm1d(C),
            "map": nn.BatchNorm2d(C, momentum=None),
            "plain": nn.BatchNorm2d(C, affine=False, track_running_stats=False),
            "timm": BatchNormAct2d(C),
            "fused": BatchNormAct2d(C),
        }
    )
    made["fused"].__class__ = FusedBatchNormAct2d
    for parameter in made.parameters():
        nn.init.normal_(parameter, 1)
    return made


def inputs(name: str) -> torch.Tensor:
    shape = (BATCH, C) if name == "flat" else (BATCH, C, 4, 3)
    return torch.randn(2, *shape, generator=torch.Generator().manual_seed(len(name))) * 3 + 5


def part(rank: int | None) -> slice:
    return slice(None) if rank is None else slice(FIRST) if rank == 0 else slice(FIRST, None)


def trained(made: nn.Module, rank: int | None = None) -> dict[str, dict[str, torch.Tensor]]:
    """What each norm gives in two steps on a device's part of the images, its gradients, and its state after them."""
    found: dict[str, dict[str, torch.Tensor]] = {}
    for name, norm in made.named_children():
        for batch in inputs(name):
            norm.zero_grad()
            images = batch[part(rank)].clone().requires_grad_()
            out = norm(images)
            (out * torch.arange(BATCH * out[0].numel()).view(BATCH, *out.shape[1:])[part(rank)]).sum().backward()
            found[name] = {"out": out.detach(), "gradient": images.grad, **norm.state_dict()}
            found[name] |= {f"{key}.gradient": parameter.grad for key, parameter in norm.named_parameters()}
    return found


def test_two_devices_do_what_one_does(tmp_path):
    if not (torch.distributed.is_available() and torch.distributed.is_gloo_available()):
        pytest.skip("needs a PyTorch with gloo")
    paths = [os.path.dirname(__file__), *sys.path]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(rank), str(tmp_path / "store"), str(tmp_path / f"{rank}.pt")],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        for rank in range(2)
    ]
    assert [process.wait(120) for process in started] == [0, 0]
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    for name, alone in trained(norms()).items():
        for key, value in alone.items():
            here, there = first[name][key], second[name][key]
            if key in ("out", "gradient"):
                together = torch.cat((here, there))
            elif key.endswith(".gradient"):  # of the sum of both losses
                together = here + there
            else:
                torch.testing.assert_close(here, there, rtol=0, atol=0)
                together = here
            torch.testing.assert_close(
                together, value, rtol=1e-4, atol=1e-3, msg=lambda m, k=key, n=name: f"{n} {k} {m}"
            )


def test_the_modules_are_the_same_before_and_after():
    made, plugin = norms(), SyncedNorms()
    names, kinds = repr(made), [type(norm) for norm in made.values()]
    plugin.apply(made)
    assert all(
        isinstance(norm, kind) and type(norm) is not kind for norm, kind in zip(made.values(), kinds, strict=True)
    )
    assert repr(made) == names
    plugin.apply(made)
    plugin.revert(made)
    assert [type(norm) for norm in made.values()] == kinds


def test_in_evaluation_they_do_what_they_did():
    made = norms().eval()
    before = {name: norm(inputs(name)[0]) for name, norm in made.items()}
    SyncedNorms().apply(made)
    for name, out in before.items():
        torch.testing.assert_close(made[name](inputs(name)[0]), out, rtol=0, atol=0)


def test_a_norm_that_computes_something_else_is_refused():
    class Odd(nn.BatchNorm2d):
        pass

    with refuses("Odd", "trainer.sync_batchnorm=false", error=InputError):
        SyncedNorms().apply(nn.Sequential(Odd(C)))
