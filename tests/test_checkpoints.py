import os
import pickle
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from unittest import mock
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import torch
from interruption import FULL_DISK, full_disk
from pytorch_lightning.trainer.states import TrainerFn
from random_weights import randomise
from says import refuses
from torch import nn

from facerec.backbones import MobileNetV2
from facerec.errors import InputError
from facerec.runs.run_results import RunResults
from facerec.training.checkpoints import (
    BestCheckpoint,
    WholeCheckpoint,
    load_checkpoint,
    load_weights,
    no_larger_than,
)
from facerec.training.inside_epoch import versions
from facerec.training.resumed import (
    Resumed,
    refuse_begun_epoch,
    refuse_fewer_epochs,
    refuse_foreign_paths,
    refuse_other_model,
)
from facerec.training.verifier import Verifier

CONFIG = {
    "backbone": {"_target_": "facerec.backbones.MobileNetV2", "width": 0.1, "operator_stages": None},
    "operator": {"_target_": "facerec.operators.tvconv.TVConv", "_partial_": True, "kernel_size": 3},
    "head": {"_target_": "facerec.heads.AMSoftmax", "_partial_": True, "margin": 0.35},
    "optimizer": {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.1},
    "lr_scheduler": {"_target_": "torch.optim.lr_scheduler.MultiStepLR", "milestones": [2, 3]},
    "data": {"root": "faces", "seed": 1},
    "embedding_dim": 16,
    "seed": 1,
}
PROGRESS = {
    "epoch_progress": {"current": {"started": 4, "processed": 4}},
    "epoch_loop.batch_progress": {"is_last_batch": True},
}
TAIL = {"epoch_loop.batch_progress": {"is_last_batch": False}}
WHOLE = {
    **{"config": CONFIG, "state_dict": {"backbone.a": torch.arange(4.0)}, "epoch": 3, "global_step": 7},
    **{"loops": {"fit_loop": PROGRESS}, "callbacks": {}, "lr_schedulers": [{}], "pytorch-lightning_version": "2.6.0"},
}


@pytest.fixture
def path(tmp_path):
    torch.save(WHOLE, tmp_path / "last.ckpt")
    return tmp_path / "last.ckpt"


def changed(key: str, value: object) -> dict:
    node, _, inner = key.partition(".")
    return CONFIG | {node: CONFIG[node] | {inner: value} if inner else value}


class TestSaving:
    def test_makes_the_folder_and_leaves_the_file_alone_in_it(self, tmp_path):
        WholeCheckpoint().save_checkpoint(WHOLE, tmp_path / "run" / "last.ckpt")
        assert [path.name for path in (tmp_path / "run").iterdir()] == ["last.ckpt"]
        assert load_checkpoint(tmp_path / "run" / "last.ckpt")["epoch"] == 3

    @pytest.mark.parametrize("error", FULL_DISK)
    def test_a_full_disk_leaves_the_old_checkpoint(self, error, path):
        before = path.read_bytes()
        reason = {"OSError": "No space left on device", "RuntimeError": "[enforce fail at inline_container.cc:664]"}
        with (
            full_disk(0, FULL_DISK[error]),
            refuses(str(path), reason[error], "space", "resume=auto", error=InputError),
        ):
            WholeCheckpoint().save_checkpoint(WHOLE | {"epoch": 4}, path)
        assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]

    def test_a_defect_of_the_program_is_no_full_disk(self, tmp_path):
        with pytest.raises((AttributeError, pickle.PicklingError)):
            WholeCheckpoint().save_checkpoint({"function": lambda: None}, tmp_path / "last.ckpt")
        assert not list(tmp_path.iterdir())


