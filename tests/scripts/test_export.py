"""A run becomes a file that verifies as it does, and a file that does not is not kept."""

import json
import shutil
from unittest import mock

import numpy as np
import onnx
import pytest
import torch
from running import DEPTHWISE, as_program, trained
from says import refuses, says

from facerec.commands.main import module_of
from facerec.exporting import formats as files
from facerec.exporting import pt2_format as pt2_file
from facerec.exporting.formats import Model
from facerec.exporting.native import packing
from facerec.exporting.parity import Parity

needs_cc = pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")


@pytest.fixture
def run_script(capsys, tmp_path):
    """Exit status, the last line's content, and what people read."""

    def ran(script: str, *arguments: str) -> tuple[int, dict, str]:
        with as_program(tmp_path):
            status = module_of(script).main(list(arguments))
        printed = capsys.readouterr()
        return status, json.loads(printed.out.splitlines()[-1]) if status == 0 else printed.out, printed.err

    return ran


@pytest.fixture(scope="module")
def exported(tvconv_run, tmp_path_factory):
    """The ONNX file of a run with TVConv. Read it only."""
    folder = tmp_path_factory.mktemp("exported")
    with as_program(folder):
        assert module_of("export").main([f"checkpoint={tvconv_run / 'best.ckpt'}", "output=new/net.onnx"]) == 0
    return folder / "new" / "net.onnx"


def verified(run_script, *arguments: str) -> dict:
    status, found, _ = run_script("evaluate", *arguments)
    assert status == 0
    return found


def test_the_file_verifies_as_its_checkpoint(exported, tvconv_run, run_script):
    ours = verified(run_script, f"checkpoint={tvconv_run / 'best.ckpt'}")
    theirs = verified(run_script, f"model={exported}")
    assert theirs["model"] == str(exported) and theirs["checkpoint"] == str(tvconv_run / "best.ckpt")
    assert (theirs["epoch"], theirs["protocol"], theirs["data"]) == (ours["epoch"], ours["protocol"], ours["data"])
    ours, theirs = (side["benchmarks"]["synthetic"] for side in (ours, theirs))
    assert theirs["accuracy"] == ours["accuracy"]
    np.testing.assert_allclose(theirs["thresholds"], ours["thresholds"], rtol=2e-2)


def test_the_file_verifies_under_another_protocol_and_on_other_pairs(exported, run_script):
    found = verified(run_script, f"model={exported}", "protocol=insightface", "data.num_pairs=20")
    assert found["protocol"] == "insightface" and found["benchmarks"]["synthetic"]["num_pairs"] == 20


def test_the_file_says_what_it_takes_and_where_it_is_from(exported, tvconv_run):
    model = onnx.load(exported)
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert said["input"] == "uint8 (batch, 32, 32, 3)" and said["colour_order"] == "RGB"
    assert said["normalisation"] == "inside: (x - 127.5) / 127.5" and said["protocol"] == "tvconv"
    assert (
        said["output"] == "float32 (batch, 16), not of unit length" and said["embedding"] == "the output for the image"
    )
    assert json.loads(said["config"])["operator"]["_target_"] == "facerec.operators.tvconv.TVConv"
    assert int(said["epoch"]) == torch.load(tvconv_run / "best.ckpt", weights_only=True)["epoch"]
    assert not {"BatchNormalization"} & {node.op_type for node in model.graph.node}
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param


@pytest.mark.parametrize("format", ["onnx", "torchscript", "safetensors"])
def test_a_depthwise_run_beside_its_checkpoint(format, depthwise_run, run_script, tmp_path):
    shutil.copy(depthwise_run / "best.ckpt", tmp_path / "best.ckpt")
    status, found, shown = run_script("export", "checkpoint=best.ckpt", f"format={format}", "data.cache=null")
    assert status == 0 and found["least_cosine"] > 0.9999 and "accuracy in percent" in shown
    path = f"best{files.SUFFIXES[format]}"
    assert found["file"] == path and (tmp_path / path).stat().st_size == found["bytes"]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(["best.ckpt", path])
    assert found["accuracy"]["exported"] == found["accuracy"]["checkpoint"]
    assert (
        verified(run_script, f"model={path}")["benchmarks"]["synthetic"]["accuracy"]
        == found["accuracy"]["exported"]["synthetic"]
    )


