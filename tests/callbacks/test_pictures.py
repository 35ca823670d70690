"""What a run leaves for TensorBoard, read by TensorBoard's own reader."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from says import refuses
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from facerec.backbones import MobileNetV2
from facerec.operators.tvconv import TVConv
from facerec.plots.network import roc_figure
from facerec.training.callbacks.figures import Pictures
from facerec.verification.verify import verify


def events(run: Path) -> EventAccumulator:
    found = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0, "scalars": 0})
    found.Reload()
    return found


class TestARun:
    def test_of_tvconv_leaves_these_pictures_after_each_epoch(self, tvconv_run):
        found = events(tvconv_run)
        assert {tag: [e.step for e in found.Images(tag)] for tag in found.Tags()["images"]} == {
            "training images": [0],
            "ROC": [4, 8, 12],
            "affinity maps": [4, 8, 12],
        }

    def test_of_a_depthwise_network_has_no_affinity_maps(self, depthwise_run):
        assert sorted(events(depthwise_run).Tags()["images"]) == ["ROC", "training images"]

    def test_leaves_these_curves(self, depthwise_run):
        found = events(depthwise_run)
        tags = set(found.Tags()["scalars"])
        assert tags >= {"train/loss_epoch", "lr", "synthetic/accuracy", "mean_accuracy", "images_per_second", "epoch"}
        assert [round(e.value, 4) for e in found.Scalars("lr")] == [0.02, 0.02, 0.002]

    def test_ends_its_curves_with_training(self, depthwise_run):
        accuracy = events(depthwise_run).Scalars("synthetic/accuracy")
        assert [event.step for event in accuracy] == [3, 7, 11]

    def test_shows_its_training_images(self, depthwise_run):
        (event,) = events(depthwise_run).Images("training images")
        picture = cv2.imdecode(np.frombuffer(event.encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
        # 16 images of 32x32 in rows of 8, two pixels apart.
        assert picture.shape == (2 * 34 + 2, 8 * 34 + 2, 3) and picture.std() > 10


@pytest.fixture
def boards(tmp_path):
    return [TensorBoardLogger(str(tmp_path), name="", version="tensorboard"), CSVLogger(str(tmp_path))]


def trainer(boards: list, **state) -> SimpleNamespace:
    return SimpleNamespace(**{"loggers": boards, "is_global_zero": True, "global_step": 0, "max_epochs": 5} | state)


@pytest.fixture
def module():
    def small(*arguments, **options):
        return TVConv(*arguments, **options, generator_channels=2)

    embeddings = torch.randn(2, 20, 4, generator=torch.Generator().manual_seed(0))
    result = verify(embeddings[0], embeddings[1], np.arange(20) % 2 == 0)
    backbone = MobileNetV2(0.1, small, image_size=(16, 16))
    return SimpleNamespace(figures=lambda: {"ROC": roc_figure({"lfw": result})}, backbone=backbone)


def test_only_some_epochs_and_the_last_are_drawn(boards, module, tmp_path):
    pictures = Pictures(every_n_epochs=3)
    for epoch in range(5):
        pictures.on_validation_end(trainer(boards, current_epoch=epoch, global_step=10 * epoch), module)
    boards[0].experiment.flush()
    assert [event.step for event in events(tmp_path).Images("ROC")] == [20, 40]


def test_only_the_first_step_of_a_run_shows_its_images(boards, tmp_path):
    pictures, batch = Pictures(num_images=4), (torch.zeros(6, 3, 8, 8), None)
    for step in (0, 1, 5):
        pictures.on_train_batch_start(trainer(boards, global_step=step), None, batch, step)
    boards[0].experiment.flush()
    (event,) = events(tmp_path).Images("training images")
    assert (event.step, event.height, event.width) == (0, 8 + 4, 4 * 10 + 2)


@pytest.mark.parametrize("state", [{"is_global_zero": False}, {"loggers": []}])
def test_other_devices_and_runs_without_a_board_draw_nothing(state, boards, module, tmp_path):
    Pictures().on_validation_end(trainer(boards, current_epoch=0, **state), module)
    assert not list(tmp_path.iterdir())


def test_drawing_every_no_epochs_is_refused():
    with refuses("every_n_epochs", "1", "0"):
        Pictures(every_n_epochs=0)
