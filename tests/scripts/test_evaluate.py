"""Verification of a checkpoint from itself, as a person asks for it."""

import json
from unittest import mock

import numpy as np
import pytest
import torch
from image_files import NUM_NOISE_PAIRS, write_noise
from running import as_program
from says import says

from facerec.commands.main import module_of
from facerec.config import build
from facerec.operators.common.position_dependent_base import PositionDependentConv
from facerec.operators.tvconv import TVConv
from facerec.verification.verify import verify


@pytest.fixture
def evaluate(capsys, tmp_path):
    """Exit status, the last line's content, and what people read."""

    def evaluated(*arguments: str) -> tuple[int, dict, str]:
        with as_program(tmp_path):
            status = module_of("evaluate").main(list(arguments))
        printed = capsys.readouterr()
        return status, json.loads(printed.out.splitlines()[-1]) if status == 0 else printed.out, printed.err

    return evaluated


@pytest.fixture
def verified(evaluate):
    def summary(*arguments: str) -> dict:
        status, found, _ = evaluate(*arguments)
        assert status == 0
        return found

    return summary


def synthetic(found: dict) -> dict:
    return found["benchmarks"]["synthetic"]


def test_standard_output_is_one_json_object_and_nothing_else(depthwise_run, tmp_path, capsys):
    with as_program(tmp_path):
        assert module_of("evaluate").main([f"checkpoint={depthwise_run / 'best.ckpt'}"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["epoch"] >= 0 and "Validation" in printed.err


@pytest.mark.parametrize("name", ["best", "last"])
@pytest.mark.parametrize("network", ["depthwise", "tvconv"])
def test_a_checkpoint_verifies_as_its_run_said(name, network, verified, request):
    run = request.getfixturevalue(f"{network}_run")
    results = json.loads((run / "results.json").read_text())
    found = verified(f"checkpoint={run / name}.ckpt")
    said = results[name]["benchmarks"]["synthetic"]
    assert synthetic(found) == said  # also what the run found in its training set
    assert (found["epoch"], found["form"], found["protocol"]) == (results[name]["epoch"], "training", "tvconv")
    assert found["data"] == results["data"]["benchmarks"]
    assert found["git_commit"] == results["git_commit"] and found["environment"] == results["environment"]


def test_the_deployed_form_verifies_as_the_training_form(verified, tvconv_run):
    path = f"checkpoint={tvconv_run / 'best.ckpt'}"
    with mock.patch("facerec.commands.evaluate.verify", side_effect=build.verify) as verify:
        training, deployed = verified(path), verified(path, "form=deployed")
    kinds = [{type(module) for module in call.args[2].modules()} for call in verify.call_args_list]
    assert [(TVConv in kind, PositionDependentConv in kind) for kind in kinds] == [(True, False), (False, True)]
    assert (training["form"], deployed["form"]) == ("training", "deployed")
    layers = [
        name for name, module in verify.call_args.args[2].named_modules() if type(module) is PositionDependentConv
    ]
    assert layers and list(deployed["position_share"]) == layers and "position_share" not in training
    training, deployed = synthetic(training), synthetic(deployed)
    assert deployed["accuracy"] == training["accuracy"]
    np.testing.assert_allclose(deployed["thresholds"], training["thresholds"], rtol=1e-2)
    assert deployed["auc"] == pytest.approx(training["auc"], abs=1e-3)


@pytest.mark.parametrize("network", ["depthwise", "tvconv"])
def test_at_another_image_size_than_in_training(network, verified, request):
    path = f"checkpoint={request.getfixturevalue(f'{network}_run') / 'best.ckpt'}"
    with mock.patch("facerec.commands.evaluate.verify", side_effect=build.verify) as verify:
        trained, larger, deployed = (
            verified(path, *size) for size in ([], ["image_size=48"], ["image_size=48", "form=deployed"])
        )
    assert [call.args[2].image_size for call in verify.call_args_list] == [(32, 32), (48, 48), (48, 48)]
    assert [found["image_size"] for found in (trained, larger, deployed)] == [32, 48, 48]
    assert synthetic(larger)["thresholds"] != synthetic(trained)["thresholds"]
    assert synthetic(larger)["accuracy"] == synthetic(deployed)["accuracy"]


def test_an_image_size_that_is_no_number_is_refused(evaluate, depthwise_run):
    status, _, said = evaluate(f"checkpoint={depthwise_run / 'best.ckpt'}", "image_size=large")
    assert status == 1 and says(said, "image_size", "integer", "'large'") and said.count("\n") == 1


def test_another_protocol_and_other_settings_of_the_same_data(verified, depthwise_run):
    path = f"checkpoint={depthwise_run / 'best.ckpt'}"
    found = verified(path, "protocol=insightface", "data.num_pairs=20", "data.benchmarks=[synthetic_pose]")
    assert found["protocol"] == "insightface"
    assert found["benchmarks"].keys() == {"synthetic_pose"}
    assert found["benchmarks"]["synthetic_pose"]["num_pairs"] == found["data"]["synthetic_pose"]["pairs"] == 20


def test_other_data(verified, depthwise_run, tmp_path):
    write_noise(tmp_path / "faces")
    arguments = ["data=folder", "data.root=faces", "data.benchmarks=[odd]", "data.num_workers=0"]
    found = verified(f"checkpoint={depthwise_run / 'best.ckpt'}", *arguments)
    assert found["benchmarks"].keys() == {"odd"} and found["benchmarks"]["odd"]["num_pairs"] == NUM_NOISE_PAIRS


def test_people_read_a_table_and_see_the_curves(evaluate, depthwise_run, tmp_path):
    status, found, shown = evaluate(f"checkpoint={depthwise_run / 'best.ckpt'}", "roc=new/roc.png")
    assert status == 0 and (tmp_path / "new" / "roc.png").read_bytes().startswith(b"\x89PNG")
    summary = synthetic(found)
    title = f"verification in percent [95 % interval], protocol tvconv, epoch {found['epoch'] + 1} (counted from 1)"
    assert f"{title}, test images unchanged" in " ".join(shown.split())
    low, high = summary["accuracy_interval"]
    assert f"{100 * summary['accuracy']:.2f} [{100 * low:.1f}, {100 * high:.1f}]" in shown
    # 20 pairs of different people resolve a FAR of one in ten alone.
    assert list(summary["tar_at_far"]) == ["1e-1"] and set(summary["refused"]) == {"1e-2", "1e-3", "1e-4"}
    assert "TAR at FAR 0.1" in shown and "TAR at FAR 0.01" not in shown


@pytest.mark.parametrize("protocol", ["tvconv", "insightface"])
def test_the_file_of_scores_decides_pairs_as_the_summary_says(protocol, evaluate, depthwise_run, tmp_path):
    path = f"checkpoint={depthwise_run / 'best.ckpt'}"
    with mock.patch("facerec.training.verifier.verify", side_effect=verify) as verified:
        status, found, _ = evaluate(path, "scores=new/scores.npz", f"protocol={protocol}")
    (left, right, is_same, _), _ = verified.call_args
    kept, summary = np.load(tmp_path / "new" / "scores.npz"), synthetic(found)
    assert status == 0 and ("synthetic/centres" in kept) == (protocol == "tvconv")
    assert kept["synthetic/thresholds"].tolist() == summary["thresholds"]
    left, right = (
        side / np.linalg.norm(side, axis=1, keepdims=True) for side in (left.astype(float), right.astype(float))
    )
    correct = []
    for pair in range(len(is_same)):
        fold = pair * 10 // len(is_same)
        one, other = left[pair], right[pair]
        if protocol == "tvconv":
            one, other = (side - kept["synthetic/centres"][fold] for side in (one, other))
            one, other = (side / np.linalg.norm(side) for side in (one, other))
        correct.append((((one - other) ** 2).sum() < kept["synthetic/thresholds"][fold]) == is_same[pair])
    assert np.mean(correct) == pytest.approx(summary["accuracy"], abs=1e-12)
    assert says(summary["decision"], "squared distance", "length 1", "mean" if protocol == "tvconv" else "nothing")


def test_the_table_names_the_transforms_of_the_test_images(evaluate, depthwise_run):
    transforms = ["augmentation@data.test_augmentation=[rotation,low_resolution]", "affine_strength=2"]
    _, found, shown = evaluate(f"checkpoint={depthwise_run / 'best.ckpt'}", *transforms)
    assert "test images under rotation(degrees=15, strength=2.0), low_resolution(" in " ".join(shown.split())
    assert list(found["test_augmentation"]) == ["rotation", "low_resolution"]


def test_a_strength_without_a_transform_is_told_one_that_is_taken_here(evaluate, depthwise_run):
    path, strength, remedy = (
        f"checkpoint={depthwise_run / 'best.ckpt'}",
        "affine_strength=2",
        "test_augmentation=rotation",
    )
    status, _, said = evaluate(path, strength)
    assert status == 1 and says(said, "affine_strength", f"add augmentation@data.{remedy}")
    assert "train_augmentation" not in said
    assert evaluate(path, strength, f"augmentation@data.{remedy}")[0] == 0


def test_nothing_is_left_behind(evaluate, depthwise_run, tmp_path):
    evaluate(f"checkpoint={depthwise_run / 'best.ckpt'}", "data.cache=null")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["operator=depthwise"], ("'operator=depthwise'", "checkpoint")),
        (["backbone.width=0.2"], ("'backbone.width=0.2'", "checkpoint")),
        (
            ["~data.seed"],
            ("data.seed", "an integer"),
        ),
        (["form=fast"], ("form", "training", "deployed", "'fast'")),
        (["protocol=lfw"], ("protocol", "tvconv, tvconv_reference, insightface", "'lfw'")),
        (["data.num_piars=20"], ("'data.num_piars'", "'num_pairs'")),
        (["data=insightface"], ("data.root", "data.root=...")),
        (["data=fodler"], ("data=fodler", "'folder'")),
        (["data.benchmarks=[lfw]"], ("'lfw'", "synthetic, synthetic_pose,")),
        (["trainer.devices=0"], ("config node: trainer",)),
        (["scores=scores.csv"], ("scores.csv", ".npz")),
        (["roc=roc.txt"], ("roc.txt", ".png, .svg or .pdf")),
        (["checkpoint=gone.ckpt"], ("gone.ckpt", "No such file or directory")),
    ],
)
def test_a_mistake_is_one_sentence_and_status_1(arguments, facts, evaluate, depthwise_run):
    status, printed, said = evaluate(f"checkpoint={depthwise_run / 'best.ckpt'}", *arguments)
    assert (status, printed.count("{")) == (1, 0)
    assert says(said.splitlines()[-1], *facts)


