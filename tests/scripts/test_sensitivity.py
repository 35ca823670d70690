"""The affine study on test images, as a person asks for it."""

import json
import shutil
from pathlib import Path
from unittest import mock

import cv2
import pytest
import torch
from running import as_evaluated, as_program
from says import every, says

from facerec.commands.main import module_of

RANGES = {
    "rotation": ("degrees", 15),
    "shear": ("degrees", 15),
    "scale": ("spread", 0.2),
    "translation": ("share", 0.1),
}


@pytest.fixture
def study(capsys, tmp_path):
    """Exit status, the last line's content, and what people read."""

    def studied(*arguments: str) -> tuple[int, dict, str]:
        with as_program(tmp_path):
            status = module_of("sensitivity").main(list(arguments))
        printed = capsys.readouterr()
        return status, json.loads(printed.out.splitlines()[-1]) if status == 0 else printed.out, printed.err

    return studied


def checkpoints(*runs: Path) -> list[str]:
    return [f"checkpoint={run / 'best.ckpt'}" for run in runs]


def by_shift(found: dict, network: str) -> dict:
    """Summaries by (transform, strength); (None, 0) is what the images are without."""
    chosen = [m for m in found["measurements"] if m["network"] == network]
    shifts = [m["shift"] or {"transform": None, "strength": 0} for m in chosen]
    return {(s["transform"], s["strength"]): m["benchmarks"] for s, m in zip(shifts, chosen, strict=True)}


def test_every_condition_is_what_evaluate_measures_one_at_a_time(study, depthwise_run, tvconv_run, capsys, tmp_path):
    status, found, said = study(*checkpoints(depthwise_run, tvconv_run), "transforms=[shear]", "strengths=0.5,2")
    assert status == 0
    networks = dict(zip(found["checkpoints"], (depthwise_run, tvconv_run), strict=True))
    assert list(networks) == ["Depthwise, MobileNetV2 x0.1", "TVConv, MobileNetV2 x0.1"]
    for name, run in networks.items():
        measured = by_shift(found, name)
        assert list(measured) == [(None, 0), ("shear", 0.5), ("shear", 2)]
        assert measured[None, 0] == as_evaluated(json.loads((run / "results.json").read_text())["best"]["benchmarks"])
        for _, strength in list(measured)[1:]:
            shear = ("augmentation@data.test_augmentation=shear", f"affine_strength={strength}")
            with as_program(tmp_path):
                assert module_of("evaluate").main([*checkpoints(run), *shear]) == 0
            evaluated = json.loads(capsys.readouterr().out.splitlines()[-1])["benchmarks"]
            assert as_evaluated(evaluated) == measured["shear", strength]
    assert "shear ± 7.5 degrees" in said and "shear ± 30 degrees" in said and "as they are" in said


def test_all_four_transforms_are_studied_at_three_strengths_unless_told_otherwise(study, depthwise_run, tmp_path):
    status, found, _ = study(*checkpoints(depthwise_run))
    assert status == 0
    shifts = [m["shift"] for m in found["measurements"]]
    assert shifts[0] is None and len(shifts) == 13
    for shift, expected in zip(shifts[1:], [(t, s) for t in RANGES for s in (0.5, 1, 2)], strict=True):
        transform, strength = expected
        unit, reach = RANGES[transform]
        assert shift == {"transform": transform, "strength": strength, "unit": unit, "reach": reach * strength}
    assert json.loads((tmp_path / "outputs/sensitivity/sensitivity.json").read_text()) == found
    assert cv2.imread(str(tmp_path / "outputs/sensitivity/sensitivity.png")) is not None
    assert found["data"]["synthetic"]["pairs"] == 40 and found["git_commit"]


def test_networks_that_are_alike_are_numbered_and_their_files_named(study, depthwise_run, tvconv_run, tmp_path):
    (tmp_path / "operator=tvconv,seed=2").mkdir()  # as a cell of a sweep is called
    copy = shutil.copy(tvconv_run / "last.ckpt", tmp_path / "operator=tvconv,seed=2")
    files = [str(tvconv_run / "best.ckpt"), str(depthwise_run / "best.ckpt"), str(copy)]
    arguments = [f"checkpoint={file}" for file in files]
    status, found, said = study(*arguments, "transforms=scale,scale", "strengths=1,1.0")
    assert status == 0 and len(found["measurements"]) == 3 * 2  # what is repeated is measured once
    alike = "TVConv, MobileNetV2 x0.1, seed 1, number"
    names = [f"{alike} 1", "Depthwise, MobileNetV2 x0.1", f"{alike} 2"]
    assert found["checkpoints"] == dict(zip(names, files, strict=True)) and found["protocol"] == "tvconv"
    assert every(f"{name}: {file}\n" in said for name, file in zip(names, files, strict=True))


