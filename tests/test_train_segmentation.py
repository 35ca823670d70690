"""The second task with the same command: runs, tables, comparisons, evaluation and their refusals."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from eye_runs import EYES, TVCONV_EYES
from running import as_program, train, trained
from says import says

from facerec.commands.main import main
from facerec.config.build import build_data
from facerec.config.trained import build_trained
from facerec.segmentation.mask_protocols import PROTOCOLS, probabilities_at, score

UNSEEN = "drawn_c"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return trained(tmp_path_factory.mktemp("eyes"), *TVCONV_EYES)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def results(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text())


def test_a_run_leaves_what_a_run_leaves(run):
    names = {"best.ckpt", "last.ckpt", "config.yaml", "metrics.csv", "results.json", "scores.npz", "last_scores.npz"}
    assert names <= {path.name for path in run.iterdir()}
    found = results(run)
    assert found["best_chosen_on"] == ["held_out"] and found["protocol"] == "tvconv"
    assert found["data"]["train"]["domains"] == {"drawn_a": 5, "drawn_b": 5, "drawn_d": 5}
    assert {name: each["images"] for name, each in found["data"]["benchmarks"].items()} == {"held_out": 3, UNSEEN: 3}


def test_metrics_have_the_dice_of_each_epoch(run):
    rows = table(run / "metrics.csv")
    assert len(rows) == 2
    for row in rows:
        cup, disc = float(row[f"{UNSEEN}/cup_dice"]), float(row[f"{UNSEEN}/disc_dice"])
        assert float(row[f"{UNSEEN}/dice"]) == pytest.approx((cup + disc) / 2, abs=1e-5)
        assert float(row["mean_dice"]) == pytest.approx(float(row[f"{UNSEEN}/dice"]), abs=1e-5)
    last = results(run)["last"]["benchmarks"][UNSEEN]
    assert float(rows[-1][f"{UNSEEN}/dice"]) == pytest.approx(last["mean_dice"], abs=1e-4)


def test_the_results_are_those_of_the_definition_image_by_image(run):
    """The checkpoint's network on each test image, one by one, and scored by the protocol."""
    network, cfg, _ = build_trained(run / "last.ckpt")
    data = build_data(cfg)
    data.setup("validate")
    (unseen,) = (each for each in data.evaluated_sets() if each.name == UNSEEN)
    network.eval()
    scores = []
    for index in range(unseen.num_images):
        pixels = torch.from_numpy(unseen.images.pixels[index]).permute(2, 0, 1)[None] / 127.5 - 1
        with torch.no_grad():
            logits = network(pixels)[0].numpy()
        mask = unseen.mask(index)
        probabilities = probabilities_at(logits, mask.shape)
        assert 0 < (probabilities[1] > 0.5).mean() < 1
        scores.append(score(probabilities, mask, PROTOCOLS["tvconv"]))
    numbers = results(run)["last"]["benchmarks"][UNSEEN]["numbers"]
    for name in ("cup_dice", "disc_dice", "cup_hd", "disc_hd95", "cdr_error"):
        assert numbers[name]["mean"] == pytest.approx(np.mean([getattr(each, name) for each in scores]), abs=1e-4)
    with np.load(run / "last_scores.npz") as kept:
        assert kept[f"{UNSEEN}/disc_dice"] == pytest.approx([each.disc_dice for each in scores], abs=1e-4)
        assert kept[f"{UNSEEN}/images"].tolist() == [f"{UNSEEN} test {number}" for number in range(3)]


def test_the_floor_is_the_majority_of_the_training_masks(run):
    _, cfg, _ = build_trained(run / "last.ckpt")
    data = build_data(cfg)
    data.setup("fit")
    masks = np.stack([data.train_source.mask(index) for index in range(len(data.train_source))])
    cup, disc = (masks == 2).mean(axis=0) > 0.5, (masks >= 1).mean(axis=0) > 0.5
    (unseen,) = (each for each in data.evaluated_sets() if each.name == UNSEEN)
    overlaps = []
    for truth in (unseen.mask(index) >= 1 for index in range(3)):
        overlaps.append(2 * (disc & truth).sum() / (disc.sum() + truth.sum()))
    assert cup.sum() < disc.sum()
    found = results(run)["best"]["benchmarks"][UNSEEN]["numbers"]["disc_dice"]["floor"]
    assert found == pytest.approx(np.mean(overlaps))


