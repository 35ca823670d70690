import json
from pathlib import Path

import pytest
from image_files import write_image
from pose_folders import read_csv, stripes
from random_weights import randomise
from recordio_writer import classic, png, write_records
from says import every, says

from facerec.commands.main import module_of
from facerec.config.build import build_data
from facerec.config.compose import compose
from facerec.frontal.classifier import FrontalClassifier, save_classifier
from facerec.frontal.scoring import score_images

NAMES = ["ann", "bob the second", "žák"]


@pytest.fixture
def faces(tmp_path):
    """Three people of four images and a random classifier."""
    for identity, name in enumerate(NAMES):
        for number in range(4):
            write_image(tmp_path / f"faces/train/{name}/{number} .png", stripes(number % 2 == 0, 4 * identity + number))
    save_classifier(randomise(FrontalClassifier(width=0.1, image_size=32)), tmp_path / "frontal.pt", {})
    return tmp_path


def arguments(folder: Path, *more: str) -> list[str]:
    own = [f"classifier={folder / 'frontal.pt'}", f"out={folder / 'out'}"]
    return [*own, "data=folder", f"data.root={folder / 'faces'}", "data.num_workers=0", *more]


def run(capsys, *given: str):
    status = module_of("filter_frontal").main(list(given))
    return status, capsys.readouterr()


def test_the_list_is_one_that_training_reads_and_holds_the_most_frontal(faces, capsys):
    status, printed = run(capsys, *arguments(faces, "keep=0.5"))
    results = json.loads(printed.out.splitlines()[-1])
    assert status == 0 and (results["images"], results["kept"], results["unreadable"]) == (12, 6, 0)
    rows = read_csv(faces / "out/scores.csv")
    ordered = sorted(rows, key=lambda row: -float(row["probability"]))
    assert [row["kept"] for row in ordered] == ["1"] * 6 + ["0"] * 6
    listed = compose(["data=folder", f"data.root={faces / 'faces/train'}", f"data.train_list={faces / 'out/kept.txt'}"])
    source = build_data(listed).open_train()
    assert {source.name(i) for i in range(6)} == {row["image"] for row in ordered[:6]}
    assert every(source.load(i).shape == (32, 32, 3) for i in range(6))
    counts = read_csv(faces / "out/identities.csv")
    assert [row["identity"] for row in counts] == NAMES and sum(int(row["kept"]) for row in counts) == 6
    assert {"histogram.png", "threshold.png", "filter.json"} < {file.name for file in (faces / "out").iterdir()}
    assert "identities kept" in printed.err


def test_another_threshold_reads_no_image_again(faces, capsys, monkeypatch):
    run(capsys, *arguments(faces))
    module = module_of("filter_frontal")
    monkeypatch.setattr(module, "write_page", lambda *_: None)
    monkeypatch.setattr("facerec.data.readers.folders.FolderImages.load", None)
    assert module.main(arguments(faces, "threshold=0.01")) == 0
    printed = capsys.readouterr()
    assert says(printed.err, "12 of 12 images", "before")
    assert json.loads(printed.out.splitlines()[-1])["threshold"] == pytest.approx(0.01)


def test_identities_with_too_few_images_are_left_out(faces, capsys):
    _, printed = run(capsys, *arguments(faces, "keep=0.42", "min_images=2"))
    results = json.loads(printed.out.splitlines()[-1])
    counts = read_csv(faces / "out/identities.csv")
    assert every(row["kept"] != "1" for row in counts)
    assert results["frontal"] == 5 and results["kept"] == sum(int(row["kept"]) for row in counts)


