import json

import pytest
from image_files import plain, write_image
from pose_folders import read_csv, write_people
from says import says

from facerec.commands.main import module_of
from facerec.frontal.classifier import load_classifier

SMALL = ["folds=2", "epochs=1", "width=0.1", "image_size=32", "batch_size=8", "num_workers=0"]


def train(*arguments) -> int:
    return module_of("train_frontal").main([str(argument) for argument in arguments])


def test_it_leaves_a_classifier_and_says_what_it_is_worth(tmp_path, capsys):
    write_people(tmp_path / "cfp", identities=4, images=3)
    assert train(tmp_path / "cfp", f"out={tmp_path / 'out'}", *SMALL) == 0
    printed = capsys.readouterr()
    results = json.loads(printed.out.splitlines()[-1])
    assert (results["images"], results["frontal"], results["identities"], results["folds"]) == (24, 12, 4, 2)
    assert results["auc_of_borders_alone"] == 1.0 and 0 <= results["accuracy"] <= 1
    assert results["recipe"]["epochs"] == 1 and "git_commit" in results
    assert json.loads((tmp_path / "out/frontal.json").read_text()) == results
    assert "fold 2 of 2: AUC" in printed.err and "calibration error" in printed.err
    assert load_classifier(tmp_path / "out/frontal.pt").image_size == 32
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        *("frontal.pt", "frontal.json", "frontal.png", "mistakes.png", "out_of_fold.csv")
    }
    rows = read_csv(tmp_path / "out/out_of_fold.csv")
    assert len(rows) == 24 and all(("frontal" in row["image"]) == (row["is_frontal"] == "1") for row in rows)
    # The accuracy again, from the file alone.
    right = [(float(row["probability"]) >= 0.5) == (row["is_frontal"] == "1") for row in rows]
    assert sum(right) / 24 == pytest.approx(results["accuracy"], abs=0.05)


def test_a_folder_of_something_else_is_one_sentence_and_nothing_is_written(tmp_path, capsys):
    write_image(tmp_path / "cfp/ann/1.jpg", plain((1, 2, 3)))
    assert train(tmp_path / "cfp", f"out={tmp_path / 'out'}", *SMALL) == 1
    assert says(capsys.readouterr().err, str(tmp_path), "ID/profile/IMAGE", "CFP")
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_made_is_refused_before_the_training(tmp_path, capsys):
    write_people(tmp_path / "cfp", identities=2, images=1)
    (tmp_path / "file").write_text("mine")
    assert train(tmp_path / "cfp", f"out={tmp_path / 'file'}", *SMALL) == 1
    assert says(capsys.readouterr().err, f"out={tmp_path / 'file'}", "name a folder")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_wrong_number_is_one_sentence(tmp_path, capsys):
    assert train(tmp_path, *SMALL, "epochs=0") == 1
    assert says(capsys.readouterr().err, "epochs", "at least 1", "got 0")
    assert train(tmp_path, *SMALL, "num_workers=1000000") == 1
    assert says(capsys.readouterr().err, "num_workers=1000000", "cores", "at most")


def test_a_classifier_that_is_there_is_replaced_on_request_alone(tmp_path, capsys):
    write_people(tmp_path / "cfp", identities=4, images=1)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/frontal.pt").write_bytes(b"mine")
    assert train(tmp_path / "cfp", f"out={tmp_path / 'out'}", *SMALL) == 1
    assert says(capsys.readouterr().err, "frontal.pt", "force=true", "out=FOLDER")
    assert (tmp_path / "out/frontal.pt").read_bytes() == b"mine"
    assert train(tmp_path / "cfp", f"out={tmp_path / 'out'}", *SMALL, "force=true") == 0
    assert load_classifier(tmp_path / "out/frontal.pt").image_size == 32
    assert says(capsys.readouterr().err, "barely", "poses", "AUC 0.")
