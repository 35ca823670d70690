"""What a run cannot go on with: each time one sentence, status 1, and what was there before is still there."""

import json
import os
import pickle
import re
import shutil
from pathlib import Path

import pytest
import torch
from image_files import plain, write_benchmark, write_faces, write_image
from running import DEPTHWISE, ONE_EPOCH, TVCONV, only_run, train
from says import says


@pytest.fixture
def refused(tmp_path, capsys):
    """The one sentence that a run with these settings ends in."""

    def said(*settings: str, network: list[str] = DEPTHWISE) -> str:
        assert train(tmp_path, *network, *ONE_EPOCH, *settings) == 1
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err and "Error executing" not in printed.err
        (sentence,) = re.findall(r"^failed: .*?: (.*)$", printed.err.replace(str(tmp_path) + "/", ""), re.MULTILINE)
        return sentence

    return said


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def files(run: Path) -> dict[str, bytes]:
    """The run's own, without Hydra's notes on the command."""
    return {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}


class TestACheckpointToResume:
    def test_that_is_missing(self, refused):
        assert says(refused("resume=gone.ckpt"), "gone.ckpt", "resume=", "auto")

    @pytest.mark.parametrize(
        ("settings", "theirs", "ours"),
        [
            (TVCONV[-3:], "operator=Depthwise", "operator=TVConv"),
            (["width=0.2"], "backbone.width=0.1", "backbone.width=0.2"),
            (["backbone=sfv2"], "backbone=MobileNetV2", "backbone=ShuffleNetV2"),
            (["operator.kernel_size=5"], "operator.kernel_size=3", "operator.kernel_size=5"),
            (["head=arcface"], "head=AMSoftmax", "head=ArcFace"),
            (["optimizer.lr=0.5"], "optimizer.lr=0.02", "optimizer.lr=0.5"),
            (["optimizer.lr=0.02"], "lr_scheduler.milestones=[2]", "lr_scheduler.milestones=[22, 30, 35]"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_of_other_settings(self, settings, theirs, ours, refused, depthwise_run):
        path = depthwise_run / "last.ckpt"
        assert says(refused(*settings, f"resume={path}"), str(path), theirs, ours, "resume")

    def test_of_other_data(self, refused, depthwise_run):
        settings = ["optimizer.lr=0.02", "lr_scheduler.milestones=[2]", "data.num_identities=9"]
        sentence = refused(*settings, f"resume={depthwise_run / 'last.ckpt'}")
        assert says(sentence, "checkpoint", "images", "fingerprint", "data")

    def test_of_data_of_another_kind_with_as_many_people(self, refused, depthwise_run, tmp_path):
        for number in range(8 * 2):
            write_image(tmp_path / "faces" / "train" / f"{number // 2}" / f"{number}.png", plain((number, 9, 9)))
        write_benchmark(tmp_path / "faces", "pairs", 10)
        settings = ["optimizer.lr=0.02", "lr_scheduler.milestones=[2]", f"resume={depthwise_run / 'last.ckpt'}"]
        faces = ["data=folder", "data.root=faces", "data.benchmarks=[pairs]", "data.global_batch_size=16"]
        network = [part for part in DEPTHWISE if not part.startswith("data")]
        sentence = refused(*settings, *faces, network=network)
        assert says(sentence, "checkpoint", "data.held_out_identities", "data.held_out_seed", "resume")
        assert len(set(re.findall(r"\b[0-9a-f]{16}\b", sentence))) == 2

    def test_that_has_had_all_its_epochs(self, refused, depthwise_run, tmp_path):
        settings = ["optimizer.lr=0.02", "lr_scheduler.milestones=[2]", "trainer.max_epochs=3"]
        sentence = refused(*settings, f"resume={depthwise_run / 'last.ckpt'}")
        run = only_run(tmp_path).relative_to(tmp_path)
        assert says(sentence, f"{run}/best.ckpt", "trainer.max_epochs=3")

    def test_that_was_written_inside_an_epoch(self, refused, depthwise_run, tmp_path):
        shutil.copytree(depthwise_run, tmp_path / "run")
        checkpoint = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
        checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"] -= 1
        torch.save(checkpoint, tmp_path / "run" / "last.ckpt")
        settings = ["optimizer.lr=0.02", "lr_scheduler.milestones=[2]", "trainer.max_epochs=4"]
        assert says(refused(*settings, "resume=run/last.ckpt"), "run/last.ckpt", "epoch 2", "resume=run/best.ckpt")
        assert train(tmp_path, *DEPTHWISE, *settings, "resume=run/best.ckpt") == 0  # as it says

    def test_that_was_cut_off(self, refused, depthwise_run, tmp_path):
        whole = (depthwise_run / "last.ckpt").read_bytes()
        for size in (0, len(whole) - 1):
            (tmp_path / "cut.ckpt").write_bytes(whole[:size])
            assert says(refused("resume=cut.ckpt"), "cut.ckpt", "damaged", "facerec train")

    def test_that_would_run_a_program(self, refused, tmp_path):
        class Hostile:
            def __reduce__(self):
                return (Path.touch, (tmp_path / "executed",))

        torch.save({"state_dict": {}, "config": {}, "epoch": Hostile()}, tmp_path / "zip.ckpt")
        (tmp_path / "old.ckpt").write_bytes(pickle.dumps(Hostile()))
        for name in ("zip", "old"):
            assert says(refused(f"resume={name}.ckpt"), f"{name}.ckpt", "damaged", "facerec train")
        assert not (tmp_path / "executed").exists()

    def test_of_another_program(self, refused, tmp_path):
        torch.save({"model": {}}, tmp_path / "other.ckpt")
        assert says(refused("resume=other.ckpt"), "other.ckpt", "configuration", "facerec train")


class TestAFolderThatHoldsARun:
    @pytest.fixture
    def copy(self, tmp_path, depthwise_run):
        shutil.copytree(depthwise_run, tmp_path / "run")
        return tmp_path / "run"

    def test_that_is_finished(self, refused, copy):
        before = content(copy)
        for settings in [], ["resume=auto"]:
            sentence = refused("hydra.run.dir=run", "hydra.output_subdir=null", *settings)
            assert says(sentence, "finished", "skip_finished=true", "name=")
        assert content(copy) == before

    def test_that_is_finished_is_skipped_on_request(self, copy, tmp_path, capsys):
        before = content(copy)
        settings = ["hydra.run.dir=run", "hydra.output_subdir=null", "skip_finished=true"]
        assert train(tmp_path, *DEPTHWISE, *settings) == 0
        said = capsys.readouterr().err
        assert says(said, "skipped", str(copy)) and said.count("\n") == 1
        assert content(copy) == before

    def test_that_is_unfinished(self, refused, copy):
        (copy / "results.json").unlink()
        before = content(copy)
        sentence = refused("hydra.run.dir=run", "hydra.output_subdir=null")
        assert says(sentence, "unfinished", "resume=auto", "name=")
        assert content(copy) == before


class TestAnUnfinishedRunThatGoesOn:
    """With other accuracies than those among which its best epoch was chosen so far."""

    SAME = ("optimizer.lr=0.02", "lr_scheduler.milestones=[2]", "trainer.max_epochs=4", "resume=auto")

    @pytest.fixture
    def unfinished(self, tmp_path, depthwise_run):
        shutil.copytree(depthwise_run, tmp_path / "outputs" / "default" / "run")
        (tmp_path / "outputs" / "default" / "run" / "results.json").unlink()
        return tmp_path / "outputs" / "default" / "run"

    @pytest.mark.parametrize(
        ("setting", "theirs"),
        [
            ("data.benchmarks=[synthetic_pose]", "data.benchmarks=['synthetic']"),
            ("data.benchmarks=[synthetic,synthetic_pose]", "data.benchmarks=['synthetic']"),
            ("protocol=insightface", "protocol=tvconv"),
            ("augmentation@data.test_augmentation=rotation", "data.test_augmentation={}"),
            ("data.num_pairs=20", "pairs of synthetic (fingerprint"),
        ],
    )
    def test_is_refused_and_stays_as_it_was(self, setting, theirs, refused, unfinished):
        before = files(unfinished)
        key = setting.partition("=")[0].rpartition("@")[2]
        assert says(
            refused(*self.SAME, setting), "last.ckpt", theirs, key.removeprefix("data.num_"), "facerec evaluate"
        )
        assert files(unfinished) == before

    def test_in_a_folder_of_its_own_it_chooses_anew(self, depthwise_run, tmp_path):
        settings = [*self.SAME[:-1], "protocol=insightface", f"resume={depthwise_run / 'last.ckpt'}"]
        assert train(tmp_path, *DEPTHWISE, *settings) == 0
        results = json.loads((only_run(tmp_path) / "results.json").read_text())
        assert results["best"]["epoch"] == 3 and results["protocol"] == "insightface"


class TestALossThatIsNoNumber:
    def test_names_the_step(self, refused, tmp_path):
        remedies = ("optimizer.lr", "resume=auto trainer.precision=32-true")
        assert says(refused("optimizer.lr=1e30"), "loss", "step 2", "1e+30", *remedies)
        assert not list(only_run(tmp_path).glob("*.ckpt"))

    def test_keeps_the_checkpoint_of_the_epoch_before(self, refused, tmp_path):
        # The rate is raised a thousandfold, again and again, from the second epoch on.
        schedule = ["lr_scheduler.milestones=[1]", "lr_scheduler.gamma=1e30", "trainer.max_epochs=3"]
        assert says(refused(*schedule), "loss", "step 6", "1e+29")
        run = only_run(tmp_path)
        for name in ("best", "last"):
            checkpoint = torch.load(run / f"{name}.ckpt", weights_only=True)
            assert checkpoint["epoch"] == 0
            assert all(weight.isfinite().all() for weight in checkpoint["state_dict"].values())
        assert not (run / "results.json").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "name", ["config.yaml", "run.json", "metrics.csv", "best.ckpt", "last.ckpt", "scores.npz", "results.json"]
)
def test_a_full_disk(name, refused, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / f".partial.{os.getpid()}.{name}").symlink_to("/dev/full")
    sentence = refused("hydra.run.dir=run")
    assert says(sentence, f"run/{name}", "space", "resume=auto" if name.endswith(".ckpt") else "folder"), sentence
    assert not list(run.glob(".partial*")) and not (run / name).exists() and not (run / "results.json").exists()


class TestDataThatIsMissingOrDamaged:
    def test_is_said_before_the_first_step(self, refused, tmp_path):
        write_faces(tmp_path / "faces")
        settings = ["data=folder", "data.root=faces", "data.benchmarks=[pairs,lfw]", "data.global_batch_size=4"]
        network = [part for part in DEPTHWISE if not part.startswith("data")]
        files = ("faces/lfw/lfw_pair.txt", "faces/lfw.bin")
        assert says(refused(*settings, network=network), *files, "data.benchmarks")
        assert [path.name for path in tmp_path.iterdir()] == ["faces"]

    @pytest.mark.parametrize("num_workers", [0, 1])
    def test_an_image_that_cannot_be_read_is_named_from_whatever_process(self, num_workers, refused, tmp_path):
        write_faces(tmp_path / "faces")
        whole = tmp_path / "faces" / "train" / "bob" / "2.png"
        whole.write_bytes(whole.read_bytes()[:-20])
        settings = ["data=folder", "data.root=faces", "data.benchmarks=[pairs]", "data.global_batch_size=4"]
        network = [part for part in DEPTHWISE if not part.startswith("data")]
        sentence = refused(*settings, f"data.num_workers={num_workers}", network=network)
        assert "train/bob/2.png" in sentence and "Caught" not in sentence

    def test_a_root_that_was_not_given(self, refused):
        network = [part for part in DEPTHWISE if not part.startswith("data")]
        assert says(refused("data=folder", network=network), "value", "data.root=")


class TestTheFolderOfARefusedRun:
    def test_is_gone_with_those_above_it(self, refused, tmp_path):
        assert says(refused("operator.kernel_size=4", "name=a/b", "data.cache=null"), "kernel_size", "odd")
        assert not list(tmp_path.iterdir())

    def test_stays_with_what_is_in_it_and_where_it_is_not_in_outputs(self, refused, tmp_path):
        (tmp_path / "outputs" / "mine").mkdir(parents=True)
        (tmp_path / "outputs" / "mine" / "notes.txt").touch()
        for place in ("hydra.run.dir=outputs/mine", "hydra.run.dir=elsewhere", "hydra.run.dir=outputs/mine/new"):
            refused("operator.kernel_size=4", place, "data.cache=null")
        found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_dir())
        assert found == ["elsewhere", "elsewhere/.hydra", "outputs", "outputs/mine", "outputs/mine/.hydra"]


@pytest.mark.parametrize(
    ("setting", "facts"),
    [
        ("+trainer.limit_val_batches=0", ("trainer.limit_val_batches=0", "remove it")),
        ("+trainer.overfit_batches=2", ("limit_val_batches", "trainer.overfit_batches")),
        ("+trainer.check_val_every_n_epoch=0", ("trainer.check_val_every_n_epoch", "at least 1", "0")),
        ("+trainer.val_check_interval=100", ("trainer.val_check_interval=100", "4 steps", "leave it out")),
        ("+trainer.limit_train_batches=0.1", ("trainer.limit_train_batches=0.1", "4 batches", "0.25")),
        ("+trainer.max_time=00:00:00:00", ("trainer.max_time=00:00:00:00", "DAYS:HOURS:MINUTES:SECONDS")),
        ("+callbacks.best.save_top_k=2", ("callbacks.best.save_top_k=2", "best.ckpt", "leave it out")),
        ("+callbacks.last.every_n_epochs=3", ("callbacks.last.every_n_epochs=3", "last.ckpt", "leave it out")),
        ("+callbacks.last.save_weights_only=true", ("save_weights_only=True", "last.ckpt", "leave it out")),
        ("data.benchmarks=[synthetic,synthetic]", ("synthetic", "twice", "once")),
        ("data.benchmarks=[held_out]", ("held_out", "another name")),
        ("callbacks.best.filename=mybest", ("best.ckpt", "mybest.ckpt", "callbacks.best")),
        ("callbacks.best.monitor=lfw/accuracy", ("lfw/accuracy", "synthetic/accuracy")),
    ],
)
def test_what_could_not_end_is_said_before_the_first_step(setting, facts, refused, tmp_path):
    assert says(refused(setting), *facts)
    assert not (tmp_path / "outputs" / "default").exists()


def test_part_of_a_benchmark_is_refused_before_the_first_step(refused, tmp_path):
    crash = "+callbacks.crash={_target_: interruption.Crash, step: 1}"
    said = refused("+trainer.limit_val_batches=1", crash)
    assert says(said, "trainer.limit_val_batches=1", "remove it")
    said = refused("+trainer.val_check_interval=0.9", crash)
    assert says(said, "trainer.val_check_interval=0.9", "4 steps", "leave it out")


def test_a_schedule_that_would_break_off_is_refused_before_the_first_step(refused, tmp_path):
    others = [f"~lr_scheduler.{key}" for key in ("milestones", "gamma", "warmup_epochs")]
    said = refused("lr_scheduler._target_=torch.optim.lr_scheduler.ReduceLROnPlateau", *others)
    assert says(said, "ReduceLROnPlateau", "lr_scheduler=multistep")
    assert not (tmp_path / "outputs" / "default").exists()