class TestLoading:
    def test_gives_back_what_was_saved(self, path):
        assert load_checkpoint(path)["config"] == CONFIG

    @pytest.mark.parametrize("size", [0, 3, 100, -1])
    def test_a_file_cut_off_anywhere_is_damaged(self, path, size):
        path.write_bytes(path.read_bytes()[:size])
        with refuses(str(path), "damaged", "facerec train", error=InputError):
            load_checkpoint(path)

    @pytest.mark.parametrize("form", ["zip", "pickle"])
    def test_nothing_in_it_is_executed(self, path, tmp_path, form):
        class Hostile:
            def __reduce__(self):
                return (Path.touch, (tmp_path / "executed",))

        if form == "zip":
            torch.save(WHOLE | {"epoch": Hostile()}, path)
        else:
            path.write_bytes(pickle.dumps(Hostile()))
        with refuses(str(path), "damaged", "facerec train", error=InputError):
            load_checkpoint(path)
        assert not (tmp_path / "executed").exists()
        # It would have been, by a loader that trusts it.
        torch.load(path, weights_only=False) if form == "zip" else pickle.loads(path.read_bytes())
        assert (tmp_path / "executed").exists()

    def test_a_missing_file_and_a_folder_are_named(self, tmp_path):
        with refuses("gone.ckpt", "No such file or directory", error=InputError):
            load_checkpoint(tmp_path / "gone.ckpt")
        with refuses(str(tmp_path), "is a folder", error=InputError):
            load_checkpoint(tmp_path)

    @pytest.mark.parametrize("content", [[1], {"model": {}}, {"state_dict": {}, "epoch": 1}])
    def test_a_checkpoint_of_another_program_is_refused(self, path, content):
        torch.save(content, path)
        with refuses("last.ckpt", "configuration", "facerec train", error=InputError):
            load_checkpoint(path)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            *(("config", value) for value in (None, [], "text", 3)),
            *(("epoch", value) for value in (None, "3", 1.5)),
            *(("state_dict", value) for value in (None, [], {1: torch.ones(1)}, {"a": None}, {"a": 3})),
            ("state_dict", {"a": torch.zeros(1).expand(4, 10**6, 10**6)}),
            ("state_dict", {"a": torch.eye(3).to_sparse()}),
            ("state_dict", {"a": torch.zeros(3, device="meta")}),
        ],
    )
    def test_parts_of_another_kind_are_named(self, path, key, value):
        torch.save({**WHOLE, key: value}, path)
        with refuses("last.ckpt", "weights" if isinstance(value, dict) else key, "facerec train", error=InputError):
            load_checkpoint(path)

    def test_a_zip_bomb_is_refused_unread(self, path):
        with ZipFile(path) as file:
            records = {name: file.read(name) for name in file.namelist()}
        with ZipFile(path, "w", ZIP_DEFLATED) as file:
            for name, content in records.items():
                file.writestr(name, bytes(1 << 24) if name.endswith("data/0") else content)
        before = monotonic()
        with refuses("last.ckpt", "damaged", "facerec train", error=InputError):
            load_checkpoint(path)
        assert path.stat().st_size < 1 << 20 and monotonic() - before < 5


class TestASmallFileWithALargeNetwork:
    def test_is_refused_before_its_weights_are_filled(self, path):
        with (
            mock.patch.object(torch.nn.init, "kaiming_uniform_") as filled,
            refuses("last.ckpt", "GB", "facerec train", error=InputError),
            no_larger_than(path),
        ):
            torch.nn.Linear(1 << 15, 1 << 14)
        assert not filled.called

    def test_the_limit_ends_with_the_block(self, path):
        with no_larger_than(path):
            MobileNetV2(0.1, image_size=(16, 16))
        with mock.patch.object(torch.nn.init, "kaiming_uniform_"), mock.patch.object(torch.nn.init, "uniform_"):
            assert torch.nn.Linear(1 << 15, 1 << 14).weight.nbytes > 1 << 30


