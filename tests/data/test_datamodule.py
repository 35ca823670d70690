"""The loaders are run with a stand-in for the trainer; `test_datamodule_in_lightning.py` has the real one."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from image_files import (
    BLUE,
    GREEN,
    GREY,
    RED,
    encode,
    plain,
    write_benchmark,
    write_faces,
    write_image,
    write_noise,
    write_text,
)

from facerec.data.augmentation.affine import Rotation
from facerec.data.augmentation.erasing import Erasing
from facerec.data.augmentation.jitter import Jitter
from facerec.data.datamodule import FaceDataModule
from facerec.data.folders import FolderImages
from facerec.data.modules import FolderData
from facerec.errors import InputError


def trainer(devices: int = 1, rank: int = 0, epoch: int = 0, batch: int = 0, training: bool = True) -> Any:
    """What the data module asks of Lightning's trainer; ``batch_idx`` is, as there, the number of the batch before."""
    progress = SimpleNamespace(current=SimpleNamespace(processed=epoch))
    loop = SimpleNamespace(epoch_loop=SimpleNamespace(batch_idx=batch - 1), epoch_progress=progress)
    return SimpleNamespace(world_size=devices, global_rank=rank, current_epoch=epoch, training=training, fit_loop=loop)


def folder_data(root, **changes: Any) -> FolderData:
    """Three identities of four images and two pairs, small enough for batches of six."""
    arguments = {"benchmarks": ["pairs"], "image_size": (8, 8), "global_batch_size": 6, "num_workers": 0}
    module = FolderData(root=str(root), **{**arguments, **changes})
    module.trainer = trainer()
    return module


@pytest.fixture
def faces(tmp_path):
    write_faces(tmp_path)
    return tmp_path


def ready(module: FaceDataModule) -> FaceDataModule:
    module.setup("fit")
    return module


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
            write_image(tmp_path / f"train/ann/{number}{suffix}", plain(RED))
            (tmp_path / "pairs/pairs").mkdir(parents=True, exist_ok=True)
            (tmp_path / f"pairs/pairs/{number}{suffix}").write_bytes(encode(plain(RED), suffix))
        (tmp_path / "pairs/pairs_pair.txt").write_text(f"0{suffix} 1{suffix} 1\n")
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
            write_benchmark(faces, name)
        (faces / "cfp/cfp_pair.txt").write_text("r1.png r2.png 1\n")
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
        assert all(sorted(order) == list(range(12)) for order in orders)

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

    def test_nothing_is_decoded_after_setup_nor_by_the_next_run(self, root, tmp_path, monkeypatch):
        first = ready(self.noise(root, cache=str(tmp_path)))
        monkeypatch.setattr("facerec.data.folders.decode_rgb", lambda *_: pytest.fail("an image was decoded"))
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

    def test_a_damaged_image_is_named_before_the_first_step(self, root, tmp_path):
        image = root / "train/3/7.png"
        image.write_bytes(image.read_bytes()[:-20])
        with pytest.raises(InputError, match=rf"^image {image} is cut off after \d+ bytes: fetch it again"):
            ready(self.noise(root, cache=str(tmp_path / "cache")))
        assert not list((tmp_path / "cache").glob("*partial*"))


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


class TestSampling:
    def test_identities_are_drawn_alike_whatever_they_have(self, faces):
        for number in range(4, 40):
            write_image(faces / f"train/ann/{number}.png", plain(RED))
        module = ready(folder_data(faces, sampling="identities", global_batch_size=48))
        drawn = torch.cat([labels for epoch in range(20) for labels in labels_of(module, epoch)])
        assert len(drawn) == 20 * 48
        assert drawn.bincount().min() > 240  # of 320; by images ann would have 800

    def test_another_sampling_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match="sampling must be one of images, identities, got 'people'"):
            folder_data(tmp_path, sampling="people")


def labels_of(module: FaceDataModule, epoch: int) -> list[torch.Tensor]:
    module.trainer = trainer(epoch=epoch)
    return [labels for _, labels in module.train_dataloader()]


