"""What an operator needs of the run around it: temperatures, running statistics, the training images."""

import json

import pytest
import torch
from running import DEPTHWISE, ONE_EPOCH, THREE_EPOCHS, TVCONV, only_run, train, trained

from facerec.config import build
from facerec.config import compose as composition

SETTINGS = [setting for setting in DEPTHWISE if setting != "operator=depthwise"]
# Operators with a state beside their weights, and networks in which an operator does more than one thing.
CHOICES = {
    "temperature": ["operator=dyconv_dw"],
    "running statistics": ["operator=involution"],
    "pointwise convolutions": ["operator=dyconv_pw", "backbone=sfv2"],
    "whole blocks": ["operator=condconv", "operator.where=all"],
}


def weights(run):
    return torch.load(run / "last.ckpt", weights_only=True)["state_dict"]


@pytest.mark.parametrize("choice", CHOICES)
def test_a_resumed_run_equals_one_that_was_never_interrupted(choice, tmp_path):
    settings = [*SETTINGS, *THREE_EPOCHS, *CHOICES[choice]]
    straight = trained(tmp_path / "straight", *settings)
    crash = "+callbacks.crash={_target_: interruption.Crash, step: 6}"
    assert train(tmp_path / "stopped", *settings, crash) == 1
    stopped = only_run(tmp_path / "stopped")
    assert trained(tmp_path / "stopped", *settings, "resume=auto") == stopped
    ours, theirs = weights(stopped), weights(straight)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_temperature_falls_from_30_to_1_over_the_first_quarter_of_the_run(tmp_path):
    # Sixteen steps, the first at 0 and the last at 1.
    run = trained(tmp_path, *SETTINGS, "operator=dyconv_dw", "trainer.max_epochs=4", "operator.annealing_share=0.5")
    temperatures = {name: value.item() for name, value in weights(run).items() if name.endswith("temperature")}
    assert len(temperatures) == 17 and set(temperatures.values()) == {1.0}
    first = torch.load(run / "best.ckpt", weights_only=True)
    done = (first["global_step"] - 1) / 15
    expected = max(1.0, 30 - 29 * done / 0.5)
    found = [value.item() for name, value in first["state_dict"].items() if name.endswith("temperature")]
    assert found == pytest.approx([expected] * 17)


def test_affinity_maps_start_from_the_training_images_which_are_read_once(tmp_path):
    settings = [*TVCONV, *ONE_EPOCH, "operator.map_init=data", "optimizer.lr=0"]
    run = trained(tmp_path / "one", *settings)
    (kept,) = (tmp_path / "one" / "outputs" / "cache").glob("position-*")
    mean = torch.load(run / "last.ckpt", weights_only=True)["state_dict"]["backbone.features.3.layers.0.affinity_maps"][
        0, 0
    ]
    cfg = composition.compose([*settings, "data.cache=null"])
    data = build.build_data(cfg)
    data.setup("fit")
    images = torch.stack([torch.from_numpy(data.train_source.load(index)) for index in range(64)]).double().mean((0, 3))
    assert torch.corrcoef(torch.stack([mean.double().flatten(), images.flatten()]))[0, 1] > 0.999
    made = kept.stat().st_mtime_ns
    assert train(tmp_path / "one", *settings) == 0
    assert kept.stat().st_mtime_ns == made
    assert json.loads((run / "results.json").read_text())["config"]["operator"]["map_init"] == "data"
