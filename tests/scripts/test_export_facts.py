"""What an exported file says about itself, and its model card."""

import json
import shutil
from itertools import combinations

import numpy as np
import onnx
import pytest
from running import as_program
from says import says

from facerec.commands.main import module_of
from facerec.config.build import build_data, verify
from facerec.config.trained import build_trained, read_model
from facerec.exporting.measured import read_rates


@pytest.fixture(scope="module")
def exported(depthwise_run, tmp_path_factory):
    """The folder of a safetensors file and its card. Read it only."""
    folder = tmp_path_factory.mktemp("exported")
    shutil.copy(depthwise_run / "best.ckpt", folder)
    words = ["checkpoint=best.ckpt", "format=safetensors", "card=true", "licence=CC-BY-4.0", "data.num_pairs=60"]
    with as_program(folder):
        assert module_of("export").main(words) == 0
    return folder


@pytest.fixture(scope="module")
def metadata(exported):
    return read_model(exported / "best.safetensors").metadata


def by_hand(checkpoint, folder) -> tuple[np.ndarray, np.ndarray]:
    """The cosines of all pairs of two people and of one, of the benchmark's images, in turn."""
    with as_program(folder):
        network, cfg, _ = build_trained(checkpoint, ["data.num_pairs=60"])
        data = build_data(cfg)
        data.setup("validate")
        kept: dict[str, np.ndarray] = {}
        verify(cfg, data, network, kept)
    rows = kept["synthetic"].astype(float)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    people = data.opened_benchmarks[0].people
    cosines = {True: [], False: []}
    for i, j in combinations(range(len(rows)), 2):
        cosines[people[i] == people[j]].append(rows[i] @ rows[j])
    return np.array(cosines[False]), np.array(cosines[True])


def test_the_thresholds_are_those_of_all_pairs(metadata, exported, tmp_path):
    others, same = by_hand(exported / "best.ckpt", tmp_path)
    rates = read_rates(metadata)
    threshold = rates.threshold("1e-2")
    # As many as a hundredth of them are above it, so that the next one is the threshold.
    assert threshold == pytest.approx(np.sort(others)[-(len(others) // 100) - 1], abs=2e-6)
    assert rates.at_fmr["1e-2"]["fnmr"] == pytest.approx(np.mean(same <= threshold), abs=0.02)
    assert rates.chosen_on["name"] == "synthetic" and rates.chosen_on["mated_pairs"] == len(same)
    for cosine in np.quantile(others, [0.1, 0.5, 0.9]):
        fmr, fnmr = rates.at(cosine)
        assert fmr == pytest.approx(np.mean(others > cosine), abs=0.02)
        assert fnmr == pytest.approx(np.mean(same <= cosine), abs=0.05)
    assert says(rates.refused["1e-6"], "non-mated pairs") and metadata["measured_with"] == "the checkpoint"


def test_it_says_what_it_is_for(metadata):
    alignment = json.loads(metadata["alignment"])
    # The template of 112 pixels at 32: the left eye is at 38.2946.
    assert alignment["positions"][0][0] == pytest.approx((38.2946 + 0.5) * 32 / 112 - 0.5, abs=1e-4)
    assert alignment["points"][0] == "left_eye" and len(metadata["training_data"]) == 16
    assert metadata["licence"] == "CC-BY-4.0" and says(metadata["intended_use"], "consent")
    assert json.loads(metadata["cost"])["params"] > 1000 and "synthetic" in json.loads(metadata["accuracy"])


def test_the_card_has_what_the_file_has(exported, metadata):
    card = (exported / "best.md").read_text(encoding="utf-8")
    rates = read_rates(metadata)
    facts = ["# best.safetensors", "CC-BY-4.0", "MobileNetV2", "Depthwise", metadata["training_data"], "no liveness"]
    facts += [f"{rates.threshold('1e-2'):.4f}", "synthetic", "biometric", "consent", "left eye", metadata["git_commit"]]
    assert says(card, *facts)
    accuracy = json.loads(metadata["accuracy"])["synthetic"]
    assert says(
        card,
        "unknown: no results.json",
        f"{100 * accuracy['accuracy']:.2f}",
        f"{100 * accuracy['accuracy_interval'][0]:.2f}",
    )


def test_it_says_what_the_run_found_of_its_training_set(depthwise_run, tmp_path):
    with as_program(tmp_path):
        words = [f"checkpoint={depthwise_run / 'best.ckpt'}", "format=safetensors", "output=a.safetensors", "card=true"]
        assert module_of("export").main(words) == 0
    found = json.loads(read_model(tmp_path / "a.safetensors").metadata["accuracy"])["synthetic"]
    assert (found["shared_people"], found["shared_images"]) == (0, 0)
    assert says((tmp_path / "a.md").read_text(encoding="utf-8"), "0 people, 0 images")


def test_eight_bits_have_thresholds_of_their_own(exported, tmp_path):
    with as_program(tmp_path):
        words = [f"checkpoint={exported / 'best.ckpt'}", "int8=true", "output=net.onnx", "data.num_pairs=60"]
        assert module_of("export").main(words) == 0
    said = {entry.key: entry.value for entry in onnx.load(tmp_path / "net.onnx").metadata_props}
    assert said["measured_with"] == "the file itself" and said["network"].endswith("-int8")
    assert read_rates(read_model(tmp_path / "net.onnx").metadata).threshold("1e-2") > -1
    assert list(said)[-1] == "facerec.sha256" and list(said).count("facerec.sha256") == 1
