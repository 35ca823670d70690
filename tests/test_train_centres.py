"""Runs with ``head.shard`` and ``head.sample``: what they learn, save and go on with."""

import json
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from running import DEPTHWISE, as_program, only_run, train
from test_two_devices import started

from facerec.commands.main import module_of

CLIPPED = ("head=arcface", "trainer.gradient_clip_val=0.1", "optimizer.lr=0.01", "trainer.ema=0.5", "logger=none")
# Few steps: the norms of batches of four images make rounding errors large soon.
SHORT = (*CLIPPED, "lr_scheduler.milestones=[3]", "+trainer.limit_train_batches=2")


def content(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def two_devices(folder: Path, *settings: str) -> subprocess.CompletedProcess[str]:
    program = started(folder, *SHORT, *settings)
    printed, said = program.communicate(timeout=300)
    return subprocess.CompletedProcess(program.args, program.returncode, printed, said)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, tuple[Path, subprocess.CompletedProcess[str]]]:
    """The same run on two devices, with the centres whole and divided."""
    made = {}
    for name, settings in {"whole": (), "divided": ("head.shard=true",)}.items():
        folder = tmp_path_factory.mktemp(name)
        made[name] = folder, two_devices(folder, "trainer.max_epochs=1", *settings)
    return made


def test_divided_centres_are_learned_as_whole_ones(runs):
    """Also the average of the weights, the momentum, and the limit of the gradient of all devices together."""
    for _, ended in runs.values():
        assert ended.returncode == 0 and "warn" not in ended.stderr.lower(), ended.stderr
    whole, divided = (content(only_run(folder) / "last.ckpt") for folder, _ in runs.values())
    for key in ("state_dict", "current_model_state"):
        assert whole[key].keys() == divided[key].keys() and "head.weight" in whole[key]
        for name, weight in whole[key].items():
            torch.testing.assert_close(divided[key][name], weight, rtol=1e-3, atol=1e-4, msg=f"{key} {name}")
    assert not torch.equal(whole["state_dict"]["head.weight"], whole["current_model_state"]["head.weight"])
    ours, theirs = (momentum_of(checkpoint) for checkpoint in (divided, whole))
    for part, tolerance in (("head", 1e-3), ("backbone", 0.1)):
        assert (ours[part] - theirs[part]).norm() < tolerance * theirs[part].norm()


def momentum_of(checkpoint: dict[str, Any]) -> dict[str, torch.Tensor]:
    """That of the class centres, and that of all other weights together: some have no gradient but rounding errors."""
    states = checkpoint["optimizer_states"][0]["state"].values()
    momentum = [state["momentum_buffer"] for state in states]
    shape = checkpoint["state_dict"]["head.weight"].shape
    others = torch.cat([one.flatten() for one in momentum if one.shape != shape])
    (head,) = (one for one in momentum if one.shape == shape)
    return {"head": head, "backbone": others}


def test_a_run_goes_on_with_another_number_of_devices(runs, tmp_path):
    """From two to one, and back."""
    folder, ended = runs["divided"]
    begun = only_run(folder) / "last.ckpt"
    data = [part for part in map(str, ended.args) if part.startswith("data") and not part.startswith("data.root")]
    alone = [
        *(part for part in DEPTHWISE if not part.startswith("data")),
        *data,
        f"data.root={folder / 'faces'}",
        *SHORT,
    ]
    alone += ["head.shard=true", "trainer.max_epochs=2", f"resume={begun}"]
    assert train(tmp_path / "one", *alone) == 0
    further = only_run(tmp_path / "one") / "last.ckpt"
    back = two_devices(tmp_path / "two", "head.shard=true", "trainer.max_epochs=3", f"resume={further}")
    assert back.returncode == 0, back.stderr
    states = [
        content(path)["current_model_state"] for path in (begun, further, only_run(tmp_path / "two") / "last.ckpt")
    ]
    for before, after in pairwise(states):
        change = (after["head.weight"] - before["head.weight"]).norm(dim=1)
        assert (change > 0).all() and change.max() < 0.05  # centres of length 1, in steps of a small rate


def test_a_network_is_verified_without_its_centres(runs, capsys):
    folder, _ = runs["divided"]
    run = only_run(folder)
    checkpoint = content(run / "last.ckpt")
    for key in ("state_dict", "current_model_state"):
        checkpoint[key] = {name: value for name, value in checkpoint[key].items() if not name.startswith("head.")}
    torch.save(checkpoint, folder / "alone.ckpt")
    with as_program(folder):
        assert module_of("evaluate").main([f"checkpoint={folder / 'alone.ckpt'}", "trainer=cpu"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["benchmarks"]["odd"]["accuracy"]
    assert found == json.loads((run / "results.json").read_text())["last"]["benchmarks"]["odd"]["accuracy"]


SAMPLED = [*DEPTHWISE, "head=curricularface", "head.sample=0.5", "logger=none", "lr_scheduler.milestones=[3]"]
SAMPLED += ["optimizer.lr=0.01", "+trainer.accumulate_grad_batches=2", "trainer.ema=0.5"]


def test_a_run_that_draws_identities_goes_on_as_if_it_had_not_stopped(tmp_path):
    assert train(tmp_path / "whole", *SAMPLED, "trainer.max_epochs=2") == 0
    assert train(tmp_path / "begun", *SAMPLED, "trainer.max_epochs=1") == 0
    begun = only_run(tmp_path / "begun") / "last.ckpt"
    assert train(tmp_path / "resumed", *SAMPLED, "trainer.max_epochs=2", f"resume={begun}") == 0
    whole, resumed = (content(only_run(tmp_path / name) / "last.ckpt") for name in ("whole", "resumed"))
    assert whole["state_dict"]["head.draws"] == 2 * 4
    for key in ("state_dict", "current_model_state"):
        assert all(torch.equal(resumed[key][name], weight) for name, weight in whole[key].items()) and whole[key]
    first, second = (checkpoint["optimizer_states"][0]["state"] for checkpoint in (whole, resumed))
    assert first.keys() == second.keys() and first
    assert all(torch.equal(second[place]["momentum_buffer"], first[place]["momentum_buffer"]) for place in first)


def test_a_run_that_draws_all_identities_is_as_one_without(tmp_path):
    for name, sample in (("all", "0.999"), ("dense", "1.0")):
        settings = ("trainer.max_epochs=1", f"head.sample={sample}", "trainer.gradient_clip_val=0.5")
        assert train(tmp_path / name, *SAMPLED, *settings) == 0
    drawn, dense = (content(only_run(tmp_path / name) / "last.ckpt") for name in ("all", "dense"))
    for name, weight in dense["current_model_state"].items():
        torch.testing.assert_close(drawn["current_model_state"][name], weight, rtol=1e-3, atol=1e-4)
