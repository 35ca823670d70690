from typing import Any

import pytest
import torch
from folder_data import folder_data, ready, trainer
from image_files import RED, plain, write_image, write_noise
from says import refuses

from facerec.data.datamodule import FaceDataModule
from facerec.errors import InputError


class TestCache:
    """With the decoded images in a cache, or without."""

    @staticmethod
    def noise(root, **changes: Any) -> FaceDataModule:
        """32 images to train on, 13 to verify, all different and larger than they are used."""
        arguments = {"benchmarks": ["odd"], "image_size": (12, 10), "global_batch_size": 10, "seed": 3}
        return folder_data(root, **{**arguments, **changes})

    @pytest.fixture
    def root(self, tmp_path):
        write_noise(tmp_path / "faces")
        return tmp_path / "faces"

    @pytest.mark.parametrize("devices", [1, 2])
    def test_the_batches_of_every_epoch_are_the_same(self, root, tmp_path, devices):
        modules = [ready(self.noise(root, cache=cache)) for cache in (None, str(tmp_path / "cache"))]
        for rank, epoch in [(rank, epoch) for rank in range(devices) for epoch in range(2)]:
            for module in modules:
                module.trainer = trainer(devices=devices, rank=rank, epoch=epoch)
            one, other = ([*module.train_dataloader(), *module.val_dataloader()[0]] for module in modules)
            for (images, targets), (same_images, same_targets) in zip(one, other, strict=True):
                assert torch.equal(images, same_images) and torch.equal(targets, same_targets)

    def test_nothing_is_decoded_after_the_first_epoch_nor_by_the_next_run(self, root, tmp_path, monkeypatch):
        first = ready(self.noise(root, cache=str(tmp_path)))
        assert len(list(first.train_dataloader())) == 3
        first.teardown("fit")
        monkeypatch.setattr("facerec.data.readers.folders.decode_rgb", lambda *_: pytest.fail("an image was decoded"))
        for module in (first, ready(self.noise(root, cache=str(tmp_path)))):
            assert len(list(module.train_dataloader())) == 3 and len(list(module.val_dataloader()[0])) == 1

    def test_an_image_that_was_replaced_is_decoded_anew(self, root, tmp_path):
        ready(self.noise(root, cache=str(tmp_path)))
        image = next((root / "odd").rglob("*.png"))
        write_image(image, plain(RED, (32, 32)))
        ((images, _),) = ready(self.noise(root, cache=str(tmp_path))).val_dataloader()[0]
        assert (images == torch.tensor(RED)).all(3).any()

    def test_maps_of_the_training_images_are_the_same(self, root, tmp_path):
        one, other = (
            ready(self.noise(root, cache=cache)).position_statistics(tmp_path / kept)
            for kept, cache in (("a", None), ("b", str(tmp_path)))
        )
        assert torch.equal(one, other)

    def test_a_damaged_image_is_named_in_the_first_epoch(self, root, tmp_path):
        image = root / "train/3/7.png"
        image.write_bytes(image.read_bytes()[:-20])
        module = ready(self.noise(root, cache=str(tmp_path / "cache")))
        with refuses(str(image), "cut off", "fetch", error=InputError):
            list(module.train_dataloader())
            module.teardown("fit")

    def test_that_of_a_benchmark_is_named_before_the_first_step(self, root, tmp_path):
        image = next((root / "odd").rglob("*.png"))
        image.write_bytes(image.read_bytes()[:-20])
        with refuses(str(image), "cut off", "fetch", error=InputError):
            ready(self.noise(root, cache=str(tmp_path / "cache")))
        assert not list((tmp_path / "cache").glob("*partial*"))
