"""Whole runs of train.py, small ones: what they leave, that they repeat, and that they go on where they stopped."""

import csv
import json
import shutil
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
import yaml
from interruption import FULL_DISK, full_disk
from running import DEPTHWISE, ONE_EPOCH, THREE_EPOCHS, TVCONV, only_run, train, trained
from says import says

from facerec.config import compose as composition
from facerec.training.checkpoints import BestCheckpoint

NETWORKS = {"depthwise": DEPTHWISE, "tvconv": TVCONV}
networks = pytest.mark.parametrize("network", NETWORKS)


@pytest.fixture
def finished(request):
    """The finished run of a network, by its name."""
    return lambda network: request.getfixturevalue(f"{network}_run")


def results(run: Path) -> dict:
    return json.loads((run / "results.json").read_text())


def metrics(run: Path) -> list[dict[str, str]]:
    """The rows of metrics.csv without what a clock measured."""
    with (run / "metrics.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k != "images_per_second"} for row in csv.DictReader(file)]


def checkpoint(run: Path, name: str = "last") -> dict:
    return torch.load(run / f"{name}.ckpt", weights_only=True)


def assert_same_run(one: Path, other: Path) -> None:
    """Weights, the optimizer's and the schedule's state, every logged number and every result, bit for bit."""
    for name in ("best", "last"):
        ours, theirs = checkpoint(one, name), checkpoint(other, name)
        for key in ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step", "config"):
            torch.testing.assert_close(plain(ours[key]), plain(theirs[key]), rtol=0, atol=0)
    assert metrics(one) == metrics(other)
    for key in ("best", "last", "data", "cost"):
        assert results(one)[key] == results(other)[key]
    ours, theirs = np.load(one / "scores.npz"), np.load(other / "scores.npz")
    assert ours.files == theirs.files and all(np.array_equal(ours[name], theirs[name]) for name in ours.files)


def plain(value):
    """`assert_close` compares tensors in lists and dictionaries, and numbers; the rest as text."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value if isinstance(value, torch.Tensor) else torch.tensor(list(repr(value).encode()))


class TestAFinishedRun:
    def test_leaves_exactly_these_files(self, depthwise_run):
        assert sorted(path.name for path in depthwise_run.iterdir()) == [
            ".hydra",
            "best.ckpt",
            "config.yaml",
            "last.ckpt",
            "last_scores.npz",
            "metrics.csv",
            "results.json",
            "run.json",
            "scores.npz",
            "tensorboard",
        ]
        files = {path.name.partition(".out.")[0] for path in (depthwise_run / "tensorboard").iterdir()}
        assert files == {"events", "hparams.yaml"}

    def test_says_in_its_results_what_it_was(self, depthwise_run):
        found = results(depthwise_run)
        assert found.keys() == {
            *("started", "command", "config_fingerprint", "git_commit", "git_dirty", "environment"),
            *("protocol", "config", "data", "cost", "training_images_per_second", "best_chosen_on", "best", "last"),
            *("init", "teacher"),
        }
        assert found["command"] == " ".join(["train.py", *DEPTHWISE, *THREE_EPOCHS])
        assert found["config"] == composition.resolved(composition.compose([*DEPTHWISE, *THREE_EPOCHS]))
        train_set = found["data"]["train"]
        assert (train_set["images"], train_set["identities"]) == (64, 8)
        assert found["data"]["benchmarks"]["synthetic"]["pairs"] == 40
        assert found["training_images_per_second"] > 0
        made_by = json.loads((depthwise_run / "run.json").read_text())
        assert made_by == {key: found[key] for key in made_by}

    def test_keeps_the_whole_configuration(self, depthwise_run):
        kept = yaml.safe_load((depthwise_run / "config.yaml").read_text())
        assert {key: kept[key] for key in results(depthwise_run)["config"]} == results(depthwise_run)["config"]
        assert kept["callbacks"]["best"]["dirpath"] == str(depthwise_run)

    @networks
    def test_verifies_the_best_and_the_last_epoch(self, network, finished):
        found, rows = results(finished(network)), metrics(finished(network))
        accuracies = [float(row["mean_accuracy"]) for row in rows]
        assert found["best"]["epoch"] == int(np.argmax(accuracies)) and found["last"]["epoch"] == 2
        for name in ("best", "last"):
            summary = found[name]["benchmarks"]["synthetic"]
            assert found[name]["checkpoint"] == f"{name}.ckpt"
            assert summary["accuracy"] == pytest.approx(accuracies[found[name]["epoch"]])
            assert checkpoint(finished(network), name)["epoch"] == found[name]["epoch"]

    def test_keeps_the_scores_from_which_each_folds_accuracy_follows(self, tvconv_run):
        scores, summary = np.load(tvconv_run / "scores.npz"), results(tvconv_run)["best"]["benchmarks"]["synthetic"]
        distances, is_same = scores["synthetic/scores"].reshape(10, 4), scores["synthetic/is_same"].reshape(10, 4)
        right = (distances < np.array(summary["thresholds"])[:, None]) == is_same
        np.testing.assert_allclose(right.mean(1), summary["fold_accuracies"])
        assert right.mean() == pytest.approx(summary["accuracy"])

    @networks
    def test_has_learned(self, network, finished):
        losses = [float(row["train/loss_epoch"]) for row in metrics(finished(network))]
        assert losses[-1] < 0.9 * losses[0]

    def test_logs_the_rate_that_the_schedule_sets(self, depthwise_run):
        assert [(row["epoch"], row["step"], row["lr"]) for row in metrics(depthwise_run)] == [
            *(("0", "4", "0.02"), ("1", "8", "0.02"), ("2", "12", "0.002"))
        ]


def test_a_seed_repeats_a_run_bit_for_bit_and_another_does_not(tmp_path, depthwise_run):
    assert_same_run(trained(tmp_path / "again", *DEPTHWISE, *THREE_EPOCHS), depthwise_run)
    other = trained(tmp_path / "other", *DEPTHWISE, *THREE_EPOCHS, "seed=2")
    ours, theirs = (checkpoint(run)["state_dict"]["head.weight"] for run in (depthwise_run, other))
    assert not torch.equal(ours, theirs)


class TestAResumedRun:
    """Equals one that was never interrupted. Epochs of four steps; the learning rate falls after the second one."""

    @pytest.mark.parametrize(("network", "step"), [("depthwise", 5), ("depthwise", 10), ("tvconv", 6)])
    def test_after_a_crash_between_two_epochs_ends(self, network, step, tmp_path, finished, capsys):
        settings = [*NETWORKS[network], *THREE_EPOCHS]
        assert train(tmp_path, *settings, f"+callbacks.crash={{_target_: interruption.Crash, step: {step}}}") == 1
        stopped = only_run(tmp_path)
        assert checkpoint(stopped)["epoch"] == step // 4 - 1 and not (stopped / "results.json").exists()
        assert f"RuntimeError: crash at step {step}" in capsys.readouterr().err
        assert trained(tmp_path, *settings, "resume=auto") == stopped
        assert says(capsys.readouterr().err, "resuming", str(stopped / "last.ckpt"))
        assert_same_run(stopped, finished(network))

    def test_with_loading_processes_that_fetch_ahead(self, tmp_path, depthwise_run):
        settings = [*DEPTHWISE, *THREE_EPOCHS, "data.num_workers=2", "data.cache=null"]
        assert train(tmp_path, *settings, "+callbacks.crash={_target_: interruption.Crash, step: 6}") == 1
        resumed = trained(tmp_path, *settings, "resume=auto")
        ours, theirs = (checkpoint(run)["state_dict"] for run in (resumed, depthwise_run))
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)

    def test_after_the_user_stopped_it(self, tmp_path, depthwise_run, capsys):
        stop = "+callbacks.stop={_target_: interruption.Crash, step: 6, interrupt: true}"
        assert train(tmp_path, *DEPTHWISE, *THREE_EPOCHS, stop) == 130
        stopped = only_run(tmp_path)
        assert says(capsys.readouterr().err, "stopped", str(stopped), "resume=auto")
        trained(tmp_path, *DEPTHWISE, *THREE_EPOCHS, "resume=auto")
        assert_same_run(stopped, depthwise_run)

    def test_a_name_may_have_letters_of_any_alphabet_and_spaces(self, tmp_path):
        run = trained(tmp_path, *DEPTHWISE, *ONE_EPOCH, "name=Zoë faces (1)")
        assert run.parent.name == "Zoë faces (1)" and (run / "results.json").is_file()

    def test_that_has_nothing_to_go_on_from_says_so(self, tmp_path, capsys):
        run = trained(tmp_path, *DEPTHWISE, *ONE_EPOCH, "resume=auto")
        assert says(capsys.readouterr().err, "resume=auto", "no unfinished run", str(run))

    @pytest.mark.parametrize(("name", "error"), [("best.ckpt", "OSError"), ("last.ckpt", "RuntimeError")])
    def test_after_a_full_disk(self, name, error, tmp_path, depthwise_run, capsys):
        # Whatever this processor's rounding makes of the second epoch, it counts as the best so far.
        improves = mock.patch.object(BestCheckpoint, "check_monitor_top_k", lambda *_: True)
        with improves if name == "best.ckpt" else nullcontext(), full_disk(1, FULL_DISK[error], name):
            assert train(tmp_path, *DEPTHWISE, *THREE_EPOCHS) == 1
        stopped = only_run(tmp_path)
        assert sorted(path.name for path in stopped.iterdir()) == [
            *(".hydra", "best.ckpt", "config.yaml", "last.ckpt", "metrics.csv", "run.json", "tensorboard")
        ]
        assert checkpoint(stopped)["epoch"] == 0
        said = capsys.readouterr().err
        assert says(said, f"{stopped}/{name}", "space", "resume=auto")
        assert said.count("failed: ") == 1 and "Traceback" not in said
        trained(tmp_path, *DEPTHWISE, *THREE_EPOCHS, "resume=auto")
        assert_same_run(stopped, depthwise_run)

    def test_after_a_kill_before_its_results_and_a_move(self, tmp_path, depthwise_run):
        stopped = copied(depthwise_run, tmp_path)
        trained(tmp_path, *DEPTHWISE, *THREE_EPOCHS, "resume=auto")
        assert_same_run(stopped, depthwise_run)
        assert results(stopped)["training_images_per_second"] is None

    def test_goes_on_in_a_folder_of_its_own_from_a_checkpoint_of_a_finished_run(self, tmp_path, depthwise_run):
        longer = [*THREE_EPOCHS, "trainer.max_epochs=4"]
        run = trained(tmp_path, *DEPTHWISE, *longer, f"resume={depthwise_run / 'last.ckpt'}")
        assert [row["epoch"] for row in metrics(run)] == ["3"]
        assert results(run)["best"]["epoch"] == results(run)["last"]["epoch"] == 3


def copied(run: Path, folder: Path) -> Path:
    """The run as it was before it had its results, in another place."""
    stopped = folder / "outputs" / "default" / "2026-01-01_00-00-00"
    shutil.copytree(run, stopped)
    (stopped / "results.json").unlink()
    (stopped / "scores.npz").unlink()
    return stopped