def test_an_interrupted_run_ends_like_an_undisturbed_one(run, tmp_path):
    first = trained(tmp_path, *TVCONV_EYES, "trainer.max_epochs=1")
    assert train(tmp_path, *TVCONV_EYES, f"resume={first / 'last.ckpt'}") == 0
    (second,) = (path.parent for path in tmp_path.rglob("last.ckpt") if path.parent != first)
    states = [torch.load(folder / "last.ckpt", weights_only=True)["state_dict"] for folder in (run, second)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert results(run)["last"]["benchmarks"] == results(second)["last"]["benchmarks"]


def test_the_reference_protocol_chooses_the_epoch_on_the_unseen_domain(tmp_path, capfd):
    folder = trained(tmp_path, *EYES, "operator=none", "protocol=tvconv_reference", "trainer.max_epochs=1")
    assert results(folder)["best_chosen_on"] == [UNSEEN]
    assert says("".join(capfd.readouterr()), "chosen on the images on which it is reported")


def run_command(folder: Path, *arguments: str) -> int:
    with as_program(folder, *arguments):
        return main(list(arguments))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    short = [*EYES, "trainer.max_epochs=1", "lr_scheduler.milestones=[1]"]
    assert train(folder, "-m", *short, "operator=none,depthwise", "data.unseen=drawn_a,drawn_c", "seed=1,2") == 0
    return folder


def test_the_table_has_a_column_for_each_network_and_a_row_for_each_domain(sweep, capfd):
    assert run_command(sweep, "report", "outputs", "csv=table.csv", "markdown=table.md", "latex=table.tex") == 0
    rows = table(sweep / "table.csv")
    dice = [row for row in rows if row["metric"] == "cup Dice (%)" and row["epoch"] == "best"]
    assert [row["unseen domain"] for row in dice] == ["drawn_a", "drawn_c", "mean"]
    found = [json.loads(path.read_text()) for path in sweep.rglob("results.json")]
    for row in dice[:2]:
        of = [
            100 * each["best"]["benchmarks"][row["unseen domain"]]["numbers"]["cup_dice"]["mean"]
            for each in found
            if each["config"]["data"]["unseen"] == row["unseen domain"] and each["config"]["operator"]
        ]
        column = next(name for name in row if name.startswith("Depthwise") and name.endswith("std"))
        name = column.removesuffix(" std")
        assert float(row[name]) == pytest.approx(np.mean(of), abs=1e-4)
        assert float(row[column]) == pytest.approx(np.std(of, ddof=1), abs=1e-4)
        assert float(row[f"{name} low"]) <= float(row[name]) <= float(row[f"{name} high"])
    assert says((sweep / "table.md").read_text(), "constant mask", "M multiply-adds", "protocol tvconv")
    assert r"\begin{tabular}" in (sweep / "table.tex").read_text()


def test_two_networks_are_compared_image_by_image(sweep, capfd):
    assert run_command(sweep, "report", "compare", "outputs", "baseline=depthwise", "checkpoint=best") == 0
    said = capfd.readouterr().out
    assert says(said, "drawn_a", "drawn_c", "mean Dice", "points", "2 seeds")
    assert run_command(sweep, "report", "compare", "outputs", "metric=cup_hd", "json=c.json") == 0
    assert says(capfd.readouterr().out, "cup HD (px)", "pixels")
    assert run_command(sweep, "report", "compare", "outputs", "metric=tar") == 1
    assert says(capfd.readouterr().err, "metric=tar", "mean_dice")


def test_a_checkpoint_is_evaluated(run, tmp_path, capfd):
    files = [f"overlays={tmp_path / 'o.png'}", f"scores={tmp_path / 's.npz'}"]
    assert run_command(tmp_path, "evaluate", f"checkpoint={run / 'last.ckpt'}", *files) == 0
    told = json.loads(capfd.readouterr().out.splitlines()[-1])
    ours, theirs = told["benchmarks"], results(run)["last"]["benchmarks"]
    assert ours[UNSEEN]["mean_dice"] == pytest.approx(theirs[UNSEEN]["mean_dice"], abs=1e-6)
    assert (tmp_path / "o.png").stat().st_size > 10_000
    with np.load(tmp_path / "s.npz") as again, np.load(run / "last_scores.npz") as kept:
        assert again[f"{UNSEEN}/cup_hd"] == pytest.approx(kept[f"{UNSEEN}/cup_hd"])


def test_an_exported_file_predicts_the_masks_of_its_checkpoint(run, tmp_path, capfd):
    file = tmp_path / "eyes.onnx"
    assert run_command(tmp_path, "export", f"checkpoint={run / 'last.ckpt'}", f"output={file}", "tolerance=0") == 0
    told = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert told["num_images"] == 6 and min(told["equal_pixels"], told["dice"]) > 0.999
    assert run_command(tmp_path, "evaluate", f"model={file}") == 0
    again = json.loads(capfd.readouterr().out.splitlines()[-1])["benchmarks"][UNSEEN]
    assert again["mean_dice"] == pytest.approx(results(run)["last"]["benchmarks"][UNSEEN]["mean_dice"], abs=1e-3)


@pytest.mark.parametrize(
    ("setting", "facts"),
    [("int8=true", ("int8", "no effect")), ("format=safetensors", ("format=safetensors", "onnx"))],
)
def test_what_masks_have_no_file_of_is_refused(run, tmp_path, capfd, setting, facts):
    assert run_command(tmp_path, "export", f"checkpoint={run / 'last.ckpt'}", setting) == 1
    assert says(capfd.readouterr().err, *facts) and not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [["plot_runs"], ["plot_paper", "figure=10"]])