class TestHeldOut:
    @pytest.fixture
    def many(self, faces):
        """25 identities of two images more."""
        for number in range(50):
            write_image(faces / f"train/{number // 2:03}/{number}.png", plain(GREY))
        return faces

    def test_held_out_identities_are_verified_after_the_benchmarks_and_not_trained_on(self, many):
        module = ready(folder_data(many, held_out_identities=20))
        assert [benchmark.name for benchmark in module.opened_benchmarks] == ["pairs", "held_out"]
        train, held_out = module.train_source, module.opened_benchmarks[1]
        assert train is not None and train.num_identities == 8 and len(held_out) == 40
        people = [
            {name.partition("/")[0] for name in map(source.name, range(len(source)))}
            for source in (train, held_out.images)
        ]
        assert not people[0] & people[1] and len(people[1]) == 20
        sizes = [sum(len(indices) for _, indices in loader) for loader in module.val_dataloader()]
        assert sizes == [3, len(held_out.images)]

    def test_seeds_of_a_comparison_hold_out_the_same(self, many):
        one, other, another = (
            ready(folder_data(many, held_out_identities=20, **seeds))
            for seeds in ({"seed": 1}, {"seed": 2}, {"held_out_seed": 1})
        )
        assert one.train_source and other.train_source and another.train_source
        assert one.train_source.fingerprint() == other.train_source.fingerprint()
        assert one.train_source.fingerprint() != another.train_source.fingerprint()

    def test_no_benchmark_is_needed_beside_them_and_no_training_set_to_evaluate(self, many):
        module = ready(folder_data(many, held_out_identities=0.75, benchmarks=[]))
        assert [benchmark.name for benchmark in module.opened_benchmarks] == ["held_out"]
        module = folder_data(many, held_out_identities=20)
        module.setup("validate")
        assert [benchmark.name for benchmark in module.opened_benchmarks] == ["pairs"]
        module.setup("fit")
        assert len(module.val_dataloader()) == 2

    def test_a_benchmark_of_the_same_name_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match="benchmarks names 'held_out', which held_out_identities adds: give it"):
            folder_data(tmp_path, held_out_identities=20, benchmarks=["held_out"])

    @pytest.mark.parametrize("number", [-1, "many", float("nan"), float("inf"), 20.9, None, True])
    def test_a_number_that_is_none_is_refused(self, tmp_path, number):
        sentence = f"^held_out_identities must be a whole number of at least 0, or a share below 1, got {number!r}$"
        with pytest.raises(ValueError, match=sentence):
            folder_data(tmp_path, held_out_identities=number)

    @pytest.mark.parametrize("key", ["held_out_seed", "seed"])
    @pytest.mark.parametrize("seed", [-1, "abc", 1.5, None, 2**32])
    def test_a_seed_that_is_none_is_refused(self, tmp_path, key, seed):
        with pytest.raises(ValueError, match=rf"^{key} must be a whole number from 0 to 4294967295, got {seed!r}$"):
            folder_data(tmp_path, **{key: seed})

    def test_they_alone_are_verified_without_a_training_set_decoded_or_a_batch_filled(self, many, tmp_path):
        settings = {"held_out_identities": 20, "benchmarks": [], "cache": str(tmp_path / "cache")}
        module = folder_data(many, global_batch_size=2, **settings)
        module.setup("validate")
        assert [benchmark.name for benchmark in module.opened_benchmarks] == ["held_out"]
        assert len(list((tmp_path / "cache").glob("images-*"))) == 1
        module.setup("fit")
        assert len(module.opened_benchmarks) == len(module.val_dataloader()) == 1
        assert len(list((tmp_path / "cache").glob("images-*"))) == 2

    def test_the_files_are_looked_at_once_for_all_who_share_them(self, many, tmp_path, monkeypatch):
        looked, state = [], FolderImages.state
        monkeypatch.setattr(FolderImages, "state", lambda images: [looked.append(images.root), state(images)][1])
        module = ready(folder_data(many, held_out_identities=20, cache=str(tmp_path / "cache")))
        module.position_statistics(tmp_path / "cache")
        assert len(looked) == len(set(looked)) == 2  # the benchmark's and the training images
        before = set((tmp_path / "cache").glob("images-*"))
        write_image(many / "train/000/0.png", plain(RED))
        ready(folder_data(many, held_out_identities=20, cache=str(tmp_path / "cache")))
        assert len(set((tmp_path / "cache").glob("images-*")) - before) == 2

    def test_a_checkpoint_goes_on_with_the_same_images_alone(self, many):
        first, same, other = (
            ready(folder_data(many, held_out_identities=20, held_out_seed=seed)) for seed in (0, 0, 5)
        )
        same.load_state_dict(first.state_dict())
        with pytest.raises(InputError, match=r"^the checkpoint was trained on other images .*: give the run the check"):
            other.load_state_dict(first.state_dict())


