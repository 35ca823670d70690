"""The class centres of a checkpoint, divided among devices that are not there."""

import copy
from typing import Any

import pytest
import torch

from facerec.heads import ArcFace, across_devices
from facerec.training.class_centres import divide_centres, join_centres

N, D = 7, 3


def case(num_rows: int = N) -> tuple[ArcFace, torch.optim.Optimizer, dict[str, Any]]:
    """A head, its optimizer after one step, and a checkpoint of both as Lightning writes it."""
    head = ArcFace(num_rows, D)
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(num_rows, D)), head.weight])
    for parameter in optimizer.param_groups[0]["params"]:
        parameter.grad = torch.randn(num_rows, D)
    optimizer.step()
    weights = {"head.weight": head.weight.detach().clone(), "backbone.weight": torch.randn(num_rows, D)}
    average = {name: weight + 1 for name, weight in weights.items()}
    return (
        head,
        optimizer,
        {
            "state_dict": average,
            "current_model_state": weights,
            "optimizer_states": [optimizer.state_dict()],
        },
    )


def tables_of(checkpoint: dict[str, Any]) -> dict[str, torch.Tensor]:
    state = checkpoint["optimizer_states"][0]["state"][1]
    weights = {key: checkpoint[key]["head.weight"] for key in ("state_dict", "current_model_state")}
    return {**weights, "exp_avg": state["exp_avg"], "exp_avg_sq": state["exp_avg_sq"]}


def others_of(checkpoint: dict[str, Any]) -> list[torch.Tensor]:
    state = checkpoint["optimizer_states"][0]["state"]
    weights = [checkpoint[key]["backbone.weight"] for key in ("state_dict", "current_model_state")]
    return [*weights, *state[0].values(), state[1]["step"]]


@pytest.mark.parametrize("devices", [1, 2, 3, 7])
def test_the_parts_of_all_devices_are_the_whole(devices, monkeypatch):
    head, optimizer, checkpoint = case()
    monkeypatch.setattr(across_devices, "num_devices", lambda: devices)
    parts = []
    for device in range(devices):
        monkeypatch.setattr("facerec.training.class_centres.device_index", lambda device=device: device)
        part = copy.deepcopy(checkpoint)
        divide_centres(part, head, optimizer)
        parts.append(tables_of(part))
        torch.testing.assert_close(others_of(part), others_of(checkpoint), rtol=0, atol=0)
    lengths = [len(part["exp_avg"]) for part in parts]
    assert sum(lengths) == N and max(lengths) - min(lengths) <= 1
    for key, whole in tables_of(checkpoint).items():
        assert torch.equal(torch.cat([part[key] for part in parts]), whole)


def test_what_is_of_other_identities_is_left_to_be_refused():
    head, optimizer, checkpoint = case()
    head.num_identities = N + 1
    before = copy.deepcopy(checkpoint)
    divide_centres(checkpoint, head, optimizer)
    assert all(torch.equal(table, tables_of(before)[key]) for key, table in tables_of(checkpoint).items())


def test_a_checkpoint_is_joined_in_copies(monkeypatch):
    """The state in a checkpoint of Lightning's is the optimizer's own."""
    head, optimizer, checkpoint = case()
    live = optimizer.state[head.weight]
    monkeypatch.setattr("facerec.training.class_centres.joined", lambda part, num_rows: part.repeat(2, 1))
    join_centres(checkpoint, head, optimizer)
    assert all(len(table) == 2 * N for table in tables_of(checkpoint).values())
    assert live["exp_avg"].shape == live["exp_avg_sq"].shape == head.weight.shape == (N, D)


def test_frozen_centres_have_no_state():
    head, _, checkpoint = case()
    other = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))])
    before = copy.deepcopy(checkpoint["optimizer_states"])
    divide_centres(checkpoint, head, other)
    torch.testing.assert_close(checkpoint["optimizer_states"], before, rtol=0, atol=0)