class TestWeights:
    def test_the_backbones_alone_are_loaded(self):
        trained, fresh = randomise(MobileNetV2(0.1, image_size=(16, 16))), MobileNetV2(0.1, image_size=(16, 16))
        state = {f"backbone.{name}": value for name, value in trained.state_dict().items()}
        load_weights(fresh, {"state_dict": state | {"head.weight": torch.zeros(1)}}, "a.ckpt")
        torch.testing.assert_close(fresh.state_dict(), trained.state_dict(), rtol=0, atol=0)

    def test_the_first_that_does_not_fit_is_named(self):
        network = MobileNetV2(0.1, image_size=(16, 16))
        state = {f"backbone.{name}": value for name, value in network.state_dict().items()} | {"backbone.missing": 1}
        with refuses("a.ckpt", "missing", error=InputError):
            load_weights(
                MobileNetV2(0.1, image_size=(16, 16)), {"state_dict": {**state, "backbone.missing": 1}}, "a.ckpt"
            )


def test_fewer_epochs_than_were_trained_are_refused(path):
    for max_epochs in (4, 5, -1, None):
        refuse_fewer_epochs(Resumed.read(path), max_epochs)
    with refuses(str(path), "4 epochs", "trainer.max_epochs=3", "raise it", error=InputError):
        refuse_fewer_epochs(Resumed.read(path), 3)


class TestABegunEpoch:
    def loops(self, processed: int, is_last_batch: bool) -> dict:
        epochs = {"started": 2, "processed": processed}
        batches = {"is_last_batch": is_last_batch}
        return {"fit_loop": {"epoch_progress": {"current": epochs}, "epoch_loop.batch_progress": batches}}

    @pytest.mark.parametrize(("processed", "is_last_batch"), [(1, False), (1, True), (2, False)])
    def test_is_refused(self, processed, is_last_batch, path):
        torch.save(WHOLE | {"loops": self.loops(processed, is_last_batch), "global_step": 7}, path)
        with refuses(str(path), "epoch 3", "without resume", error=InputError):
            refuse_begun_epoch(Resumed.read(path), CONFIG)

    def test_is_no_remedy_for_itself(self, tmp_path):
        torch.save(WHOLE | {"loops": self.loops(1, False)}, tmp_path / "best.ckpt")
        with pytest.raises(InputError) as raised:
            refuse_begun_epoch(Resumed.read(tmp_path / "best.ckpt"), CONFIG)
        assert "resume=" not in str(raised.value)

    @pytest.mark.parametrize(("loops", "max_steps"), [((2, True), None), ((2, True), 20), ((2, False), 7)])
    def test_is_none_after_an_epoch_or_where_training_ended(self, loops, max_steps, path):
        torch.save(WHOLE | {"loops": self.loops(*loops), "global_step": 7}, path)
        refuse_begun_epoch(Resumed.read(path), CONFIG | {"trainer": {"max_steps": max_steps}})


METRIC = {
    **{"fx": "training_step", "name": "loss", "reduce_fx": "mean", "prog_bar": True, "logger": True},
    **{"on_step": True, "on_epoch": True, "sync_dist": False, "rank_zero_only": False},
    **{"values": torch.ones(1), "images": torch.ones(1), "last": torch.ones(1)},
}


PLACE = {"batches": 5, "devices": 1, "versions": versions(), "logged": [METRIC]}
BEGUN = {"fit_loop": {"epoch_progress": {"current": {"started": 4, "processed": 3}}, **TAIL}}