@needs_cc
def test_with_operators_of_facerec_the_library_is_beside_the_file(tvconv_run, run_script, tmp_path):
    shutil.copy(tvconv_run / "best.ckpt", tmp_path / "best.ckpt")
    status, found, shown = run_script("export", "checkpoint=best.ckpt", "operators=native", "data.cache=null")
    assert status == 0 and found["least_cosine"] > 0.9999 and "accuracy in percent" in shown
    assert (found["file"], found["weights"], found["tolerance"]) == ("best.onnx", "float32", 0.0)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["best.ckpt", "best.onnx", found["library"]]
    kinds = {(node.domain, node.op_type) for node in onnx.load(tmp_path / "best.onnx").graph.node}
    assert kinds == {("facerec", kind) for kind in ("Stem", "Block", "Pointwise")} | {("", "ReduceMean"), ("", "Gemm")}
    (tmp_path / "mine.lib").write_bytes((tmp_path / found["library"]).read_bytes())
    (tmp_path / found["library"]).write_bytes(b"what came with a file is not run")
    verified_alone = verified(run_script, "model=best.onnx")["benchmarks"]["synthetic"]
    assert verified_alone["accuracy"] == found["accuracy"]["exported"]["synthetic"]
    with_named = verified(run_script, "model=best.onnx", "library=mine.lib")["benchmarks"]["synthetic"]
    assert with_named["thresholds"] == verified_alone["thresholds"]


@needs_cc
def test_rounded_weights_that_change_the_embeddings_are_refused_with_the_numbers(tvconv_run, run_script, tmp_path):
    fitting = packing.half_scale
    asked = ("output=net.onnx", "operators=native", "weights=float16", "data.cache=null")
    # Divided so far that two or three bits of each weight are left above float16's smallest number, 2^-24.
    with mock.patch.object(packing, "half_scale", lambda weight: fitting(weight) * np.float32(2**36)):
        status, printed, said = run_script("export", f"checkpoint={tvconv_run / 'best.ckpt'}", *asked)
    assert (status, printed) == (1, "")
    assert says(said, "least cosine", "0.9999", "leave weights=float16 out") and not list(tmp_path.iterdir())


@needs_cc
def test_rounding_is_refused_where_no_position_has_a_weight_of_its_own(depthwise_run, run_script, tmp_path):
    asked = ("output=net.onnx", "operators=native", "weights=float16", "data.cache=null")
    status, printed, said = run_script("export", f"checkpoint={depthwise_run / 'best.ckpt'}", *asked)
    assert (status, printed) == (1, "")
    assert says(said, "weights=float16", "has none", "leave it out") and not list(tmp_path.iterdir())


