"""What version 0.1 computed is computed still: runs, their files and settings, and checkpoints of that version."""

import json
import math
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference_run
import torch
from omegaconf import OmegaConf
from running import DEPTHWISE, ONE_EPOCH, ROOT, THREE_EPOCHS, TVCONV, train, trained

from facerec.config.build import build_data, verify
from facerec.config.compose import compose
from facerec.config.meanings import of_option
from facerec.config.trained import build_trained
from facerec.training.older_settings import MOVED

FOLDER = reference_run.FILE.parent
# One epoch at a usual rate, and one at a rate that leaves the network where it began.
LEARNED, BEGUN = FOLDER / "version_0_1.ckpt", FOLDER / "version_0_1_begun.ckpt"
BEGUN_RUN = [*DEPTHWISE, "optimizer.momentum=0", "embedding_dim=8", reference_run.STEADY]
SETTINGS_OF = {"depthwise": DEPTHWISE, "tvconv": TVCONV}
SETTINGS = json.loads((FOLDER / "settings.json").read_text())
RUNS = json.loads(reference_run.FILE.read_text())


def assert_equal(ours: Any, theirs: Any, where: str) -> None:
    """Every value of ``theirs``; numbers up to what another processor rounds otherwise."""
    if isinstance(theirs, dict):
        assert isinstance(ours, dict) and theirs.keys() <= ours.keys(), where
        for key, value in theirs.items():
            assert_equal(ours[key], value, f"{where} {key}")
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs), where
        for place, (our, their) in enumerate(zip(ours, theirs, strict=True)):
            assert_equal(our, their, f"{where} {place}")
    elif isinstance(theirs, float):
        assert math.isclose(ours, theirs, rel_tol=2e-3, abs_tol=2e-3), (where, ours, theirs)
    else:
        assert ours == MOVED.get(theirs, theirs), where


@pytest.mark.parametrize("operator", sorted(RUNS))
def test_a_run_leaves_what_it_left(operator: str, tmp_path: Path) -> None:
    run = trained(tmp_path, *SETTINGS_OF[operator], *THREE_EPOCHS, reference_run.STEADY)
    ours, theirs = reference_run.facts(run), RUNS[operator]
    for part in ("results", "metrics", "weights"):
        assert_equal(ours[part], theirs[part], f"{operator} {part}")
    assert set(theirs["files"]) <= set(ours["files"]) and set(theirs["keys"]) <= set(ours["keys"])
    assert len(ours["weights"]) == len(theirs["weights"]) > 100
    for number, (our, their) in enumerate(zip(ours["momenta"], theirs["momenta"], strict=True)):
        assert our == [their[0], *(pytest.approx(value, rel=0, abs=0.02 * their[2] + 0.02) for value in their[1:])], (
            number,
            our,
            their,
        )


def leaves(node: dict[str, Any], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for key, value in node.items():
        found |= leaves(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}"}
    return found


@pytest.mark.parametrize("choice", sorted(SETTINGS["keys"]))
def test_every_setting_is_still_there(choice: str) -> None:
    config = OmegaConf.to_container(compose([choice] if choice else []), resolve=False)
    assert isinstance(config, dict)
    assert set(SETTINGS["keys"][choice]) <= leaves(config)  # pyright: ignore[reportArgumentType]


def test_every_option_is_still_there() -> None:
    for group, options in SETTINGS["groups"].items():
        renamed = [option for option in options if group == "sweep" and option in of_option("sweep", option)]
        assert set(options) - set(renamed) <= {file.stem for file in (ROOT / "configs" / group).glob("*.yaml")}, group


def test_an_old_checkpoint_is_resumed_as_if_never_interrupted(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", *BEGUN_RUN, "trainer.max_epochs=2")
    folder = tmp_path / "resumed"
    folder.mkdir()
    shutil.copy(BEGUN, folder / "last.ckpt")
    assert train(folder, *BEGUN_RUN, "trainer.max_epochs=2", f"resume={folder / 'last.ckpt'}") == 0
    (resumed,) = folder.rglob("results.json")
    assert_same_weights(resumed.parent / "last.ckpt", whole / "last.ckpt")


def test_the_first_epoch_of_an_old_run_is_that_of_today(tmp_path: Path) -> None:
    assert_same_weights(trained(tmp_path, *BEGUN_RUN, *ONE_EPOCH) / "last.ckpt", BEGUN)


def assert_same_weights(ours: Path, theirs: Path) -> None:
    weights = [torch.load(file, weights_only=True)["state_dict"] for file in (ours, theirs)]
    assert weights[0].keys() == weights[1].keys()
    for name, value in weights[1].items():
        torch.testing.assert_close(weights[0][name], value, rtol=1e-3, atol=1e-4)


def test_an_old_checkpoint_is_verified_as_it_was() -> None:
    backbone, cfg, _ = build_trained(LEARNED, ["data.cache=null"])
    data = build_data(cfg)
    data.setup("validate")
    results = asdict(verify(cfg, data, backbone)["synthetic"])
    for key, value in json.loads((FOLDER / "verified.json").read_text()).items():
        assert list(np.ravel(results[key])) == pytest.approx(list(np.ravel(value)), rel=1e-3), key
