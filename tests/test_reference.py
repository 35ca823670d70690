"""What version 0.1 computed is computed still: runs, their files and settings, and checkpoints of that version."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import reference_run
import torch
from omegaconf import OmegaConf
from processor import as_recorded
from running import DEPTHWISE, ONE_EPOCH, ROOT, train, trained

from facerec.config.build import build_data, build_trained, verify
from facerec.config.compose import compose
from facerec.config.meanings import of_option
from facerec.training.older_settings import MOVED

FOLDER = reference_run.FILE.parent
OLD = FOLDER / "version_0_1.ckpt"
OLD_RUN = [*DEPTHWISE, "optimizer.momentum=0", "optimizer.lr=0.02", "embedding_dim=8"]
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


@as_recorded
@pytest.mark.parametrize("operator", sorted(RUNS))
def test_a_run_leaves_what_it_left(operator: str, request: pytest.FixtureRequest) -> None:
    run = request.getfixturevalue(f"{operator}_run")
    ours, theirs = reference_run.facts(run), RUNS[operator]
    assert_equal(ours, {key: value for key, value in theirs.items() if key not in ("files", "keys")}, operator)
    assert set(theirs["files"]) <= set(ours["files"]) and set(theirs["keys"]) <= set(ours["keys"])
    assert len(ours["weights"]) == len(theirs["weights"]) > 100


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


@as_recorded
def test_an_old_checkpoint_is_resumed_as_if_never_interrupted(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", *OLD_RUN, "trainer.max_epochs=2")
    folder = tmp_path / "resumed"
    folder.mkdir()
    shutil.copy(OLD, folder / "last.ckpt")
    assert train(folder, *OLD_RUN, "trainer.max_epochs=2", f"resume={folder / 'last.ckpt'}") == 0
    (resumed,) = folder.rglob("results.json")
    weights = [torch.load(run / "last.ckpt", weights_only=True)["state_dict"] for run in (whole, resumed.parent)]
    assert weights[0].keys() == weights[1].keys()
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], rtol=1e-3, atol=1e-3)


def test_an_old_checkpoint_is_verified_with_the_accuracy_it_had(tmp_path: Path) -> None:
    backbone, cfg, _ = build_trained(OLD, ["data.cache=null"])
    data = build_data(cfg)
    data.setup("validate")
    results = verify(cfg, data, backbone)
    fresh = trained(tmp_path, *OLD_RUN, *ONE_EPOCH)
    theirs = json.loads((fresh / "results.json").read_text())["last"]["benchmarks"]["synthetic"]["accuracy"]
    assert results["synthetic"].accuracy == pytest.approx(theirs, abs=0.026)  # one pair of 40


@as_recorded
def test_the_first_epoch_of_an_old_run_is_that_of_today(tmp_path: Path) -> None:
    run = trained(tmp_path, *OLD_RUN, *ONE_EPOCH)
    ours, theirs = (torch.load(file, weights_only=True) for file in (run / "last.ckpt", OLD))
    assert ours["state_dict"].keys() == theirs["state_dict"].keys()
    for name, value in theirs["state_dict"].items():
        torch.testing.assert_close(ours["state_dict"][name], value, rtol=1e-3, atol=1e-3)