@needs_cc
def test_a_library_that_cannot_be_built_leaves_what_was_there(depthwise_run, run_script, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    monkeypatch.setenv("CC", "cc -Dint=broken")
    (tmp_path / "net.onnx").write_bytes(b"old")
    arguments = f"checkpoint={depthwise_run / 'best.ckpt'}", "output=net.onnx", "operators=native", "data.cache=null"
    status, printed, said = run_script("export", *arguments)
    assert (status, printed, said.count("\n")) == (1, "", 1) and says(said, "operator library", "cc -Dint", "error")
    assert (tmp_path / "net.onnx").read_bytes() == b"old"


def test_in_eight_bits_both_accuracies_are_told(depthwise_run, run_script, tmp_path):
    shutil.copy(depthwise_run / "best.ckpt", tmp_path / "best.ckpt")
    status, found, shown = run_script("export", "checkpoint=best.ckpt", "int8=true")
    assert status == 0 and found["int8"] is True and found["file"] == "best.int8.onnx"
    assert found["accuracy"].keys() == {"checkpoint", "exported"} and 0.5 < found["least_cosine"] < 1
    kinds = {node.op_type for node in onnx.load(tmp_path / "best.int8.onnx").graph.node}
    assert "QuantizeLinear" in kinds and "checkpoint" in shown
    assert verified(run_script, "model=best.int8.onnx")["benchmarks"].keys() == {"synthetic"}


def test_a_file_that_computes_something_else_is_not_kept_and_the_old_one_is(depthwise_run, run_script, tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"old")
    wrong = Model({"config": "{}"}, lambda pixels: np.random.default_rng(0).random((len(pixels), 16), np.float32))
    with mock.patch.object(module_of("export"), "read_model", return_value=wrong):
        checkpoint = f"checkpoint={depthwise_run / 'best.ckpt'}"
        status, printed, said = run_script("export", checkpoint, "output=net.onnx", "data.cache=null")
    assert status == 1 and "{" not in printed and (tmp_path / "net.onnx").read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["net.onnx"]
    assert says(said, "embeddings", "least cosine", "0.9999", "another format")
    assert says(said, "exactly instead")


def test_of_a_network_that_rounding_decides_on_it_says_what_helps(run_script, tmp_path, capsys):
    few_steps = ["trainer.max_epochs=2", "+trainer.limit_train_batches=2", "optimizer.lr=0.1"]
    run = trained(tmp_path / "short", *DEPTHWISE, *few_steps)
    capsys.readouterr()
    for format in ("onnx", "torchscript"):
        status, printed, said = run_script("export", f"checkpoint={run / 'best.ckpt'}", f"format={format}")
        assert status == 1 and "{" not in printed and "another format" not in said
        assert says(said.splitlines()[-1], "least cosine", "float32 and float64", "no format helps", "train longer")


@pytest.mark.parametrize(("file", "own", "facts"), [
    (0.999, 0.99995, "train longer"),
    (0.999, 0.9999999, "another format"),
    (0.5, 0.999, "another format"),
])  # fmt: skip
def test_another_format_is_advised_only_where_rounding_is_not_the_cause(file, own, facts):
    advice = module_of("export").remedy(Parity(file, {}, {}), Parity(own, {}, {}), 0)
    assert says(advice, facts)
    assert says(module_of("export").remedy(Parity(0.5, {}, {}), Parity(1.0, {}, {}), 0.002), "tolerance=0")
    rounded = module_of("export").remedy(Parity(0.5, {}, {}), Parity(1.0, {}, {}), 0, "float16")
    assert says(rounded, "leave weights=float16 out")


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["width=0.2"], ("'width=0.2'", "checkpoint")),
        (
            ["augmentation@data.test_augmentation=rotation"],
            ("'augmentation@data.test_augmentation=rotation'", "checkpoint"),
        ),
        (["format=tflite"], ("format", "onnx or torchscript or pt2 or safetensors", "'tflite'")),
        (["thresholds=lfw"], ("thresholds=lfw", "no benchmark of this run", "synthetic")),
        (["int8=maybe"], ("int8", "true or false", "'maybe'")),
        (["int8=true", "format=pt2"], ("int8=true", "format=onnx", "format=pt2")),
        (["tolerance=much"], ("tolerance", "at least 0", "'much'")),
        (["tolerance=-1"], ("tolerance", "at least 0", "'-1'")),
        (["tolerance=nan"], ("tolerance", "at least 0", "'nan'")),
        (["checkpoint=a.pt", "format=torchscript"], ("a.pt", "checkpoint", "output=FILE")),
        (["output=/dev/null/net.onnx"], ("output=/dev/null/net.onnx", "is a file", "folder")),
        (["output=net.pt"], ("net.pt", ".onnx", "format=onnx")),
        (["operators=native", "format=pt2"], ("operators=native", "format=pt2", "leave one")),
        (["operators=native", "int8=true"], ("operators=native", "int8=true", "leave one")),
        (["operators=native", "tolerance=0.1"], ("operators=native", "tolerance=0.1", "leave one")),
        (["operators=own"], ("operators", "standard or native", "'own'")),
        (["weights=float16"], ("weights=float16", "operators=native")),
        (["target=linux-aarch64"], ("target=linux-aarch64", "operators=native")),
        (["operators=native", "target=toaster"], ("target", "linux-aarch64", "'toaster'")),
        (["checkpoint=gone.ckpt"], ("gone.ckpt", "No such file or directory")),
    ],
)
def test_a_mistake_is_one_sentence_and_status_1(arguments, facts, run_script, depthwise_run):
    status, printed, said = run_script("export", f"checkpoint={depthwise_run / 'best.ckpt'}", *arguments)
    assert (status, printed) == (1, "") and says(said, *facts) and said.count("\n") == 1