class TestAPlaceInsideAnEpoch:
    def saved(self, path: Path, **changes: object) -> Resumed:
        torch.save(WHOLE | {"loops": BEGUN, "inside_epoch": {**PLACE, **changes}}, path)
        return Resumed.read(path)

    def test_is_gone_on_from(self, path):
        refuse_begun_epoch(self.saved(path), CONFIG)

    @pytest.mark.parametrize(
        ("key", "value", "typed"),
        [
            ("data.global_batch_size", 8, "add data.global_batch_size=None"),
            ("data.sampling", "identities", "data.sampling=identities"),
            ("data.seed", 2, "add data.seed=1"),
            ("trainer.accumulate_grad_batches", 2, "add trainer.accumulate_grad_batches=1"),
            ("trainer.limit_train_batches", 3, "add trainer.limit_train_batches=1.0"),
        ],
    )
    def test_is_refused_where_an_epoch_has_other_steps(self, key, value, typed, path):
        config = CONFIG | {"trainer": {}}
        node, _, name = key.partition(".")
        with refuses(str(path), "5 batches", "epoch 3", f"{key}={value}", typed, error=InputError):
            refuse_begun_epoch(self.saved(path), config | {node: {**config[node], name: value}})

    def test_of_another_version_is_refused(self, path):
        with refuses(str(path), "epoch 3", "facerec 0.1", versions(), error=InputError):
            refuse_begun_epoch(self.saved(path, versions="facerec 0.1"), CONFIG)

    @pytest.mark.parametrize(
        "odd",
        [
            *({"batches": 0}, {"batches": "5"}, {"devices": None}, {"logged": None}, {"logged": [1]}),
            *({"logged": [{**METRIC, key: None}]} for key in METRIC),
            *({"logged": [{**METRIC, key: torch.ones(2)}]} for key in ("values", "images", "last")),
            {"logged": [{**METRIC, "reduce_fx": "eval"}]},
        ],
    )
    def test_that_is_damaged_is_refused(self, odd, path):
        with refuses(str(path), "inside_epoch", "facerec train", error=InputError):
            refuse_begun_epoch(self.saved(path, **odd), CONFIG)

    def test_that_is_none_is_refused(self, path):
        torch.save(WHOLE | {"loops": BEGUN, "inside_epoch": 3}, path)
        with refuses(str(path), "another program", error=InputError):
            refuse_begun_epoch(Resumed.read(path), CONFIG)