class TestRefusals:
    def test_augmentation_that_is_only_a_name(self, tmp_path):
        with pytest.raises(ValueError, match=r"test_augmentation holds transforms by name, got 'rotation': write aug"):
            folder_data(tmp_path, test_augmentation="rotation")

    def test_no_augmentation_at_all(self, tmp_path):
        sentence = (
            "train_augmentation holds transforms by name, got None: write augmentation@data.train_augmentation=none"
        )
        with pytest.raises(ValueError, match=f"^{sentence}$"):
            folder_data(tmp_path, train_augmentation=None)

    @pytest.mark.parametrize("value", [3, {"degrees": 15}, None, print])
    def test_augmentation_that_is_no_transform(self, tmp_path, value):
        with pytest.raises(
            ValueError, match=r"^train_augmentation\.foo is no transform, got .*: give it a _target_ or"
        ):
            folder_data(tmp_path, train_augmentation={"foo": value})

    def test_a_training_image_that_is_listed_and_not_there_before_the_first_step(self, faces):
        write_text(faces / "list.txt", "".join(f"train/ann/{number}.png a\n" for number in range(7)))
        with pytest.raises(InputError, match=r"^image .*ann.4\.png in line 5 of .*list\.txt is not there, nor are 2"):
            folder_data(faces, train_list="list.txt").setup("fit")

    def test_a_batch_that_does_not_divide_over_the_devices(self, faces):
        module = ready(folder_data(faces))
        module.trainer = trainer(devices=4)
        with pytest.raises(InputError, match="global_batch_size=6 does not divide over 4 devices: use a multiple of 4"):
            module.train_dataloader()

    def test_a_missing_benchmark_before_any_image_is_read(self, faces, monkeypatch):
        monkeypatch.setattr("facerec.data.folders.decode_rgb", lambda *_: pytest.fail("an image was decoded"))
        module = folder_data(faces, benchmarks=["pairs", "lfw"])
        with pytest.raises(
            InputError, match=r"benchmark lfw is missing, neither .*lfw_pair\.txt nor .*lfw\.bin exists: add"
        ):
            module.setup("fit")

    def test_no_benchmark(self, faces):
        with pytest.raises(InputError, match=r"data\.benchmarks is empty: name a set"):
            folder_data(faces, benchmarks=[]).setup("fit")

    def test_one_name_in_place_of_a_list_of_benchmarks(self, tmp_path):
        with pytest.raises(ValueError, match=r"benchmarks must be a list of names, got 'lfw': write \[lfw\]"):
            folder_data(tmp_path, benchmarks="lfw")

    def test_fewer_images_than_a_batch(self, faces):
        with pytest.raises(
            InputError, match=r"training set has 12 images, fewer than one step of data\.global_batch_size=13: lower it"
        ):
            folder_data(faces, global_batch_size=13).setup("fit")

    def test_a_listed_image_that_is_not_there_before_the_first_step(self, faces):
        (image, *_) = (faces / "pairs" / "pairs").rglob("*.png")
        image.unlink()
        with pytest.raises(InputError, match=rf"image {image} is listed and not there: restore it or take it off"):
            folder_data(faces).setup("fit")

    def test_a_batch_of_one(self, tmp_path):
        with pytest.raises(ValueError, match="global_batch_size must be a whole number of at least 2, got 1"):
            folder_data(tmp_path, global_batch_size=1)

    @pytest.mark.parametrize("workers", [-1, "two", 0.5])
    def test_a_number_of_loading_processes_that_is_none(self, tmp_path, workers):
        with pytest.raises(ValueError, match="num_workers must be null or a whole number of at least 0, got"):
            folder_data(tmp_path, num_workers=workers)


def test_evaluation_alone_needs_no_training_set(tmp_path):
    write_benchmark(tmp_path, "pairs")
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
        monkeypatch.setattr("os.sched_getaffinity", lambda _, cores=cores: set(range(cores)), raising=False)
        assert folder_data(tmp_path, num_workers=None).num_workers == workers
