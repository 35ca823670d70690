"""Images far from the dominant centre of their identity, and the list without them."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from image_files import plain, write_noise
from measured_parts import Pictures, training_part
from running import DATA, DEPTHWISE, ONE_EPOCH, trained
from says import refuses, says
from torch import nn

from facerec.commands.main import module_of
from facerec.config.trained import build_trained
from facerec.data.decode import decode_rgb
from facerec.data.held_out import split_identities
from facerec.data.loading import normalise
from facerec.data.readers.train_lists import read_train_list
from facerec.doctor.faces import Embedder
from facerec.doctor.subcentres import SubCentres, dominant_angles
from facerec.errors import InputError

RED, GREEN, BLUE = (230, 20, 20), (20, 230, 20), (20, 20, 230)


class Colour(nn.Module):
    """The mean colour as an embedding."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((2, 3))


def subcentres(centres, fingerprint: str | None = "", limit: float = 75) -> SubCentres:
    return SubCentres(Path("some.ckpt"), Embedder(Colour(), (8, 8)), torch.tensor(centres).float(), fingerprint, limit)


def colour(pixel: tuple[int, int, int]) -> list[float]:
    """Its embedding, of length 1."""
    values = [value / 127.5 - 1 for value in pixel]
    return [value / math.hypot(*values) for value in values]


def mislabelled_part():
    """Six red and two green images of ann, and four blue ones of bob; the last image cannot be read."""
    pictures = [plain(RED, (8, 8))] * 6 + [plain(GREEN, (8, 8))] * 2 + [plain(BLUE, (8, 8))] * 4
    part = training_part(pictures, ["ann"] * 8 + ["bob"] * 4)
    part.features["readable"][11] = False
    return part


@pytest.mark.parametrize("order", [(RED, GREEN), (GREEN, RED)])
def test_wrong_labels_are_far_from_the_centre_of_most_images(order):
    part = mislabelled_part()
    centres = [[colour(one) for one in order], [colour(BLUE), colour(GREEN)]]
    cleaned, (finding,) = subcentres(centres).clean(part, part.train.labels, 0)
    assert cleaned.kept.tolist() == [0, 1, 2, 3, 4, 5, 8, 9, 10]
    assert (finding.name, finding.severity, finding.count) == ("far_from_centre", "warning", 2)
    between = math.degrees(math.acos(sum(a * b for a, b in zip(colour(RED), colour(GREEN), strict=True))))
    assert [(one["image"], one["identity"]) for one in finding.details] == [("6", "ann"), ("7", "ann")]
    assert [one["angle"] for one in finding.details] == pytest.approx([between] * 2, abs=0.2) and between > 100
    assert [example.index for example in finding.examples] == [6, 0, 7, 0]
    assert says(finding.sentence, "75 degrees", "farthest first")


def test_a_network_that_finds_many_is_said_to_be_undertrained():
    part = mislabelled_part()
    _, (finding,) = subcentres([[colour(GREEN)], [colour(GREEN)]]).clean(part, part.train.labels, 0)
    assert finding.count == 9 and says(finding.sentence, "not learned", "train it longer")


def test_nothing_is_found_below_the_limit():
    part = mislabelled_part()
    centres = [[colour(RED), colour(GREEN)], [colour(BLUE), colour(GREEN)]]
    cleaned, findings = subcentres(centres, limit=130).clean(part, part.train.labels, 0)
    assert findings == [] and cleaned.kept.tolist() == list(range(11))


def test_images_of_held_out_identities_are_kept():
    part, rows = mislabelled_part(), np.array([-1] * 8 + [0] * 4)
    cleaned, findings = subcentres([[colour(RED), colour(GREEN)]]).clean(part, rows, 0)
    assert cleaned.kept.tolist() == list(range(8)) and findings[0].count == 3


def test_angles_are_those_to_the_centre_with_most_images():
    rng = np.random.default_rng(0)
    cosines, rows, used = rng.uniform(-1, 1, (40, 3)), rng.integers(0, 4, 40), rng.random(40) < 0.8
    angles = dominant_angles(cosines, rows, used, 4)
    for index in range(40):
        votes = [0, 0, 0]
        for other in range(40):
            if used[other] and rows[other] == rows[index]:
                votes[max(range(3), key=lambda k: cosines[other, k])] += 1
        expected = math.degrees(math.acos(cosines[index, votes.index(max(votes))])) if used[index] else math.nan
        assert angles[index] == pytest.approx(expected, nan_ok=True)


def module(held_out: int = 0):
    return SimpleNamespace(held_out_identities=held_out, held_out_seed=0)


def test_rows_are_those_of_the_identities_that_were_trained_on():
    source = Pictures([plain(RED)] * 75, [str(n) for n in range(75)], [f"{n // 3:02}" for n in range(75)])
    train, _ = split_identities(source, 20, 0)
    rows = subcentres(np.zeros((5, 2, 3)), train.fingerprint()).rows(module(20), source)
    assert (rows >= 0).sum() == 15 and rows[train.positions].tolist() == train.labels.tolist()
    with refuses("some.ckpt", "5 identities", "25", "data.held_out_identities", error=InputError):
        subcentres(np.zeros((5, 2, 3)), train.fingerprint()).rows(module(), source)


