"""All pairs, identification and groups as a person asks facerec evaluate for them."""

import json
from itertools import combinations
from unittest import mock

import numpy as np
import pytest
from image_files import write_image, write_noise, write_text
from running import as_program
from says import says

from facerec.commands.main import module_of


@pytest.fixture
def evaluate(capsys, tmp_path, depthwise_run):
    """Exit status, the last line's content, and what people read, of a checkpoint's evaluation."""

    def evaluated(*arguments: str) -> tuple[int, dict, str]:
        with as_program(tmp_path):
            status = module_of("evaluate").main([f"checkpoint={depthwise_run / 'best.ckpt'}", *arguments])
        printed = capsys.readouterr()
        return status, json.loads(printed.out.splitlines()[-1]) if status == 0 else printed.out, printed.err

    return evaluated


@pytest.fixture
def folder(tmp_path):
    """A benchmark ``set`` of 12 people with 3 images each, of which 20 pairs name some, and 14 with one image."""
    rng = np.random.default_rng(0)
    for person in range(26):
        face = rng.integers(0, 256, (8, 8, 3))
        for number in range(3 if person < 12 else 1):
            noisy = np.clip(face + rng.normal(0, 40, face.shape), 0, 255).astype(np.uint8)
            write_image(tmp_path / "faces" / "set" / "set" / f"p{person}" / f"{number}.png", noisy)
    same = [f"p{k}/0.png p{k}/1.png 1\n" for k in range(10)]
    different = [f"p{k}/0.png p{k + 1}/0.png -1\n" for k in range(10)]
    pairs = zip(same, different, strict=True)
    write_text(tmp_path / "faces" / "set" / "set_pair.txt", "".join(line for pair in pairs for line in pair))
    return ["data=folder", "data.root=faces", "data.benchmarks=[set]", "data.num_workers=0"]


def by_hand(embeddings, people, fmr):
    """FNMR at the best threshold whose FMR is at most ``fmr``, and that threshold, by a double loop."""
    rows = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    mated, non_mated = [], []
    for i, j in combinations(range(len(rows)), 2):
        (mated if people[i] == people[j] else non_mated).append(float(rows[i] @ rows[j]))
    threshold = min(t for t in non_mated if np.mean([s > t for s in non_mated]) <= fmr)
    return np.mean([s <= threshold for s in mated]), threshold, len(mated), len(non_mated)


