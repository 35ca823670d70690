import numpy as np
import pytest
import torch
from pose_folders import stripes
from random_weights import randomise
from says import refuses

from facerec.errors import InputError
from facerec.frontal.classifier import FrontalClassifier, load_classifier, save_classifier

IMAGES = np.stack([stripes(number % 2 == 0, number) for number in range(5)])


def classifier():
    return randomise(FrontalClassifier(width=0.1, image_size=32))


def test_a_file_brings_back_the_same_answers(tmp_path):
    made = classifier()
    made.calibration.copy_(torch.tensor([2.0, -1.0]))
    save_classifier(made, tmp_path / "frontal.pt", {"auc": 0.5})
    assert np.array_equal(load_classifier(tmp_path / "frontal.pt").logits(IMAGES), made.logits(IMAGES))


def test_the_calibration_stretches_and_moves_the_logits():
    made = classifier()
    made.calibration.copy_(torch.tensor([1.0, 0.0]))
    plain = made.logits(IMAGES)
    made.calibration.copy_(torch.tensor([2.0, -1.0]))
    assert np.allclose(made.logits(IMAGES), 2 * plain - 1, rtol=1e-4)


def test_an_image_and_its_mirror_image_have_the_same_answer():
    made = classifier()
    assert np.allclose(made.logits(IMAGES[:, :, ::-1].copy()), made.logits(IMAGES), atol=1e-5)


def test_batches_do_not_matter_and_nor_does_an_empty_one():
    made = classifier()
    assert np.allclose(made.logits(IMAGES, batch_size=2), made.logits(IMAGES), atol=1e-5)
    assert made.logits(IMAGES[:0]).shape == (0,)


def test_a_missing_file_says_where_one_comes_from(tmp_path):
    with refuses("gone.pt", "No such file or directory", "train", error=InputError):
        load_classifier(tmp_path / "gone.pt")


@pytest.mark.parametrize("content", [b"", b"not a file of weights", None], ids=["empty", "text", "other weights"])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    path = tmp_path / "frontal.pt"
    if content is None:
        torch.save({"state_dict": {}}, path)
    else:
        path.write_bytes(content)
    with refuses("frontal.pt", "damaged", "classifier", error=InputError):
        load_classifier(path)
