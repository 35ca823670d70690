from dataclasses import replace

import numpy as np
import pytest
from pose_folders import write_people
from says import refuses
from sklearn.metrics import roc_auc_score

from facerec.errors import InputError
from facerec.frontal import training
from facerec.frontal.calibration import auc_of_borders, fit_calibration, flipped_by_a_border
from facerec.frontal.pose_folders import read_pose_folders
from facerec.frontal.training import Recipe, cross_validate, split_into_folds, train_calibrated, train_classifier

RECIPE = Recipe(width=0.1, image_size=32, epochs=60, batch_size=10)
ONE_EPOCH = Recipe(width=0.1, image_size=32, epochs=1, batch_size=10)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    root = tmp_path_factory.mktemp("people")
    write_people(root, identities=8, images=5)
    return read_pose_folders(root, 32)


def test_the_poses_of_strangers_are_learned_from_the_picture_and_not_from_the_border(people):
    known = people.identities % 2 == 0
    classifier = train_classifier(people, np.flatnonzero(known), RECIPE, "half of the people")
    strangers = np.flatnonzero(~known)
    assert roc_auc_score(people.is_frontal[strangers], classifier.logits(people.pixels[strangers])) > 0.9
    assert auc_of_borders(people) == 1.0  # and the border alone would have told them as well
    assert flipped_by_a_border(classifier, people, strangers) < 0.3


def test_everybody_is_answered_for_in_one_fold(people):
    logits, folds, first = cross_validate(people, ONE_EPOCH, 2)
    assert all(len(np.unique(folds[people.identities == person])) == 1 for person in range(8))
    assert set(folds) == {0, 1} and np.array_equal(first.logits(people.pixels[folds == 0]), logits[folds == 0])


def test_a_classifier_never_saw_the_people_it_answers_for(people, monkeypatch):
    trained_on = []

    class Untrained:
        def logits(self, images):
            return np.zeros(len(images))

    def remember(images, rows, recipe, title):
        trained_on.append(set(images.identities[rows].tolist()))
        return Untrained()

    monkeypatch.setattr(training, "train_classifier", remember)
    _, folds, _ = cross_validate(people, ONE_EPOCH, 4)
    for fold, seen in enumerate(trained_on):
        assert seen == set(range(8)) - set(people.identities[folds == fold].tolist())


def test_a_seed_repeats_the_training_and_the_calibration_is_kept(people):
    logits = np.where(people.is_frontal, 1.0, -0.5) + np.arange(len(people)) % 7 - 3
    first, again = (train_calibrated(people, logits, ONE_EPOCH) for _ in range(2))
    assert np.array_equal(first.logits(people.pixels), again.logits(people.pixels))
    assert first.calibration.tolist() == pytest.approx(fit_calibration(logits, people.is_frontal))


@pytest.mark.parametrize("folds", [1, 9])
def test_folds_that_cannot_be_made_are_refused(people, folds):
    with refuses(f"{folds} folds", "8 identities", "2 to 8", error=InputError):
        cross_validate(people, ONE_EPOCH, folds)


def test_a_fold_without_one_of_the_poses_is_refused(people):
    one_pose = replace(people, is_frontal=people.identities % 2 == 0)  # half of the people have frontal images alone
    with refuses("of 8", "one pose", "fewer folds", error=InputError):
        split_into_folds(one_pose, 8, seed=1)


@pytest.mark.parametrize(
    ("setting", "facts"),
    [
        ({"image_size": 0}, ("image_size", "at least 32", "got 0")),
        ({"epochs": 0}, ("epochs", "at least 1", "got 0")),
        ({"batch_size": 1}, ("batch_size", "at least 2", "got 1")),
        ({"seed": -1}, ("seed", "at least 0", "-1")),
        ({"width": 0.0}, ("width", "positive", "0.0")),
    ],
    ids=str,
)
def test_a_recipe_that_cannot_be_followed_is_refused(setting, facts):
    with refuses(*facts):
        Recipe(**setting)