def test_an_interruption_leaves_what_was_there(depthwise_run, run_script, tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"old")
    with mock.patch.object(files, "write", side_effect=KeyboardInterrupt):
        arguments = f"checkpoint={depthwise_run / 'best.ckpt'}", "output=net.onnx", "data.cache=null"
        status, printed, said = run_script("export", *arguments)
    assert (status, printed, (tmp_path / "net.onnx").read_bytes()) == (130, "", b"old")
    assert says(said.splitlines()[-1], "interrupted", "no file")
    assert [file.name for file in tmp_path.iterdir()] == ["net.onnx"]


def test_a_checkpoint_must_be_given(run_script):
    status, printed, said = run_script("export", "format=onnx")
    assert (status, printed, said.count("\n")) == (1, "", 1) and says(said, "no checkpoint", "checkpoint=")


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["model=gone.onnx"], ("gone.onnx", "not exist")),
        (["model=net.tflite"], ("net.tflite", ".onnx, .pt, .pt2, .safetensors")),
        (["model=cut.onnx"], ("cut.onnx", "onnx", "export it again")),
        (["model=cut.pt"], ("cut.pt", "torchscript", "export it again")),
        (["model=cut.pt2"], ("cut.pt2", "pt2", "export it again")),
        (["model=cut.safetensors"], ("cut.safetensors", "safetensors", "export it again")),
        (["model=other.onnx"], ("other.onnx", "configuration", "facerec export")),
        (["model=odd.onnx"], ("odd.onnx", "configuration", "facerec export")),
        (
            ["model=whole.onnx", "data.image_size=[48,48]"],
            ("whole.onnx", "32x32", "data.image_size"),
        ),
        (["model=cut.onnx", "form=deployed"], ("form=", "model=")),
        (["model=cut.onnx", "image_size=48"], ("image_size=", "model=")),
        (["model=cut.onnx", "checkpoint=a"], ("checkpoint=", "model=")),
        (["model=whole.onnx", "library=a.so"], ("library=a.so", "whole.onnx", "leave it out")),
        (["checkpoint=a.ckpt", "library=a.so"], ("library=a.so", "checkpoint", "leave it out")),
    ],
)
def test_a_file_that_cannot_be_verified_is_named(arguments, facts, run_script, exported, tmp_path):
    for suffix in files.SUFFIXES.values():
        (tmp_path / f"cut{suffix}").write_bytes(exported.read_bytes()[:1000])
    model = onnx.load(exported)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "other.onnx")
    onnx.helper.set_model_props(model, {"config": "no JSON"})
    onnx.save(model, tmp_path / "odd.onnx")
    (tmp_path / "whole.onnx").write_bytes(exported.read_bytes())
    status, printed, said = run_script("evaluate", *arguments)
    assert (status, printed) == (1, "") and says(said.splitlines()[-1], *facts)


def test_pt2_says_that_it_needs_a_compiler(tmp_path):
    with mock.patch.object(pt2_file.shutil, "which", return_value=None), refuses("pt2", "needs a C"):
        files.write("pt2", torch.nn.Identity(), torch.zeros(2, 1), {}, tmp_path / "net.pt2")


def test_a_missing_runtime_is_named(tmp_path):
    with (
        mock.patch.object(files, "import_module", side_effect=ModuleNotFoundError(name="onnxruntime")),
        refuses("onnxruntime", "pip install -e '.[export]'"),
    ):
        files.write("onnx", torch.nn.Identity(), torch.zeros(2, 1), {}, tmp_path / "net.onnx")


class Scale(torch.nn.Module):
    """What compiles in seconds."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.float().mean((1, 2)) * 2


@pytest.mark.skipif(not shutil.which("g++"), reason="needs a C++ compiler")
def test_pt2_computes_the_same_for_any_number_of_images_and_keeps_its_metadata(tmp_path):
    pixels = torch.randint(0, 256, (5, 4, 3, 3), dtype=torch.uint8)
    files.write("pt2", Scale().eval(), pixels[:2], {"config": "{}", "epoch": "3"}, tmp_path / "net.pt2")
    model = files.read(tmp_path / "net.pt2")
    assert model.metadata["epoch"] == "3"
    for count in (1, 3, 5):
        np.testing.assert_allclose(model.embed(pixels[:count].numpy()), Scale()(pixels[:count]), rtol=1e-5)