def test_a_checkpoint_must_be_given(evaluate):
    status, printed, said = evaluate("form=deployed")
    assert (status, printed) == (1, "") and says(said, "no checkpoint", "checkpoint=FILE", "model=FILE")


def test_a_file_of_the_other_kind_is_answered_with_its_setting(evaluate, depthwise_run, tmp_path):
    (tmp_path / "best.onnx").write_bytes(b"some network")
    status, _, said = evaluate("checkpoint=best.onnx")
    assert status == 1 and says(said, "best.onnx", "model=")
    status, _, said = evaluate(f"model={depthwise_run / 'best.ckpt'}")
    assert status == 1 and says(said, "best.ckpt", "checkpoint=")


def test_a_damaged_checkpoint_is_named(evaluate, depthwise_run, tmp_path):
    (tmp_path / "cut.ckpt").write_bytes((depthwise_run / "best.ckpt").read_bytes()[:-100])
    status, _, said = evaluate("checkpoint=cut.ckpt")
    assert status == 1 and says(said, "cut.ckpt", "damaged", "weights")


def test_weights_of_another_network_are_named(evaluate, depthwise_run, tmp_path):
    checkpoint = torch.load(depthwise_run / "best.ckpt", weights_only=True)
    checkpoint["config"]["backbone"]["width"] = 0.5
    torch.save(checkpoint, tmp_path / "other.ckpt")
    status, _, said = evaluate("checkpoint=other.ckpt")
    assert status == 1
    assert says(said, "other.ckpt", "size mismatch for ", "image size") and said.count("\n") == 1


def test_a_figure_that_cannot_be_written_is_refused_before_anything_is_read(evaluate, tmp_path):
    (tmp_path / "folder").mkdir()
    for roc, facts in {"curves.txt": (".png",), "folder": ("is a folder",), "/dev/null/x.png": ("/dev/null",)}.items():
        status, _, said = evaluate("checkpoint=gone.ckpt", f"roc={roc}")
        assert status == 1 and says(said, roc, *facts) and "gone.ckpt" not in said
