"""Whole runs with a teacher: a checkpoint of the project's, an exported file, others, and what is refused."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import timm
import torch
from onnx import TensorProto, helper
from running import DEPTHWISE, ONE_EPOCH, only_run, train, trained
from says import says

from facerec.config.trained import build_trained
from facerec.exporting import formats
from facerec.exporting.deployed_network import export_form

CRASH = "+callbacks.crash={_target_: interruption.Crash, step: 6}"
STUDENT = [*DEPTHWISE, "optimizer.lr=0.02", "logger=none"]
TWO_EPOCHS = [*STUDENT, "trainer.max_epochs=2", "lr_scheduler.milestones=[1]"]
STATED = ["distillation.colours=bgr", "distillation.mean=127.5", "distillation.std=[127.5,100,150]"]


def results(run: Path) -> dict:
    return json.loads((run / "results.json").read_text())


def state(run: Path) -> dict:
    return torch.load(run / "last.ckpt", weights_only=True)["state_dict"]


def cached(folder: Path) -> np.ndarray:
    (file,) = folder.glob("outputs/cache/teacher-*.npy")
    return np.load(file)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A checkpoint with another size of images and another dimension of embeddings than the student's."""
    settings = ["image_size=48", "embedding_dim=24", "operator=tvconv", "operator.generator_channels=4"]
    folder = tmp_path_factory.mktemp("teacher")
    return trained(folder, *STUDENT, *settings, *ONE_EPOCH) / "last.ckpt"


@pytest.fixture(scope="module")
def exported(teacher, tmp_path_factory):
    """Without the verification of facerec export, which a network that has hardly learned may not pass."""
    path = tmp_path_factory.mktemp("exported") / "net.onnx"
    backbone, _, content = build_trained(teacher)
    pixels = torch.zeros(2, 48, 48, 3, dtype=torch.uint8)
    formats.write("onnx", export_form(backbone), pixels, formats.describe(content, str(teacher), (48, 48), 24), path)
    return path


@pytest.fixture
def foreign(tmp_path):
    """An ONNX file that takes float (1, 3, 20, 24), as those of other projects: its embedding are means."""
    image = helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, 20, 24])
    mean = helper.make_tensor_value_info("fc1", TensorProto.FLOAT, [1, 3])
    node = helper.make_node("ReduceMean", ["data"], ["fc1"], axes=[2, 3], keepdims=0)
    graph = helper.make_graph([node], "net", [image], [mean])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "foreign.onnx")
    return tmp_path / "foreign.onnx"


@pytest.fixture(scope="module")
def distilled(teacher, tmp_path_factory):
    return trained(tmp_path_factory.mktemp("distilled"), *TWO_EPOCHS, "distillation=embedding", f"teacher={teacher}")


def test_a_checkpoint_teaches_and_the_run_says_whom_it_learned_from(distilled, teacher):
    found = results(distilled)
    said = found["teacher"]
    assert (said["name"], said["kind"], said["embedding_dim"]) == (str(teacher), "checkpoint", 24)
    assert (said["image_size"], said["colours"], said["mean"]) == ([48, 48], "rgb", [127.5] * 3)
    assert said["flip"] is False  # as data.horizontal_flip of drawn faces
    assert json.loads((distilled / "run.json").read_text())["teacher"] == said
    assert state(distilled)["distillation.projection.weight"].shape == (24, 16)
    with (distilled / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        whole = float(row["train/head_loss"]) + 128 * float(row["train/distillation_loss"])
        assert float(row["train/loss_epoch"]) == pytest.approx(whole, rel=1e-4)
    assert float(rows[1]["train/distillation_loss"]) < float(rows[0]["train/distillation_loss"])


def test_a_resumed_run_equals_one_that_was_never_interrupted(distilled, teacher, tmp_path):
    settings = [*TWO_EPOCHS, "distillation=embedding", f"teacher={teacher}"]
    assert train(tmp_path, *settings, CRASH) == 1
    moved = shutil.copy(teacher, tmp_path / "moved.ckpt")
    settings[-1] = f"teacher={moved}"
    trained(tmp_path, *settings, "resume=auto")
    ours, theirs = state(only_run(tmp_path)), state(distilled)
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_another_teacher_or_none_does_not_go_on(distilled, teacher, exported, tmp_path, capsys):
    longer = [*TWO_EPOCHS, "trainer.max_epochs=3", f"resume={distilled / 'last.ckpt'}"]
    assert train(tmp_path, *longer, "distillation=embedding", f"teacher={exported}") == 1
    assert says(capsys.readouterr().err, str(exported), "another teacher", "without resume")
    assert not list(tmp_path.glob("outputs/cache/teacher-*"))  # nothing was computed for it
    assert train(tmp_path, *longer) == 1
    assert says(capsys.readouterr().err, "distillation=EmbeddingDistillation", "distillation=None")


def test_an_exported_file_teaches_as_its_checkpoint(distilled, exported, tmp_path):
    run = trained(tmp_path, *STUDENT, *ONE_EPOCH, "distillation=embedding", f"teacher={exported}")
    said = results(run)["teacher"]
    assert (said["kind"], said["image_size"], said["colours"]) == ("onnx", [48, 48], "rgb")
    ours, theirs = cached(tmp_path).astype(np.float32), cached(distilled.parents[2]).astype(np.float32)
    assert ((ours * theirs).sum(1) > 0.999).all() and len(ours) == 64
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=2e-3)