class TestAnotherModel:
    def test_the_same_settings_pass(self, path):
        refuse_other_model(Resumed.read(path), CONFIG)

    @pytest.mark.parametrize(("key", "value"), [("seed", 2), ("data.root", "elsewhere"), ("backbone._partial_", True)])
    def test_what_the_checkpoint_does_not_decide_passes(self, path, key, value):
        refuse_other_model(Resumed.read(path), changed(key, value))

    @pytest.mark.parametrize(
        ("key", "value", "theirs"),
        [
            ("backbone.width", 0.2, 0.1),
            ("backbone.operator_stages", [7], None),
            ("operator.kernel_size", 5, 3),
            ("head.margin", 0.5, 0.35),
            ("optimizer.lr", 0.01, 0.1),
            ("lr_scheduler.milestones", [2], [2, 3]),
            ("embedding_dim", 32, 16),
        ],
    )
    def test_the_setting_is_named_with_both_values(self, path, key, value, theirs):
        with refuses(str(path), f"{key}={theirs}", f"{key}={value}", error=InputError):
            refuse_other_model(Resumed.read(path), changed(key, value))

    @pytest.mark.parametrize(
        ("key", "value", "typed"),
        [
            ("lr_scheduler.milestones", [2], "add lr_scheduler.milestones=[2,3],"),
            ("backbone.operator_stages", [7], "add backbone.operator_stages=null,"),
            ("optimizer.lr", 0.01, "add optimizer.lr=0.1,"),
        ],
    )
    def test_the_remedy_can_be_typed(self, key, value, typed, path):
        with refuses(typed, "without resume", error=InputError):
            refuse_other_model(Resumed.read(path), changed(key, value))

    def test_a_schedule_that_follows_from_the_number_of_epochs_says_so(self, path):
        config = CONFIG | {"lr_scheduler": {"_target_": "CosineAnnealingLR", "T_max": 2}}
        torch.save(WHOLE | {"config": config}, path)
        longer = CONFIG | {"lr_scheduler": {"_target_": "CosineAnnealingLR", "T_max": 4}}
        with refuses("T_max=4", "trainer.max_epochs", "add lr_scheduler.T_max=2", error=InputError):
            refuse_other_model(Resumed.read(path), longer)

    def test_pytorchs_schedule_of_version_0_1_is_continued_by_the_one_of_today(self, path):
        ours = {"_target_": "facerec.training.schedules.MultiStep", "milestones": [2, 3], "warmup_epochs": 0.0}
        refuse_other_model(Resumed.read(path), CONFIG | {"lr_scheduler": ours})
        with refuses("warmup_epochs=0.0", "warmup_epochs=1.0", error=InputError):
            refuse_other_model(Resumed.read(path), CONFIG | {"lr_scheduler": ours | {"warmup_epochs": 1.0}})
        torch.save(WHOLE | {"config": CONFIG | {"lr_scheduler": ours}}, path)
        with refuses("lr_scheduler=MultiStep,", "lr_scheduler=MultiStepLR", error=InputError):
            refuse_other_model(Resumed.read(path), CONFIG)

    def test_a_setting_that_was_not_written_has_its_default(self, path):
        refuse_other_model(Resumed.read(path), changed("backbone.activation", "relu6"))
        refuse_other_model(Resumed.read(path), changed("operator.map_init", 1.0))
        with refuses("operator.map_init=1.0", "operator.map_init=data", error=InputError):
            refuse_other_model(Resumed.read(path), changed("operator.map_init", "data"))

    @pytest.mark.parametrize(("theirs", "ours"), [(0.99, None), (None, 0.99), (0.99, 0.9)])
    def test_another_average_of_the_weights_is_refused(self, theirs, ours, path):
        torch.save(WHOLE | {"config": CONFIG | {"trainer": {"ema": theirs}}}, path)
        typed = f"add trainer.ema={'null' if theirs is None else theirs}, since the checkpoint holds its state"
        with refuses(f"trainer.ema={theirs}", f"trainer.ema={ours}", typed, error=InputError):
            refuse_other_model(Resumed.read(path), CONFIG | {"trainer": {"ema": ours}})
        refuse_other_model(Resumed.read(path), CONFIG | {"trainer": {"ema": theirs}})

    def test_other_groups_are_refused_and_the_groups_of_version_0_1_are_none(self, path):
        groups = {"_target_": "facerec.training.parameter_groups.ParameterGroups", "weight_decay": None}
        groups |= {"lr_factor": None, "freeze": []}
        refuse_other_model(Resumed.read(path), CONFIG | {"parameter_groups": groups})
        with refuses("parameter_groups.freeze=[]", "add parameter_groups.freeze=[]", error=InputError):
            refuse_other_model(Resumed.read(path), CONFIG | {"parameter_groups": groups | {"freeze": ["head"]}})
        torch.save(WHOLE | {"config": CONFIG | {"parameter_groups": groups | {"weight_decay": {"norm": 0.0}}}}, path)
        with refuses("add parameter_groups.weight_decay={norm:0.0}", error=InputError):
            refuse_other_model(Resumed.read(path), CONFIG | {"parameter_groups": groups})

    def test_another_class_is_named_before_its_settings(self, path):
        other = {"_target_": "facerec.operators.depthwise.Depthwise", "kernel_size": 7, "bias": True}
        with refuses("operator=TVConv", "operator=Depthwise", error=InputError):
            refuse_other_model(Resumed.read(path), changed("operator", other))


