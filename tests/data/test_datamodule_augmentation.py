from types import SimpleNamespace
from typing import Any

import torch
from folder_data import folder_data, trainer

from facerec.data.augmentation.affine import Rotation
from facerec.data.augmentation.erasing import Erasing
from facerec.data.augmentation.jitter import Jitter
from facerec.data.modules import FolderData


class TestFlips:
    # The left half is black, the right half white, so a mirrored image shows.
    batch = (torch.cat([torch.zeros(64, 4, 2, 3), torch.full((64, 4, 2, 3), 255)], dim=2).byte(), torch.arange(64))

    def mirrored(self, module: FolderData, **where: Any) -> list[bool]:
        module.trainer = trainer(**where)
        return (module.on_after_batch_transfer(self.batch, 0)[0][:, 0, 0, 0] > 0).tolist()

    def test_they_follow_from_seed_epoch_batch_and_rank(self, tmp_path):
        module, place = folder_data(tmp_path), {"epoch": 2, "batch": 5, "rank": 1}
        first = self.mirrored(module, **place)
        torch.manual_seed(123)
        assert self.mirrored(folder_data(tmp_path), **place) == first
        others = [self.mirrored(module, **{**place, key: 9}) for key in place]
        others.append(self.mirrored(folder_data(tmp_path, seed=9), **place))
        assert len({tuple(pattern) for pattern in [first, *others]}) == 5

    def test_some_images_are_mirrored_and_some_are_not(self, tmp_path):
        assert 16 < sum(self.mirrored(folder_data(tmp_path))) < 48

    def test_none_happens_outside_training(self, tmp_path):
        assert not any(self.mirrored(folder_data(tmp_path), training=False))

    def test_none_happens_when_switched_off(self, tmp_path):
        module = folder_data(tmp_path, horizontal_flip=False)
        assert not any(any(self.mirrored(module, batch=batch)) for batch in range(10))


class TestAugmentation:
    """Of training images by seed, epoch, batch and rank; of test images by their number alone."""

    batch = (torch.arange(64 * 48).remainder(251).reshape(64, 4, 4, 3).byte(), torch.arange(64))

    def changed(self, module: FolderData, **where: Any) -> torch.Tensor:
        module.trainer = trainer(**where)
        module.opened_benchmarks = [SimpleNamespace(name="pairs"), SimpleNamespace(name="other")]  # pyright: ignore
        return module.on_after_batch_transfer(self.batch, 0)[0]

    def test_training_images_follow_from_seed_epoch_batch_and_rank(self, tmp_path):
        augmented = {"train_augmentation": {"jitter": Jitter()}}
        module, place = folder_data(tmp_path, **augmented), {"epoch": 2, "batch": 5, "rank": 1}
        first = self.changed(module, **place)
        torch.manual_seed(123)
        assert torch.equal(self.changed(folder_data(tmp_path, **augmented), **place), first)
        others = [self.changed(module, **{**place, key: 9}) for key in place]
        others.append(self.changed(folder_data(tmp_path, seed=9, **augmented), **place))
        assert not any(torch.equal(other, first) for other in others)

    def test_mirroring_stays_what_it_is_without(self, tmp_path):
        mirrored = self.changed(folder_data(tmp_path))
        erased = self.changed(folder_data(tmp_path, train_augmentation={"erasing": Erasing(0.5)}))
        same = (mirrored == erased).all(3).all(2).all(1)
        assert 10 < same.sum() < 54 and torch.equal(mirrored[same], erased[same])

    def test_training_and_test_images_are_changed_apart(self, tmp_path):
        plain_images = self.changed(folder_data(tmp_path, horizontal_flip=False))
        for key, training in (("train_augmentation", True), ("test_augmentation", False)):
            module = folder_data(tmp_path, horizontal_flip=False, **{key: {"rotation": Rotation()}})
            assert not torch.equal(self.changed(module, training=training), plain_images)
            assert torch.equal(self.changed(module, training=not training), plain_images)

    def test_a_test_image_is_the_same_in_every_epoch_run_and_batch_and_another_in_another_benchmark(self, tmp_path):
        augmented = {"test_augmentation": {"rotation": Rotation(), "jitter": Jitter()}}
        whole = self.changed(folder_data(tmp_path, **augmented), training=False)
        again = folder_data(tmp_path, seed=7, **augmented)
        assert torch.equal(self.changed(again, training=False, epoch=3, rank=1), whole)
        rows = torch.tensor([40, 3])
        part = again.on_after_batch_transfer((self.batch[0][rows], rows), 0)[0]
        torch.testing.assert_close(part, whole[rows])
        assert not torch.equal(again.on_after_batch_transfer(self.batch, 1)[0], whole)


def test_what_a_network_draws_follows_from_the_step_too(tmp_path):
    module, place = folder_data(tmp_path), {"epoch": 2, "batch": 5, "rank": 1}

    def drawn(**where: Any) -> float:
        module.trainer = trainer(**where)
        module.on_before_batch_transfer(None, 0)
        return float(torch.rand(()))

    first = drawn(**place)
    assert len({first, *(drawn(**{**place, key: 9}) for key in place)}) == 4
    assert drawn(**place) == first


def test_verification_leaves_the_random_numbers_alone(tmp_path):
    module = folder_data(tmp_path)
    module.trainer = trainer(training=False)
    before = torch.get_rng_state()
    module.on_before_batch_transfer(None, 0)
    assert torch.equal(torch.get_rng_state(), before)