def test_centres_follow_the_teacher_to_the_end(teacher, tmp_path):
    run = trained(tmp_path, *TWO_EPOCHS, "embedding_dim=24", "distillation=adadistill", f"teacher={teacher}")
    table, labels = cached(tmp_path).astype(np.float32), np.arange(64) // 8
    means = np.stack([table[labels == label].mean(0) for label in range(8)])
    centres = state(run)["head.weight"].numpy()
    cosines = (means * centres).sum(1) / np.linalg.norm(means, axis=1) / np.linalg.norm(centres, axis=1)
    assert cosines.min() > 0.8
    with (run / "metrics.csv").open() as file:
        assert "train/distillation_loss" not in file.readline()


def test_a_foreign_file_is_normalised_as_stated(foreign, tmp_path):
    run = trained(tmp_path, *STUDENT, *ONE_EPOCH, "distillation=embedding", f"teacher={foreign}", *STATED)
    said = results(run)["teacher"]
    assert (said["image_size"], said["colours"], said["std"]) == ([20, 24], "bgr", [127.5, 100, 150])
    assert cached(tmp_path).shape == (64, 3)


def test_a_network_of_timm_teaches_with_the_weights_of_a_file(tmp_path):
    torch.manual_seed(0)
    network = timm.create_model("test_byobnet.r160_in1k", num_classes=7)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    stated = [part.replace("bgr", "rgb") for part in STATED] + ["distillation.image_size=[32,32]"]
    name = f"teacher=timm:test_byobnet:{tmp_path / 'weights.pth'}"
    run = trained(tmp_path / "run", *STUDENT, *ONE_EPOCH, "distillation=embedding", name, *stated)
    said = results(run)["teacher"]
    assert (said["kind"], said["embedding_dim"], said["image_size"]) == ("timm", network.num_features, [32, 32])


class TestEmbeddingsOfAFile:
    def test_are_of_the_images_that_they_say(self, distilled, tmp_path, capsys):
        fingerprint = results(distilled)["data"]["train"]["fingerprint"]
        rows = np.random.default_rng(0).normal(size=(64, 5))
        for name, of in (("right", fingerprint), ("wrong", "0123456789abcdef")):
            np.savez(tmp_path / f"{name}.npz", embeddings=rows, fingerprint=of)
        settings = [*STUDENT, *ONE_EPOCH, "distillation=embedding"]
        assert train(tmp_path / "a", *settings, f"teacher={tmp_path / 'wrong.npz'}") == 1
        assert says(capsys.readouterr().err, "wrong.npz", "0123456789abcdef", fingerprint)
        run = trained(tmp_path / "b", *settings, f"teacher={tmp_path / 'right.npz'}")
        assert results(run)["teacher"]["fingerprint"] == fingerprint


