from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from image_files import write_image
from says import every

from facerec.data.augmentation.affine import Rotation
from facerec.data.augmentation.erasing import Erasing
from facerec.data.augmentation.random_numbers import Transform, augment_batch
from facerec.data.loading import flip_at_random, normalise
from facerec.data.modules import FolderData
from facerec.data.readers.folders import read_identity_folders
from facerec.data.source import Benchmark, OnProblem, refuse


class Watcher(pl.LightningModule):
    """Learns nothing and writes down what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.trained: list[tuple[int, int, torch.Tensor, torch.Tensor]] = []
        self.evaluated: list[torch.Tensor] = []
        self.shown: list[torch.Tensor] = []

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        self.shown.append(batch[0])

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        self.trained.append((self.current_epoch, batch_idx, *batch))
        return self.weight.sum()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.evaluated.append(batch[0])

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 0.1)


class NumberedData(FolderData):
    """Labels that number the images, to know them again."""

    def open_train(self, on_problem: OnProblem = refuse):
        train = read_identity_folders(f"{self.root}/train")
        train.labels = np.arange(len(train))
        return train

    def open_benchmark(self, name: str, on_problem: OnProblem = refuse) -> Benchmark:
        pairs = np.arange(20) % 2
        return Benchmark(name, read_identity_folders(f"{self.root}/train"), pairs, pairs + 1, pairs == 0)


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:GPU available but not used")
@pytest.mark.filterwarnings("ignore:.*LeafSpec.* is deprecated:FutureWarning")  # Lightning's own call of torch
def test_lightning_draws_order_flips_and_changes_anew_for_each_epoch_and_batch(tmp_path):
    noise = np.random.default_rng(0)
    for number in range(12):
        who = "ann" if number < 6 else "bob"
        write_image(tmp_path / f"train/{who}/{number:02}.png", noise.integers(0, 256, (8, 8, 3)).astype(np.uint8))
    changes: dict[str, Transform] = {"rotation": Rotation(), "erasing": Erasing()}
    sizes: dict[str, Any] = {"image_size": (8, 8), "global_batch_size": 4, "num_workers": 0}
    module = NumberedData(root=str(tmp_path), benchmarks=["self"], train_augmentation=changes, **sizes)
    watcher = Watcher()
    trainer_options: dict[str, Any] = {"accelerator": "cpu", "devices": 1, "log_every_n_steps": 1, "logger": False}
    quiet: dict[str, Any] = dict.fromkeys(
        ("enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    pl.Trainer(max_epochs=2, **trainer_options, **quiet).fit(watcher, datamodule=module)

    originals = normalise(torch.stack([torch.from_numpy(module.open_train().load(i)) for i in range(12)]))
    assert [(epoch, batch) for epoch, batch, *_ in watcher.trained] == [(e, b) for e in range(2) for b in range(3)]
    for epoch, batch, images, numbers in watcher.trained:
        seed = (module.seed, epoch, batch, 0)
        torch.testing.assert_close(images, augment_batch(flip_at_random(originals[numbers], seed), changes, seed))
    # What the callbacks see, and make their pictures of.
    assert every(images is row[2] for images, row in zip(watcher.shown, watcher.trained, strict=True))
    first, second = (torch.cat([row[3] for row in watcher.trained if row[0] == epoch]).tolist() for epoch in range(2))
    assert first != second and sorted(first) == sorted(second) == list(range(12))
    assert every(torch.equal(images, originals) for images in watcher.evaluated)