def test_only_one_of_several_processes_writes(study, depthwise_run, tmp_path, capsys):
    with mock.patch("lightning_utilities.core.rank_zero.rank_zero_only.rank", 1), as_program(tmp_path):
        arguments = [*checkpoints(depthwise_run), "transforms=scale", "strengths=1"]
        assert module_of("sensitivity").main(arguments) == 0
    assert capsys.readouterr().out == "" and not (tmp_path / "outputs/sensitivity").exists()


REFUSED = {
    "transforms=rotation,jitter": ("transforms", "rotation, shear, scale, translation", "'jitter'"),
    "strengths=1,strong": ("strengths", "a number", "'strong'"),
    "strengths=0": ("strengths", "above 0", "got 0"),
    "strengths=nan": ("strengths", "a number", "'nan'"),
    "data.test_augmentation={}": ("data.test_augmentation={}"),
    "width=0.2": ("'width=0.2'", "checkpoint"),
    "transforms=scale strengths=6": ("affine_strength=6", "spread * strength", "below 1", "1.2"),
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_a_setting_that_it_cannot_use_is_refused_and_nothing_written(arguments, study, depthwise_run, tmp_path):
    status, _, said = study(*checkpoints(depthwise_run), *arguments.split())
    assert status == 1 and says(said, *REFUSED[arguments]) and said.count("\n") == 1
    assert not (tmp_path / "outputs").exists()


def test_the_checkpoints_must_be_there_and_different(study, depthwise_run):
    assert says(study("strengths=1")[2], "no checkpoint", "checkpoint=")
    again = f"checkpoint={depthwise_run}/../{depthwise_run.name}/best.ckpt"
    assert says(study(*checkpoints(depthwise_run), again)[2], again.partition("=")[2], "twice")


def test_a_file_in_place_of_the_folder_is_refused_before_anything_is_measured(study, depthwise_run, tmp_path):
    (tmp_path / "mine").write_text("mine")
    status, _, said = study(*checkpoints(depthwise_run), "out=mine")
    assert status == 1 and says(said, "out=mine", "file", "name a folder")
    assert (tmp_path / "mine").read_text() == "mine"


def test_networks_of_different_protocols_are_compared_by_one(study, depthwise_run, tvconv_run, tmp_path):
    checkpoint = torch.load(tvconv_run / "best.ckpt", weights_only=True)
    checkpoint["config"]["protocol"] = "insightface"
    torch.save(checkpoint, tmp_path / "other.ckpt")
    arguments = [*checkpoints(depthwise_run), f"checkpoint={tmp_path / 'other.ckpt'}", "strengths=1"]
    status, _, said = study(*arguments)
    assert status == 1 and says(
        said, f"{depthwise_run / 'best.ckpt'} by tvconv", f"{tmp_path / 'other.ckpt'} by insightface", "protocol=..."
    )
    status, found, said = study(*arguments, "transforms=scale", "protocol=insightface")
    protocols = {m["benchmarks"]["synthetic"]["protocol"] for m in found["measurements"]}
    assert status == 0 and protocols == {"insightface"} and "protocol insightface" in said


def test_networks_that_are_verified_on_different_pairs_are_not_compared(study, depthwise_run, tvconv_run):
    module_study = study(
        *checkpoints(depthwise_run, tvconv_run), "transforms=scale", "strengths=1", "data.num_pairs=60"
    )
    assert module_study[0] == 0
    with mock.patch("facerec.data.source.Benchmark.fingerprint", side_effect=["one", "another"]):
        status, _, said = study(*checkpoints(depthwise_run, tvconv_run), "transforms=scale", "strengths=1")
    assert status == 1 and says(said, str(tvconv_run / "best.ckpt"), "other pairs", "data=...")