@pytest.mark.parametrize("fingerprint", ["another", None])
def test_a_checkpoint_of_other_images_is_refused(fingerprint):
    source = Pictures([plain(RED)] * 4, "abcd", "1122")
    with refuses("some.ckpt", "other images", str(fingerprint), "settings of data", error=InputError):
        subcentres(np.zeros((2, 2, 3)), fingerprint).rows(module(), source)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run with three centres for each of four people; its images are in ``faces``."""
    folder = tmp_path_factory.mktemp("subcentres")
    write_noise(folder / "faces")
    settings = [*(part for part in DEPTHWISE if part not in DATA), *data(folder / "faces"), "logger=none"]
    return trained(folder, *settings, *ONE_EPOCH, "head=subcentre_arcface", "data.global_batch_size=8")


def data(faces: Path) -> list[str]:
    return ["data=folder", f"data.root={faces}", "data.benchmarks=[odd]", "data.num_workers=0"]


def check(capsys, *arguments: str) -> tuple[int, str, str]:
    status = module_of("check_data").main(list(arguments))
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def angles_of(run: Path, faces: Path) -> dict[str, float]:
    """Path to angle, image by image."""
    backbone, _, checkpoint = build_trained(run / "last.ckpt")
    centres, angles = checkpoint["state_dict"]["head.weight"].double().numpy(), {}
    for person in range(4):
        cosines = []
        for number in range(8):
            path = faces / f"train/{person}/{number}.png"
            image = decode_rgb(path.read_bytes(), path.name)
            with torch.inference_mode():
                embedding = backbone.eval()(normalise(torch.from_numpy(image)[None]))[0].double().numpy()
            lengths = np.linalg.norm(centres[person], axis=1) * np.linalg.norm(embedding)
            cosines.append(centres[person] @ embedding / lengths)
        votes = [int(one.argmax()) for one in cosines]
        main = max(range(3), key=lambda k: (votes.count(k), -k))
        angles |= {f"{person}/{n}.png": math.degrees(math.acos(one[main])) for n, one in enumerate(cosines)}
    return angles


def test_the_command_writes_the_list_without_the_images_beyond_the_angle(run, capsys, tmp_path):
    faces = run.parents[2] / "faces"
    angles = angles_of(run, faces)
    ranked = sorted(angles, key=angles.__getitem__, reverse=True)
    limit = (angles[ranked[9]] + angles[ranked[10]]) / 2
    arguments = [f"subcentre_checkpoint={run / 'last.ckpt'}", f"subcentre_angle={limit}", f"out={tmp_path}"]
    _, out, err = check(capsys, *arguments, *data(faces))
    assert says(err.splitlines()[-1], "cleaned.txt", "22 of 32 images", "identities")
    (finding,) = [one for one in json.loads(out)["findings"] if one["name"] == "far_from_centre"]
    assert finding["count"] == 10 and "cleaned" not in json.loads(out)
    report = json.loads((tmp_path / "report.json").read_text())
    (found,) = [one["details"] for one in report["findings"] if one["name"] == "far_from_centre"]
    assert {one["image"] for one in found} == set(ranked[:10])
    assert [one["angle"] for one in found] == pytest.approx([angles[path] for path in ranked[:10]], abs=1)  # degrees
    listed = read_train_list(faces, tmp_path / "cleaned.txt", "train")
    assert set(listed.paths) == set(ranked[10:])
    # The next network is trained on the list; it belongs to no checkpoint of before, and is not written over.
    cleaned = [*data(faces), f"data.train_list={tmp_path / 'cleaned.txt'}"]
    status, _, err = check(capsys, *arguments[:2], f"out={tmp_path / 'again'}", *cleaned)
    assert status == 1 and says(err, "last.ckpt", "trained on")
    status, _, err = check(capsys, *arguments, *cleaned)
    assert status == 1 and says(err, f"out={tmp_path}", "replace", "cleaned.txt", "another folder")


def test_a_list_of_nothing_is_not_written(run, capsys, tmp_path):
    arguments = [f"subcentre_checkpoint={run / 'last.ckpt'}", "subcentre_angle=0", f"out={tmp_path}"]
    status, out, err = check(capsys, *arguments, *data(run.parents[2] / "faces"))
    assert status == 1 and says(err.splitlines()[-1], "cleaned.txt", "no image", "subcentre_angle")
    assert json.loads(out)["images"] == 32 and not (tmp_path / "cleaned.txt").exists()


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        (["subcentre_angle=70"], ("subcentre_angle=70", "subcentre_checkpoint=")),
        (["subcentre_checkpoint=gone.ckpt"], ("out=FOLDER",)),
        (["subcentre_checkpoint=gone.ckpt", "out=OUT"], ("gone.ckpt", "No such file")),
        (["subcentre_checkpoint=gone.ckpt", "out=OUT", "subcentre_angle=200"], ("subcentre_angle", "0", "180", "200")),
    ],
)
def test_settings_without_effect_are_refused(settings, facts, capsys, tmp_path):
    settings = [one.replace("OUT", str(tmp_path / "out")) for one in settings]
    status, out, err = check(capsys, *settings, *data(tmp_path))
    assert status == 1 and out == "" and says(err, *facts) and err.count("\n") == 1


def test_a_checkpoint_with_another_head_is_refused(depthwise_run, capsys, tmp_path):
    settings = [f"subcentre_checkpoint={depthwise_run / 'last.ckpt'}", f"out={tmp_path}"]
    status, out, err = check(capsys, *settings, *data(tmp_path))
    assert status == 1 and out == "" and says(err, "last.ckpt", "AMSoftmax", "head=subcentre_arcface")


def test_a_checkpoint_without_the_centres_is_refused(run, capsys, tmp_path):
    checkpoint = torch.load(run / "last.ckpt", weights_only=True)
    checkpoint["state_dict"]["head.weight"] = torch.zeros(4, 16)
    torch.save(checkpoint, tmp_path / "odd.ckpt")
    settings = [f"subcentre_checkpoint={tmp_path / 'odd.ckpt'}", f"out={tmp_path / 'out'}"]
    status, out, err = check(capsys, *settings, *data(run.parents[2] / "faces"))
    assert status == 1 and out == "" and says(err, "odd.ckpt", "(4, 16)", "use one of facerec train")
