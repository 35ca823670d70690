"""A checkpoint or an exported file of somebody else's: no command runs what its configuration names."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from running import as_program
from says import says

from facerec.commands.main import module_of
from facerec.exporting import formats as files
from facerec.exporting.deployed_network import EmbedsPixels


def hostile(config: dict, marker: Path) -> dict:
    node = {"_target_": "torch.utils.collect_env.run", "command": f"touch {marker}"}
    return {**config, "data": {**config["data"], "seed": node}}


@pytest.fixture
def run(tvconv_run, tmp_path):
    """A copy of a run whose best checkpoint would write ``marker``."""
    folder = shutil.copytree(tvconv_run, tmp_path / "run")
    content = torch.load(folder / "best.ckpt", weights_only=True)
    torch.save({**content, "config": hostile(content["config"], tmp_path / "marker")}, folder / "best.ckpt")
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ("evaluate", "checkpoint=run/best.ckpt"),
        ("export", "checkpoint=run/best.ckpt"),
        ("sensitivity", "checkpoint=run/best.ckpt"),
        ("check_data", "checkpoint=run/best.ckpt", "data=synthetic", "data.num_identities=2"),
        ("plant_defects", "checkpoint=run/best.ckpt", "data=synthetic", "data.num_identities=4", "identities=2"),
        ("plot_runs", "run"),
    ],
)
def test_no_command_runs_what_a_checkpoint_names(arguments, run, tmp_path, capsys):
    command, *rest = arguments
    with as_program(tmp_path):
        status = module_of(command).main(rest)
    said = capsys.readouterr().err.splitlines()[-1]
    assert status == 1 and says(said, "'torch.utils.collect_env.run'", "data.seed", "trust=true"), said
    assert not (tmp_path / "marker").exists()
    if command != "plot_runs":  # which builds no data
        return
    with as_program(tmp_path):
        assert module_of(command).main([*rest, "trust=true"]) == 0


@pytest.mark.parametrize(
    ("command", "rest"), [("evaluate", []), ("sensitivity", ["transforms=[shear]", "strengths=1", "out=study"])]
)
def test_no_command_caches_images_where_a_checkpoint_says(command, rest, depthwise_run, tmp_path, capsys):
    content = torch.load(depthwise_run / "best.ckpt", weights_only=True)
    content["config"]["data"]["cache"] = str(tmp_path / "theirs")
    torch.save(content, tmp_path / "other.ckpt")
    with as_program(tmp_path):
        for own, folders in ([], set()), ([f"data.cache={tmp_path / 'mine'}"], {"mine"}):
            assert module_of(command).main(["checkpoint=other.ckpt", *own, *rest]) == 0
            assert {folder.name for folder in tmp_path.iterdir()} - {"other.ckpt", "study"} == folders


def test_with_the_users_word_it_runs(run, tmp_path, capsys):
    with as_program(tmp_path):
        module_of("evaluate").main(["checkpoint=run/best.ckpt", "trust=true"])
    assert (tmp_path / "marker").exists()


class Mean(torch.nn.Module):
    """What is exported in a moment."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.float().mean((1, 2))


@pytest.mark.parametrize("format", ["onnx", "torchscript", "pt2", "safetensors"])
def test_no_command_runs_what_an_exported_file_names(format, run, tmp_path, capsys):
    if format == "pt2" and not shutil.which("g++"):
        pytest.skip("needs a C++ compiler")
    config = torch.load(run / "best.ckpt", weights_only=True)["config"]
    metadata = {"config": json.dumps(config), "epoch": "1", "checkpoint": "best.ckpt"}
    path = tmp_path / f"net{files.SUFFIXES[format]}"
    files.write(
        format,
        EmbedsPixels(Mean()).eval() if format == "safetensors" else Mean().eval(),
        torch.zeros(2, 4, 4, 3, dtype=torch.uint8),
        metadata,
        path,
    )
    with as_program(tmp_path):
        status = module_of("evaluate").main([f"model={path.name}"])
    said = capsys.readouterr().err.splitlines()[-1]
    assert status == 1 and says(said, "'torch.utils.collect_env.run'", "data.seed", "trust=true"), said
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    ("place", "value", "facts"),
    [
        ("backbone.width", 10**6, ("bad.ckpt", "GB")),
        ("backbone._target_", "facerec.heads.AMSoftmax", ("AMSoftmax",)),
        ("operator._target_", "facerec.backbones.MobileNetV2", ("operator",)),
        ("data._partial_", True, ("data", "data=folder")),
        ("trainer._partial_", True, ("trainer", "trainer=auto")),
        ("protocol", None, ("protocol", "facerec")),
        ("data.num_workers", 10**6, ("data.num_workers=1000000", "cores", "at most")),
        ("trainer.devices", 10**6, ("trainer.devices=1000000", "cores", "at most")),
        ("trainer.devices", "1000000", ("trainer.devices=1000000", "cores", "at most")),
        ("backbone.image_size", [10**4, 10**4], ("[10000, 10000]", "[32, 32]", "data.image_size")),
    ],
)
def test_a_configuration_that_builds_nothing_is_refused_in_a_sentence(
    place, value, facts, depthwise_run, tmp_path, capsys
):
    content = torch.load(depthwise_run / "best.ckpt", weights_only=True)
    node, _, key = place.partition(".")
    content["config"][node] = {**content["config"][node], key: value} if key else value
    torch.save(content, tmp_path / "bad.ckpt")
    with as_program(tmp_path):
        status = module_of("evaluate").main(["checkpoint=bad.ckpt"])
    said = capsys.readouterr().err
    assert status == 1 and says(said.splitlines()[-1], *facts), said


@pytest.mark.parametrize(
    ("config", "facts"),
    [
        ("[]", ("list", "facerec")),
        ("3", ("int", "facerec")),
        ("[" * 100_000 + "]" * 100_000, ("net.onnx", "facerec export")),
        ("{}", ("backbone", "facerec")),
        ({"image_size": "large"}, ("net.onnx", "large", "facerec export")),
        ({"image_size": [None, 3]}, ("net.onnx", "[None, 3]", "facerec export")),
    ],
)
def test_metadata_of_another_kind_is_refused_in_a_sentence(config, facts, depthwise_run, tmp_path, capsys):
    if isinstance(config, dict):
        trained = torch.load(depthwise_run / "best.ckpt", weights_only=True)["config"]
        config = json.dumps({**trained, "data": {**trained["data"], **config}})
    metadata = {"config": config, "epoch": "1", "checkpoint": "best.ckpt"}
    files.write("onnx", Mean().eval(), torch.zeros(2, 4, 4, 3, dtype=torch.uint8), metadata, tmp_path / "net.onnx")
    with as_program(tmp_path):
        status = module_of("evaluate").main(["model=net.onnx"])
    said = capsys.readouterr().err
    assert status == 1 and says(said.splitlines()[-1], *facts), said