@pytest.fixture
def refused(tmp_path, capsys):
    """The one sentence that a run with these settings ends in."""

    def said(*settings: str) -> str:
        assert train(tmp_path, *STUDENT, *ONE_EPOCH, *settings) == 1
        printed = capsys.readouterr().err
        assert "Traceback" not in printed
        (sentence,) = re.findall(r"^failed: .*?: (.*)$", printed, re.MULTILINE)
        assert not list(tmp_path.glob("outputs/default/*/*.ckpt"))
        return sentence

    return said


EMBEDDING = "distillation=embedding"


class TestWhatIsRefused:
    def test_half_of_the_two_settings(self, refused):
        assert says(refused("teacher=net.ckpt"), "teacher=net.ckpt", "distillation=none", EMBEDDING)
        assert says(refused(EMBEDDING), "teacher=null", "teacher=FILE")

    def test_a_teacher_that_is_a_text(self, refused, tmp_path):
        (tmp_path / "notes.md").write_text("some notes")
        assert says(refused(EMBEDDING, f"teacher={tmp_path / 'notes.md'}"), "notes.md", ".onnx", ".npz", "timm:NAME")

    def test_a_teacher_that_is_missing_or_a_folder(self, refused, tmp_path):
        assert says(refused(EMBEDDING, "teacher=gone.ckpt"), "gone.ckpt", "does not exist", "timm:NAME")
        assert says(refused(EMBEDDING, f"teacher={tmp_path}"), str(tmp_path), "folder")
        assert says(refused(EMBEDDING, "teacher=timm:renet"), "timm:renet", "list_models")
        assert says(refused(EMBEDDING, "teacher=timm:test_byobnet:gone.pth"), "gone.pth", "timm:test_byobnet")

    @pytest.mark.parametrize("name", ["net.ckpt", "net.onnx", "net.npz"])
    def test_a_file_that_is_no_teacher(self, name, refused, tmp_path):
        (tmp_path / name).write_bytes(b"PK\x03\x04 nothing")
        assert says(refused(EMBEDDING, f"teacher={name}"), name)

    def test_arrays_that_are_no_embeddings(self, refused, tmp_path):
        np.savez(tmp_path / "net.npz", embeddings=np.zeros((3, 2), object), fingerprint="a")
        assert says(refused(EMBEDDING, "teacher=net.npz"), "net.npz", "embeddings", "fingerprint")
        np.savez(tmp_path / "net.npz", embeddings=np.zeros(3), fingerprint="a")
        assert says(refused(EMBEDDING, "teacher=net.npz"), "net.npz", "(3,)", "one row per image")

    def test_another_input_than_the_teachers(self, refused, teacher, exported):
        for name in (teacher, exported):
            said = refused(EMBEDDING, f"teacher={name}", "distillation.image_size=[112,112]")
            assert says(said, str(name), "image_size=[48,48]", "[112,112]")
            assert says(refused(EMBEDDING, f"teacher={name}", "distillation.colours=bgr"), "colours=rgb", "bgr")

    def test_a_foreign_teacher_whose_input_nobody_states(self, refused, foreign):
        assert says(refused(EMBEDDING, f"teacher={foreign}"), "foreign.onnx", "distillation.colours=rgb")

    def test_an_embedding_of_another_dimension(self, refused, teacher):
        said = refused("distillation=adadistill", f"teacher={teacher}")
        assert says(said, "24", "embedding_dim=16", "embedding_dim=24", EMBEDDING)

    def test_embeddings_that_are_no_numbers(self, refused, foreign):
        stated = ["distillation.colours=rgb", "distillation.mean=0", "distillation.std=1e-38"]
        assert says(refused(EMBEDDING, f"teacher={foreign}", *stated), "image", "normalisation")

    def test_a_network_that_takes_no_images(self, refused, tmp_path):
        vector = helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3])
        out = helper.make_tensor_value_info("fc1", TensorProto.FLOAT, [1, 3])
        graph = helper.make_graph([helper.make_node("Relu", ["data"], ["fc1"])], "net", [vector], [out])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, tmp_path / "net.onnx")
        assert says(refused(EMBEDDING, "teacher=net.onnx"), "net.onnx", "[1, 3]", "height, width")