@pytest.mark.parametrize("protocol", ["tvconv", "insightface"])
def test_all_images_of_the_folder_are_compared(protocol, evaluate, folder, tmp_path):
    from facerec.commands import operating_points as module

    with mock.patch.object(module, "compare_all", side_effect=module.compare_all) as compared:
        status, found, shown = evaluate(*folder, "all_pairs=true", "det=new/det.png", f"protocol={protocol}")
    assert status == 0 and (tmp_path / "new" / "det.png").read_bytes().startswith(b"\x89PNG")
    (embeddings, people), _ = compared.call_args
    assert found["images"] == {"set": {"all": 50, "in_pairs": 21, "people": 26}} and len(embeddings) == 50
    summary = found["all_pairs"]["set"]
    fnmr, threshold, mated, non_mated = by_hand(embeddings.astype(float), people, 0.01)
    point = summary["at_fmr"]["1e-2"]
    assert (summary["mated_pairs"], summary["non_mated_pairs"]) == (mated, non_mated) == (36, 50 * 49 // 2 - 36)
    assert point["fnmr"] == pytest.approx(fnmr) and point["cosine_threshold"] == pytest.approx(threshold, abs=2e-6)
    assert point["squared_distance_threshold"] == pytest.approx(2 - 2 * point["cosine_threshold"])
    low, high = point["interval"]
    assert low <= point["fnmr"] <= high
    # One of 1189 pairs is below 1e-3, fewer than ten false matches, and above 1e-4.
    assert says(summary["at_fmr"]["1e-3"]["no_interval"], "1189", "interval")
    assert says(summary["refused"]["1e-4"], "1189 non-mated pairs") and list(summary["refused"])[-1] == "1e-6"
    assert says(summary["decision"], "cosine", "nothing is subtracted")
    assert f"{100 * point['fnmr']:.2f}" in shown and "too few" in shown and found["thresholds_elsewhere"] == []


def test_the_pairs_are_verified_as_without_the_other_images(evaluate, folder):
    _, alone, _ = evaluate(*folder)
    _, beside, _ = evaluate(*folder, "identify=true", "draws=2")
    assert beside["data"] == alone["data"] and alone.keys() == beside.keys() - {"images", "identification"}
    assert beside["benchmarks"]["set"]["accuracy"] == alone["benchmarks"]["set"]["accuracy"]
    np.testing.assert_allclose(
        beside["benchmarks"]["set"]["thresholds"], alone["benchmarks"]["set"]["thresholds"], rtol=1e-3
    )


def test_without_the_images_that_no_pair_names(evaluate, folder):
    _, found, _ = evaluate(*folder, "all_pairs=true", "unlisted=false")
    assert found["images"]["set"]["all"] == 21 and found["all_pairs"]["set"]["mated_pairs"] == 10


def test_identification(evaluate, folder):
    _, found, shown = evaluate(*folder, "identify=true", "draws=3")
    summary = found["identification"]["set"]
    # 2 of the 12 people with several images are apart, with those of one image.
    assert (summary["draws"], summary["gallery"]) == (3, 10) and "all_pairs" not in found
    assert summary["mated_probes"]["mean"] == 20 and summary["non_mated_probes"]["mean"] == 14 + 6
    assert 0 <= summary["rank"]["1"]["mean"] <= summary["rank"]["5"]["mean"] <= 1
    assert "1e-1" in summary["fnir_at_fpir"] and says(summary["refused"]["1e-2"], "20 non-mated probes")
    assert f"{100 * summary['rank']['1']['mean']:.2f} ± {100 * summary['rank']['1']['std']:.2f}" in shown
    low, high = summary["rank"]["1"]["interval"]
    assert low <= summary["rank"]["1"]["mean"] <= high and f"({100 * low:.2f} to {100 * high:.2f})" in shown
    # A tenth of 20 probes are too few for a threshold.
    assert says(summary["fnir_at_fpir"]["1e-1"]["no_interval"], "20 non-mated probes") and "(n/a)" in shown


def test_a_threshold_of_one_benchmark_on_another(evaluate):
    _, found, shown = evaluate("data.benchmarks=[synthetic,synthetic_pose]", "all_pairs=true")
    rows = found["thresholds_elsewhere"]
    assert {(row["chosen_on"], row["applied_to"]) for row in rows} == {
        ("synthetic", "synthetic_pose"),
        ("synthetic_pose", "synthetic"),
    }
    points = found["all_pairs"]["synthetic"]["at_fmr"]
    for row in rows[: len(points)]:
        assert row["cosine_threshold"] == points[row["fmr_there"]]["cosine_threshold"]
        assert 0 <= row["fmr"] <= 1 and 0 <= row["fnmr"] <= 1 and f"{row['fmr']:.2e}" in shown


def test_rates_by_group(evaluate, folder, tmp_path):
    lines = [f"p{k}/{n}.png {'odd' if k % 2 else 'even'}\n" for k in range(12) for n in range(3)]
    write_text(tmp_path / "groups.txt", "".join(lines))
    _, found, shown = evaluate(*folder, "all_pairs=true", "groups=groups.txt", "identify=true", "draws=2")
    summary = found["all_pairs"]["set"]["groups"]
    assert found["images"]["set"]["without_group"] == 14 and says(shown, "14 of 50 images", "set", "no group")
    groups, gap = (summary["1e-2"][key] for key in ("groups", "gap"))
    assert {name: rates["mated_pairs"] for name, rates in groups.items()} == {"even": 18, "odd": 18}
    overall = found["all_pairs"]["set"]["at_fmr"]["1e-2"]["fnmr"]
    assert (groups["even"]["fnmr"] + groups["odd"]["fnmr"]) / 2 == pytest.approx(overall)
    for kind in ("fmr", "fnmr"):
        assert gap[kind] == pytest.approx(abs(groups["even"][kind] - groups["odd"][kind]))
    assert says(shown, "even", "odd", "gap")
    searched = found["identification"]["set"]
    assert sum(rates["mated_probes"]["mean"] for rates in searched["groups"].values()) == 20
    means = [searched["groups"][name]["rank"]["1"]["mean"] for name in ("even", "odd")]
    assert searched["gap"]["rank"]["1"] == pytest.approx(abs(means[0] - means[1]))
    low, high = searched["gap"]["rank_interval"]["1"]
    assert low <= searched["gap"]["rank"]["1"] <= high and f"({100 * low:.2f} to {100 * high:.2f})" in shown


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["groups=groups.txt"], ("groups=groups.txt", "all_pairs=true")),
        (["det=det.png", "identify=true"], ("det=det.png", "all_pairs=true")),
        (["det=det.txt", "all_pairs=true"], ("det.txt", ".png")),
        (["all_pairs=true", "groups=groups.txt"], ("line 1", "groups.txt", "'gone.png'", "pair list")),
        (["identify=true", "draws=0"], ("draws", "at least 1")),
        (["all_pairs=true", "draws=5"], ("draws=5", "identify=true")),
        (["unlisted=false"], ("unlisted=false", "all_pairs=true")),
        (["all_pairs=true", "roc=one.png", "det=./one.png"], ("roc=", "det=", "one file")),
    ],
)
def test_a_mistake_is_one_sentence(arguments, facts, evaluate, folder, tmp_path):
    write_text(tmp_path / "groups.txt", "gone.png young\n")
    status, _, said = evaluate(*folder, *arguments)
    assert status == 1 and says(said.splitlines()[-1], *facts)
    assert "verification in percent" not in said  # nothing is measured before


@pytest.mark.parametrize("asked", ["all_pairs", "identify"])
def test_a_benchmark_that_does_not_tell_people_is_refused(asked, evaluate, tmp_path):
    write_noise(tmp_path / "faces")
    data = ["data=folder", "data.root=faces", "data.benchmarks=[odd]", "data.num_workers=0"]
    status, _, said = evaluate(*data, f"{asked}=true")
    assert status == 1 and says(said.splitlines()[-1], "odd", "13 images", "whom", asked, "folder", "unlisted=false")
    assert "verification in percent" not in said


def test_a_nan_is_refused_with_the_image(evaluate, folder):
    from facerec.commands import operating_points as module

    def with_nan(embeddings, people):
        return operating_points_of(np.where(np.arange(len(embeddings))[:, None] == 3, np.nan, embeddings), people)

    operating_points_of = module.compare_all
    with mock.patch.object(module, "compare_all", side_effect=with_nan):
        status, _, said = evaluate(*folder, "all_pairs=true")
    assert status == 1 and says(said.splitlines()[-1], "benchmark set", "image 3", "NaN", "overflow")
