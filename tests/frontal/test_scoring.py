import numpy as np
import pytest
from image_files import write_image
from pose_folders import stripes
from random_weights import randomise
from says import refuses

from facerec.data.readers.folders import FolderImages
from facerec.errors import InputError
from facerec.frontal import scoring
from facerec.frontal.borders import covered
from facerec.frontal.classifier import FrontalClassifier
from facerec.frontal.scoring import score_images

COUNT = 7


@pytest.fixture
def classifier():
    return randomise(FrontalClassifier(width=0.1, image_size=32)).eval()


@pytest.fixture
def source(tmp_path):
    for number in range(COUNT):
        write_image(tmp_path / f"images/{number}.png", stripes(number % 2 == 0, number, 40))
    return FolderImages(tmp_path / "images", [f"{number}.png" for number in range(COUNT)])


def one_by_one(classifier, source):
    pixels = [covered(source.load(i), 32)[0] for i in range(len(source))]
    return [float(classifier.logits(image[None])[0]) for image in pixels]


def test_the_scores_are_those_of_each_image_alone(classifier, source, tmp_path):
    scores = score_images(classifier, source, tmp_path)
    assert scores.dtype == np.float32 and scores == pytest.approx(one_by_one(classifier, source), abs=1e-4)
    assert len(np.unique(scores.round(6))) > 1


def test_an_unreadable_image_has_no_score_and_keeps_the_others(classifier, source, tmp_path):
    (source.root / "3.png").write_bytes(b"cut")
    scores = score_images(classifier, source, tmp_path)
    assert np.flatnonzero(np.isnan(scores)).tolist() == [3]


@pytest.mark.parametrize("left_over", [b"", b"ab"], ids=["at a number", "within a number"])
def test_an_interrupted_run_goes_on_and_nothing_is_scored_twice(
    classifier, source, tmp_path, monkeypatch, left_over, capsys
):
    monkeypatch.setattr(scoring, "_BATCH", 2)
    whole = score_images(classifier, source, tmp_path)
    (file,) = tmp_path.glob("scores-*.f32")
    file.write_bytes(file.read_bytes()[:16] + left_over)
    loaded, load = [], FolderImages.load
    monkeypatch.setattr(FolderImages, "load", lambda self, index: loaded.append(index) or load(self, index))
    assert np.array_equal(score_images(classifier, source, tmp_path), whole)
    assert loaded == [4, 5, 6] and "4 of 7 images were scored before" in capsys.readouterr().err


def test_a_second_run_reads_no_image_but_another_classifier_does(classifier, source, tmp_path, monkeypatch):
    score_images(classifier, source, tmp_path)
    monkeypatch.setattr(FolderImages, "load", None)
    score_images(classifier, source, tmp_path)
    with pytest.raises(TypeError):
        score_images(randomise(classifier, seed=1), source, tmp_path)


def test_an_image_that_changed_is_scored_anew(classifier, source, tmp_path):
    before = score_images(classifier, source, tmp_path)
    write_image(source.root / "0.png", stripes(False, 99, 64))
    after = score_images(classifier, source, tmp_path)
    assert before[0] != after[0] and np.array_equal(before[1:], after[1:])


def test_a_folder_that_cannot_be_made_is_one_sentence(classifier, source, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with refuses("cannot be written", "free space", "another folder", error=InputError):
        score_images(classifier, source, tmp_path / "file" / "out")
