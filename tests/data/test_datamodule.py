"""The loaders are run with a stand-in for the trainer; `test_datamodule_in_lightning.py` has the real one."""

from typing import Any

import pytest
import torch
from folder_data import folder_data, ready, trainer
from image_files import BLUE, GREEN, RED, encode, plain, write_benchmark, write_image
from says import every, refuses

from facerec.data.datamodule import FaceDataModule


def epoch_order(module: FaceDataModule, epoch: int) -> list[int]:
    sampler: Any = module.train_dataloader().sampler
    sampler.set_epoch(epoch)
    return list(sampler)


class TestBatches:
    def test_training_batches_are_bytes_on_the_host_and_floats_on_the_device(self, faces):
        module = ready(folder_data(faces, image_size=(8, 10)))
        batches = list(module.train_dataloader())
        assert len(batches) == 2
        for images, labels in batches:
            assert images.shape == (6, 8, 10, 3) and images.dtype == torch.uint8
            assert labels.shape == (6,) and labels.dtype == torch.int64
            on_device, same_labels = module.on_after_batch_transfer((images, labels), 0)
            assert on_device.shape == (6, 3, 8, 10) and on_device.dtype == torch.float32
            assert on_device.is_contiguous(memory_format=torch.channels_last)
            assert torch.equal(same_labels, labels)

    def test_an_image_keeps_its_label(self, faces):
        colours = torch.tensor([RED, GREEN, BLUE])
        for images, labels in ready(folder_data(faces)).train_dataloader():
            assert torch.equal(images[:, 0, 0], colours[labels].to(torch.uint8))

    @pytest.mark.parametrize("suffix", [".png", ".jpg"])
    def test_a_pure_red_file_is_red_to_training_and_to_evaluation(self, tmp_path, suffix):
        for number in range(2):
            write_image(tmp_path / f"train/person {number}/0{suffix}", plain(RED))
            (tmp_path / "pairs/pairs").mkdir(parents=True, exist_ok=True)
            (tmp_path / f"pairs/pairs/{number}{suffix}").write_bytes(encode(plain(RED), suffix))
        (tmp_path / "pairs/pairs_pair.txt").write_text(5 * f"0{suffix} 1{suffix} 1\n0{suffix} 1{suffix} -1\n")
        module = ready(folder_data(tmp_path, global_batch_size=2))
        for loader, training in ((module.train_dataloader(), True), (module.val_dataloader()[0], False)):
            module.trainer = trainer(training=training)
            images, _ = module.on_after_batch_transfer(next(iter(loader)), 0)
            red = torch.tensor([1.0, -1.0, -1.0])[None, :, None, None].expand(2, 3, 8, 8)
            torch.testing.assert_close(images, red, atol=0 if suffix == ".png" else 0.02, rtol=0)

    def test_evaluation_yields_each_distinct_image_in_order_with_its_index(self, faces):
        module = ready(folder_data(faces))
        (images, indices), *more = list(module.val_dataloader()[0])
        assert not more and indices.tolist() == [0, 1, 2]
        assert images[:, 0, 0].tolist() == [list(BLUE), list(RED), list(RED)]  # b.png, r1.png, r2.png

    def test_benchmarks_come_in_the_order_of_the_configuration(self, faces):
        for name in ("cfp", "age"):
            write_benchmark(faces, name, 10)
        (faces / "cfp/cfp_pair.txt").write_text(5 * "r1.png r2.png 1\nr1.png r2.png -1\n")
        for names in (["pairs", "cfp", "age"], ["cfp", "age", "pairs"]):
            module = ready(folder_data(faces, benchmarks=names))
            assert [benchmark.name for benchmark in module.opened_benchmarks] == names
            sizes = [len(indices) for loader in module.val_dataloader() for _, indices in loader]
            assert sizes == [2 if name == "cfp" else 3 for name in names]

    def test_a_batch_that_would_be_short_is_left_out_of_training(self, faces):
        assert [len(labels) for _, labels in ready(folder_data(faces, global_batch_size=5)).train_dataloader()] == [
            5,
            5,
        ]

    @pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker processes")  # where there is one core
    def test_workers_give_the_same_batches(self, faces):
        alone, helped = (list(ready(folder_data(faces, num_workers=n)).train_dataloader()) for n in (0, 2))
        for (images, labels), (same_images, same_labels) in zip(alone, helped, strict=True):
            assert torch.equal(images, same_images) and torch.equal(labels, same_labels)


class TestOrder:
    def test_it_repeats_for_a_seed_and_an_epoch(self, faces):
        assert epoch_order(ready(folder_data(faces)), 3) == epoch_order(ready(folder_data(faces)), 3)

    def test_it_differs_between_epochs_and_between_seeds(self, faces):
        module, other = ready(folder_data(faces)), ready(folder_data(faces, seed=7))
        orders = {tuple(epoch_order(module, 0)), tuple(epoch_order(module, 1)), tuple(epoch_order(other, 0))}
        assert len(orders) == 3
        assert every(sorted(order) == list(range(12)) for order in orders)

    def test_two_ranks_share_the_training_images_without_overlap(self, faces):
        module, seen = ready(folder_data(faces)), []
        for rank in range(2):
            module.trainer = trainer(devices=2, rank=rank)
            assert module.train_dataloader().batch_size == 3
            seen.append(epoch_order(module, 0))
        assert sorted(seen[0] + seen[1]) == list(range(12))

    def test_two_ranks_evaluate_every_image(self, faces):
        module, seen = ready(folder_data(faces)), []
        for rank in range(2):
            module.trainer = trainer(devices=2, rank=rank)
            seen += [index for _, indices in module.val_dataloader()[0] for index in indices.tolist()]
        assert set(seen) == {0, 1, 2}


class TestSampling:
    def test_identities_are_drawn_alike_whatever_they_have(self, faces):
        for number in range(4, 40):
            write_image(faces / f"train/ann/{number}.png", plain(RED))
        module = ready(folder_data(faces, sampling="identities", global_batch_size=48))
        drawn = torch.cat([labels for epoch in range(20) for labels in labels_of(module, epoch)])
        assert len(drawn) == 20 * 48
        assert drawn.bincount().min() > 240  # of 320; by images ann would have 800

    def test_another_sampling_is_refused(self, tmp_path):
        with refuses("sampling", "images", "identities", "'people'"):
            folder_data(tmp_path, sampling="people")


def labels_of(module: FaceDataModule, epoch: int) -> list[torch.Tensor]:
    module.trainer = trainer(epoch=epoch)
    return [labels for _, labels in module.train_dataloader()]


def test_evaluation_alone_needs_no_training_set(tmp_path):
    write_benchmark(tmp_path, "pairs", 10)
    module = folder_data(tmp_path)
    module.setup("validate")
    assert module.train_source is None and len(module.opened_benchmarks) == 1


def test_everything_is_opened_once(faces, monkeypatch):
    module = ready(folder_data(faces))
    monkeypatch.setattr(module, "open_train", lambda: pytest.fail("opened again"))
    monkeypatch.setattr(module, "open_benchmark", lambda name: pytest.fail("opened again"))
    module.setup("fit")
    module.setup("validate")


def test_workers_are_a_core_each_and_eight_at_most(tmp_path, monkeypatch):
    for cores, workers in ((3, 3), (64, 8)):
        monkeypatch.setattr("facerec.data.image_datamodule.available_cores", lambda cores=cores: cores)
        assert folder_data(tmp_path, num_workers=None).num_workers == workers