def test_the_contours_of_all_networks_are_drawn(sweep, tmp_path, command):
    assert run_command(sweep, *command, "outputs", f"out={tmp_path / 'masks.png'}") == 0
    assert (tmp_path / "masks.png").stat().st_size > 20_000


@pytest.mark.parametrize("command", [["report", "html"], ["plot_paper", "figure=4"], ["plot_paper", "figure=5"]])
def test_what_is_for_faces_says_so(sweep, tmp_path, capfd, command):
    out = tmp_path / ("page.html" if command[0] == "report" else "table.md" if "figure=5" in command else "figure.png")
    assert run_command(sweep, *command, "outputs", f"out={out}") == 1
    assert says(capfd.readouterr().err, "Segmenter", "Recognizer", "name others") and not out.exists()


def test_the_data_of_the_task_are_checked(tmp_path, capfd):
    eyes = ["task=segmentation", "data.num_train=3", "data.num_test=2", "data.side=64"]
    assert run_command(tmp_path, "check_data", *eyes) in (0, 1)
    assert json.loads(capfd.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        (["head=am_softmax"], ("head", "Segmenter", "head=none")),
        (["protocol=insightface"], ("protocol", "insightface", "tvconv_reference")),
        (["width=0.5"], ("width", "leave it out")),
        (["embedding_dim=64"], ("embedding_dim", "leave it out")),
        (["data.unseen=drawn_x"], ("data.unseen=drawn_x", "drawn_d")),
        (["data.global_batch_size=1"], ("global_batch_size", "2", "1")),
    ],
)
def test_what_does_not_fit_the_task_is_refused(tmp_path, capfd, settings, facts):
    assert train(tmp_path, *EYES, "operator=depthwise", *settings) == 1
    assert says("".join(capfd.readouterr()), *facts)
    assert not list(tmp_path.rglob("*.ckpt"))


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        (["data=synthetic"], ("Segmenter", "SegmentationDataModule", "SyntheticData", "data=")),
        (["backbone=mbv2", "operator=depthwise", "data.side=64"], ("MobileNetV2", "masks", "backbone=deeplab")),
    ],
)
def test_parts_of_the_other_task_are_refused(tmp_path, capfd, settings, facts):
    assert train(tmp_path, "task=segmentation", "trainer=cpu", "image_size=64", *settings) == 1
    assert says("".join(capfd.readouterr()), *facts)


def test_settings_of_faces_have_no_effect_on_masks(run, tmp_path, capfd):
    assert run_command(tmp_path, "evaluate", f"checkpoint={run / 'last.ckpt'}", "all_pairs=true") == 1
    assert says(capfd.readouterr().err, "all_pairs", "no effect", "leave it out")


def test_images_are_misaligned_with_their_masks(run, tmp_path, capfd):
    arguments = (f"checkpoint={run / 'last.ckpt'}", "transforms=translation", "strengths=2", "out=moved")
    assert run_command(tmp_path, "sensitivity", *arguments) == 0
    summary = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert summary["data"][UNSEEN]["images"] == 3
    unchanged, moved = (each["benchmarks"][UNSEEN]["mean_dice"] for each in summary["measurements"])
    assert unchanged == pytest.approx(results(run)["last"]["benchmarks"][UNSEEN]["mean_dice"], abs=1e-4)
    assert moved != unchanged and (tmp_path / "moved" / "sensitivity.png").is_file()