def test_an_archive_is_filtered_by_its_keys(faces, capsys):
    labels = [0, 0, 1, 1, 1, 2]
    (faces / "rec").mkdir()
    write_records(faces / "rec/train.rec", classic(labels, [png(number) for number in range(6)]))
    own = arguments(faces)[:2]
    archive = ["data=insightface", f"data.root={faces / 'rec'}", "data.num_workers=0"]
    status, printed = run(capsys, *own, *archive, "keep=0.5")
    assert status == 0 and json.loads(printed.out.splitlines()[-1])["kept"] == 3
    source = build_data(compose([*archive, f"data.train_list={faces / 'out/kept.txt'}"])).open_train()
    scores = score_images_of(faces, archive)
    best = sorted(range(6), key=lambda i: -scores[i])[:3]
    assert sorted(source.name(i) for i in range(3)) == sorted(f"train.rec record {i + 1}" for i in best)


def score_images_of(folder: Path, overrides: list[str]):
    classifier = module_of("filter_frontal").load_classifier(folder / "frontal.pt")
    return score_images(classifier, build_data(compose(overrides)).open_train(), folder / "again")


def test_an_unreadable_image_is_left_out_and_counted(faces, capsys):
    (faces / "faces/train/ann/1 .png").write_bytes(b"cut")
    status, printed = run(capsys, *arguments(faces, "keep=1"))
    results = json.loads(printed.out.splitlines()[-1])
    assert status == 0 and (results["kept"], results["unreadable"]) == (11, 1)
    listed = {line.split("\t")[0] for line in (faces / "out/kept.txt").read_text(encoding="utf-8").splitlines()}
    assert len(listed) == 11 and "ann/1 .png" not in listed
    assert says(printed.err, "ann/1 .png", "left out")


@pytest.mark.parametrize(
    ("given", "facts"),
    [
        (["keep=1.5"], ("keep", "at most 1", "got 1.5")),
        (["threshold=x"], ("threshold", "a number", "'x'")),
        (["keep=0.5", "threshold=0.5"], ("keep", "threshold", "one of them")),
        (["min_images=0"], ("min_images", "at least 1", "'0'")),
        (["classifier="], ("classifier= has no value",)),
        (["classifer=x"], ("'classifer=x'", "'classifier'")),
        (["width=0.5"], ("'width=0.5'", "classifier, keep")),
    ],
)
def test_a_wrong_setting_is_one_sentence(faces, capsys, given, facts):
    status, printed = run(capsys, *arguments(faces, *given))
    assert status == 1 and says(printed.err, *facts) and printed.out == ""


def test_an_out_that_is_a_file_is_refused_before_anything_is_scored(faces, capsys):
    (faces / "out").write_text("mine")
    status, printed = run(capsys, *arguments(faces))
    assert status == 1 and says(printed.err, f"out={faces / 'out'}", "file", "name a folder")
    assert (faces / "out").read_text() == "mine"


def test_the_table_has_four_digits_and_the_json_all(faces, capsys):
    _, printed = run(capsys, *arguments(faces, "threshold=0.1"))
    rows = dict(line.rsplit(maxsplit=1) for line in printed.err.splitlines() if line.strip()[:5] in ("thres", "kept "))
    assert {key.strip(): value for key, value in rows.items()}["threshold"] == "0.1"
    assert json.loads(printed.out.splitlines()[-1])["threshold"] == pytest.approx(0.1, abs=1e-12)


def test_the_page_says_that_images_above_the_threshold_are_left_out(faces, capsys, monkeypatch):
    module = module_of("filter_frontal")
    pages = []
    monkeypatch.setattr(module, "write_contact_sheet", lambda sections, path: pages.append(sections))
    (faces / "faces/train/solo").mkdir()
    write_image(faces / "faces/train/solo/0.png", stripes(True, 99))
    for more in ((), ("min_images=2",)):
        assert module.main(arguments(faces, "keep=1", *more)) == 0
    titles = [section.title for section in (pages[0][2], pages[1][2])]
    assert titles[0].endswith(titles[1].partition(";")[0])
    assert says(titles[1].partition(";")[2], "min_images", "1")
    name, probability = pages[0][0].captions[0].split("\n")
    assert name.endswith(" .png") or name == "solo/0.png"
    assert 0 <= float(probability) <= 1