class TestTheBestSoFar:
    """A run's folder is moved, and the run resumed there."""

    @pytest.fixture
    def state(self, tmp_path):
        before = BestCheckpoint(tmp_path / "before", filename="best", monitor="accuracy", mode="max")
        path = str(tmp_path / "before" / "best.ckpt")
        before.best_k_models, before.kth_best_model_path, before.best_model_path = {path: torch.tensor(0.9)}, path, path
        before.best_model_score = before.kth_value = before.current_score = torch.tensor(0.9)
        return before.state_dict()

    def resumed(self, folder: Path, state: dict) -> BestCheckpoint:
        callback = BestCheckpoint(folder, filename="best", monitor="accuracy", mode="max")
        callback.load_state_dict(state)
        return callback

    def test_counts_where_its_checkpoint_came_along(self, state, tmp_path):
        (tmp_path / "after").mkdir()
        (tmp_path / "after" / "best.ckpt").touch()
        callback = self.resumed(tmp_path / "after", state)
        assert callback.best_model_path == str(tmp_path / "after" / "best.ckpt")
        assert callback.best_k_models == {callback.best_model_path: torch.tensor(0.9)}
        assert callback.best_model_score == torch.tensor(0.9)

    def test_is_saved_again_as_it_was(self, state, tmp_path):
        (tmp_path / "before").mkdir()
        (tmp_path / "before" / "best.ckpt").touch()
        assert self.resumed(tmp_path / "before", state).state_dict() == state

    @pytest.mark.filterwarnings("ignore:The dirpath has changed")
    def test_does_not_where_there_is_none(self, state, tmp_path):
        callback = self.resumed(tmp_path / "after", state)
        assert callback.best_model_score is None and callback.best_k_models == {}

    def test_stays_in_a_folder_that_stayed(self, state, tmp_path):
        (tmp_path / "before").mkdir()
        (tmp_path / "before" / "best.ckpt").touch()
        assert self.resumed(tmp_path / "before", state).best_model_score == torch.tensor(0.9)


@pytest.mark.parametrize(
    "named", ["local:///home/me", "/home/me", "{folder}/../../me", "{folder}/..", "{folder}/sub/x"]
)
@pytest.mark.parametrize("key", ["best_model_path", "kth_best_model_path", "last_model_path", "best_k_models"])
def test_a_checkpoint_that_names_files_outside_its_folder_is_refused(key, named, tmp_path):
    path = tmp_path / "last.ckpt"
    state = {"dirpath": str(tmp_path), "best_model_path": str(tmp_path / "best.ckpt")}
    torch.save(WHOLE | {"callbacks": {"BestCheckpoint{}": state}}, path)
    refuse_foreign_paths(Resumed.read(path))
    value = named.format(folder=tmp_path)
    torch.save(WHOLE | {"callbacks": {"x": {**state, key: {value: 0.9} if key == "best_k_models" else value}}}, path)
    with refuses(str(path), value, "facerec train", error=InputError):
        refuse_foreign_paths(Resumed.read(path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "last.ckpt")
    os.mkfifo(tmp_path / "results.json")
    with refuses(str(tmp_path / "last.ckpt"), "regular file", error=InputError):
        load_checkpoint(tmp_path / "last.ckpt")
    with refuses(str(tmp_path / "results.json"), "regular file", error=InputError):
        RunResults.read(tmp_path)


def test_a_folder_that_is_no_path_is_refused_too(tmp_path):
    path = tmp_path / "last.ckpt"
    torch.save(
        WHOLE | {"callbacks": {"x": {"dirpath": "local:///home/me", "last_model_path": "local:///home/me/x"}}}, path
    )
    with refuses("local:///home/me/x", error=InputError):
        refuse_foreign_paths(Resumed.read(path))


class TestTheBestEpoch:
    def test_is_chosen_by_the_accuracy_of_its_own_weights(self, tmp_path):
        saved, verifier = [], Verifier(nn.Identity(), "tvconv")
        callback = BestCheckpoint(tmp_path, filename="best", monitor="mean_accuracy", save_on_train_epoch_end=True)
        trainer = SimpleNamespace(
            **{"global_step": 4, "current_epoch": 0, "fast_dev_run": False, "sanity_checking": False},
            callback_metrics={"mean_accuracy": torch.tensor(0.5)},
            state=SimpleNamespace(fn=TrainerFn.FITTING),
        )
        with mock.patch.object(BestCheckpoint, "_save_topk_checkpoint", lambda *_: saved.append(trainer.global_step)):
            callback.on_train_epoch_end(trainer, verifier)  # verified in an epoch before
            callback.on_validation_end(trainer, verifier)
            callback.on_train_epoch_end(trainer, verifier)
            trainer.global_step = 8
            callback.on_train_epoch_end(trainer, verifier)
        assert saved == [4]
