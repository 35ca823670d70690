"""What is typed for a key of text, and interpolations, in a run and in a sweep."""

import json
import shlex

import yaml
from running import DEPTHWISE, ONE_EPOCH, train


def test_a_name_of_digits_and_an_interpolation_are_kept_as_typed(tmp_path):
    typed = ["name=2024_11_05", "optimizer.weight_decay=${.lr}", "optimizer.lr=0.03"]
    assert train(tmp_path, *DEPTHWISE, *ONE_EPOCH, *typed) == 0
    (run,) = (tmp_path / "outputs" / "2024_11_05").iterdir()
    command = shlex.split(json.loads((run / "results.json").read_text())["command"])
    assert command == ["train.py", *DEPTHWISE, *ONE_EPOCH, *typed]
    assert yaml.safe_load((run / "config.yaml").read_text())["optimizer"]["weight_decay"] == 0.03


def test_a_sweep_over_an_interpolation_has_a_folder_for_each_value(tmp_path):
    cells = ["name=1e3", "optimizer.weight_decay=${.lr},0.01", "optimizer.lr=0.03"]
    assert train(tmp_path, "-m", *DEPTHWISE, *ONE_EPOCH, *cells) == 0
    found = [yaml.safe_load(file.read_text()) for file in (tmp_path / "outputs" / "1e3").glob("*/config.yaml")]
    assert sorted(config["optimizer"]["weight_decay"] for config in found) == [0.01, 0.03]


def test_a_sweeps_own_folder_is_resumed_by_its_path(tmp_path):
    cell = ["name=a", "seed=1,2", *ONE_EPOCH]
    assert train(tmp_path, "-m", *DEPTHWISE, *cell) == 0
    first = sorted((tmp_path / "outputs" / "a").glob("seed=1*/last.ckpt"))[0]
    (first.parent / "results.json").unlink()
    assert "=" in str(first) and train(tmp_path, *DEPTHWISE, "trainer.max_epochs=2", "seed=1", f"resume={first}") == 0
    assert json.loads((first.parent / "results.json").read_text())["last"]["epoch"] == 1
