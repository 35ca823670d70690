"""Batches of images and masks against the files and drawings that they are of."""

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from folder_data import trainer
from fundus_files import small_image, small_mask, write_dofe, write_domain, write_domains, write_mask
from says import refuses, says
from shared_data import FUNDUS, needs_fundus

from facerec.data.augmentation.affine import Translation
from facerec.data.augmentation.by_torchvision import Torchvision
from facerec.data.augmentation.jitter import Jitter
from facerec.data.fundus.drawn_eyes.drawn_source import DrawnEyes
from facerec.data.fundus.segmentation_modules import DofeData, DrawnEyesData, FundusData
from facerec.errors import InputError

SMALL = {"image_size": (16, 16), "global_batch_size": 4, "num_workers": 0}


@pytest.fixture
def root(tmp_path):
    write_domains(tmp_path)
    return tmp_path


def fundus(root, stage: str = "fit", **changes: Any) -> FundusData:
    module = FundusData(**{"root": str(root), "unseen": "west", **SMALL, **changes})
    module.trainer = trainer()
    module.setup(stage)
    return module


def drawn(**changes: Any) -> DrawnEyesData:
    module = DrawnEyesData(**{"unseen": "drawn_a", "num_train": 4, "num_test": 2, "side": 64, **SMALL, **changes})
    module.trainer = trainer()
    module.setup("fit")
    return module


def all_batches(module, epoch: int = 0) -> list[tuple[torch.Tensor, ...]]:
    module.trainer = trainer(epoch=epoch)
    return list(module.train_dataloader())


def resized(mask: np.ndarray, size: int) -> np.ndarray:
    """Each pixel of the square mask from the one that its centre is in."""
    at = ((np.arange(size) + 0.5) * len(mask) / size).astype(int)
    return mask[np.ix_(at, at)]


class TestBatches:
    def test_training_images_come_with_their_masks_each_once_an_epoch(self):
        module = drawn()
        assert module.train_source is not None
        eyes = DrawnEyes(4, 2, side=64)
        expected = {}
        for index in range(len(module.train_source)):
            number = next(n for n in range(len(eyes)) if eyes.name(n) == module.train_source.name(index))
            image = cv2.resize(eyes.load(number), (16, 16), interpolation=cv2.INTER_AREA)
            expected[image.tobytes()] = resized(eyes.mask(number), 16)
        seen = []
        for images, masks in all_batches(module):
            assert images.shape == (4, 16, 16, 3) and masks.shape == (4, 16, 16)
            assert images.dtype == masks.dtype == torch.uint8
            for image, mask in zip(images.numpy(), masks.numpy(), strict=True):
                np.testing.assert_array_equal(mask, expected[image.tobytes()])
                seen.append(image.tobytes())
        assert len(seen) == len(set(seen)) == 8  # of nine, three domains of four without one held out each

    def test_the_order_follows_from_seed_and_epoch(self):
        module = drawn()
        first = torch.cat([images for images, _ in all_batches(module, 3)])
        assert torch.equal(torch.cat([images for images, _ in all_batches(drawn(), 3)]), first)
        assert not torch.equal(torch.cat([images for images, _ in all_batches(module, 4)]), first)
        assert not torch.equal(torch.cat([images for images, _ in all_batches(drawn(seed=2), 3)]), first)

    def test_domains_are_drawn_equally_often(self, tmp_path):
        for domain, number in {"large": 40, "small": 5, "unseen": 5}.items():
            write_domain(tmp_path, domain, number)
        for domain, colour in {"large": 10, "small": 200}.items():
            for index, file in enumerate((tmp_path / domain / "image").iterdir()):
                file.write_bytes(cv2.imencode(".png", np.full((20, 20, 3), colour + index, np.uint8))[1].tobytes())
        module = fundus(tmp_path, unseen="unseen", sampling="domains", held_out=0)
        seen = torch.cat([images[:, 0, 0, 0] for epoch in range(12) for images, _ in all_batches(module, epoch)])
        assert 0.4 < (seen >= 200).float().mean() < 0.6 and len(seen) == 12 * 36
        module = fundus(tmp_path, unseen="unseen", sampling="images", held_out=0)
        assert (torch.cat([images[:, 0, 0, 0] for images, _ in all_batches(module)]) >= 200).sum() == 4

    def test_what_is_evaluated_on_has_its_masks_in_native_size(self, root):
        module = fundus(root)
        assert [(each.name, each.num_images) for each in module.sets] == [("held_out", 2), ("west", 2)]
        module.setup("fit")
        assert module.train_source is not None and len(module.train_source) == 14

    def test_workers_decode_the_same(self):
        alone, by_two = drawn(), drawn(num_workers=2)
        for one, other in zip(alone.sets, by_two.sets, strict=True):
            np.testing.assert_array_equal(one.images.pixels, other.images.pixels)
            np.testing.assert_array_equal(one.mask(0), other.mask(0))

    def test_nothing_held_out(self, root):
        module = fundus(root, held_out=0)
        assert [each.name for each in module.sets] == ["west"]
        assert module.train_source is not None and len(module.train_source) == 16


class TestAugmentation:
    def test_a_training_mask_moves_with_its_image_by_seed_epoch_and_batch(self):
        module = drawn(train_augmentation={"translation": Translation(0.4), "jitter": Jitter(0, 0, 0, 0)})
        levels = torch.tensor([0, 128, 255], dtype=torch.uint8)
        masks = next(iter(module.train_dataloader()))[1]
        batch = (levels[masks.long()][..., None].expand(-1, -1, -1, 3), masks)
        found = []
        for place in ({}, {}, {"epoch": 1}, {"batch": 1}, {"rank": 1}):
            module.trainer = trainer(**place)
            images, moved = module.on_after_batch_transfer(batch, 0)
            assert ((images[:, 0] + 1).round() == moved).float().mean() > 0.85
            found.append(moved)
        assert torch.equal(found[0], found[1])
        assert not any(torch.equal(found[0], other) for other in (*found[2:], masks))

    def test_what_is_evaluated_on_stays_as_it_is(self):
        module = drawn(train_augmentation={"translation": Translation(0.4)})
        module.trainer = trainer(training=False)
        images, indices = next(iter(module.val_dataloader()[0]))
        assert torch.equal(module.on_after_batch_transfer((images, indices), 0)[0], drawn_plain(images))

    def test_a_test_image_and_its_native_mask_are_moved_alike(self, root):
        for path in (root / "west" / "image").iterdir():  # a picture of its mask
            mask = cv2.imread(str(root / "west" / "mask" / path.name), cv2.IMREAD_GRAYSCALE)
            path.write_bytes(cv2.imencode(".png", 127 * mask)[1].tobytes())
        module = fundus(root, image_size=(20, 20), test_augmentation={"translation": Translation(0.3)})
        module.trainer = trainer(training=False)
        west = module.sets[1]
        images, indices = next(iter(module.val_dataloader()[1]))
        changed = module.on_after_batch_transfer((images, indices), 1)[0]
        for index in range(2):
            seen = (changed[index, 0] + 1).round().numpy()
            assert (west.mask(index) == seen).mean() > 0.85 and (west.mask(index) != west.source.mask(index)).any()


def drawn_plain(images: torch.Tensor) -> torch.Tensor:
    return (images.permute(0, 3, 1, 2).float() - 127.5) / 127.5


class TestState:
    def test_a_checkpoint_of_other_images_is_refused(self, root):
        state = fundus(root).state_dict()
        fundus(root, sampling="domains").load_state_dict(state)
        for change in ({"unseen": "east"}, {"held_out": 0.3}, {"held_out_seed": 1}):
            with refuses("other images", "data.unseen", "data.held_out_seed", error=InputError):
                fundus(root, **change).load_state_dict(state)

    def test_batches_are_counted_as_they_are_loaded(self, root):
        module = fundus(root)
        assert module.batches_per_epoch(1) == len(all_batches(module)) == 3

    def test_statistics_are_those_of_the_training_images(self, root, tmp_path):
        module = fundus(root)
        assert module._train is not None
        pixels = (torch.from_numpy(module._train.pixels).double() - 127.5) / 127.5
        found = module.position_statistics(tmp_path / "cache")
        torch.testing.assert_close(found[0], pixels.mean(0).permute(2, 0, 1).float())
        torch.testing.assert_close(found[1], pixels.std(0, correction=0).permute(2, 0, 1).float())


class TestWhatIsSaid:
    def test_images_without_a_cup_are_allowed_and_counted_once(self, root, capsys):
        for name in ("01", "02"):
            write_mask(root / "east" / "mask" / f"{name}.png", np.minimum(small_mask(), 1))
        module = fundus(root)
        module.setup("validate")
        (line,) = capsys.readouterr().err.splitlines()
        assert says(line, "2 of 18", "no cup")

    def test_a_domain_that_is_only_for_tests(self, root, capsys):
        rows = [("east", "test"), ("north", "train"), ("west", "test")]
        lines = [f"{domain},{number:02},{split}\n" for domain, split in rows for number in range(10)]
        (root / "splits.csv").write_text("domain,name,split\n" + "".join(lines))
        assert [each.num_images for each in fundus(root).sets] == [1, 10]
        assert says(capsys.readouterr().err, "domain east has no training images")


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "facts"),
        [
            ({"global_batch_size": 1}, ("global_batch_size", "at least 2", "1")),
            ({"held_out": 1}, ("held_out", "0.9", "1")),
            ({"held_out": -0.1}, ("held_out", "-0.1")),
            ({"sampling": "identities"}, ("sampling", "images, domains", "identities")),
            ({"domains": "west"}, ("domains", "[west]")),
            ({"domains": ["west", "west"]}, ("domains", "twice")),
            ({"held_out_seed": -1}, ("held_out_seed", "-1")),
            ({"train_augmentation": None}, ("train_augmentation", "None")),
            ({"test_augmentation": {"t": Torchvision(abs)}}, ("test_augmentation.t", "mask")),
        ],
    )
    def test_a_wrong_setting(self, tmp_path, changes, facts):
        with refuses(*facts):
            FundusData(**{"root": str(tmp_path), "unseen": "west", **SMALL, **changes})

    def test_fewer_images_than_a_batch(self, root):
        with refuses("14 images", "data.global_batch_size=15", error=InputError):
            fundus(root, global_batch_size=15)

    def test_a_batch_that_does_not_divide_over_the_devices(self, root):
        module = fundus(root)
        module.trainer = trainer(devices=3)
        with refuses("global_batch_size=4", "3 devices", error=InputError):
            module.train_dataloader()

    def test_an_unseen_domain_that_does_not_exist_before_an_image_is_read(self, root):
        for file in root.glob("*/image/*"):
            file.write_bytes(b"")
        with refuses("data.unseen=wset", "did you mean 'west'", error=InputError):
            fundus(root, unseen="wset")
        with refuses("data.unseen=null", "east, north, west", error=InputError):
            fundus(root, unseen=None)
        with refuses("image", "empty", error=InputError):
            fundus(root)

    def test_a_mask_of_another_size(self, root):
        write_mask(root / "west" / "mask" / "05.png", small_mask(side=24))
        with refuses("west/mask/05.png", "24x24", "20x20", error=InputError):
            fundus(root)

    def test_images_that_are_all_the_same(self, root):
        fundus(root).refuse_equal_images()
        for file in (root / "west" / "image").iterdir():
            file.write_bytes((root / "west" / "image" / "00.png").read_bytes())
        with refuses("set west", "the same", error=InputError):
            fundus(root).refuse_equal_images()

    def test_drawn_domains_that_do_not_exist(self):
        with refuses("'drawn_x'", "drawn domain", error=InputError):
            drawn(domains=["drawn_a", "drawn_x"])


def test_images_of_16_bits_and_with_transparency_become_rgb(root):
    image = small_image(7)
    (root / "west" / "image" / "00.png").write_bytes(cv2.imencode(".png", image.astype(np.uint16) * 257)[1].tobytes())
    clear = cv2.cvtColor(image, cv2.COLOR_BGR2BGRA)
    (root / "west" / "image" / "05.png").write_bytes(cv2.imencode(".png", clear)[1].tobytes())
    images = fundus(root, image_size=(20, 20)).sets[1].images.pixels
    np.testing.assert_array_equal(images[0], image[..., ::-1])
    np.testing.assert_array_equal(images[1], image[..., ::-1])


def test_dofes_archive(tmp_path):
    write_dofe(tmp_path)
    module = DofeData(root=str(tmp_path), unseen="rim_one", **{**SMALL, "global_batch_size": 2})
    module.setup("fit")
    assert [(each.name, each.num_images) for each in module.sets] == [("held_out", 3), ("rim_one", 1)]


@needs_fundus
@pytest.mark.parametrize(("unseen", "numbers"), [("drishti_gs", (230, 26, 51)), ("origa", (275, 31, 30))])
def test_the_real_folders(unseen, numbers):
    module = FundusData(root=str(FUNDUS), unseen=unseen, image_size=(64, 64), num_workers=0)
    module.setup("fit")
    assert module.train_source is not None
    assert (len(module.train_source), *(each.num_images for each in module.sets)) == numbers
    assert module.sets[1].mask(0).shape == ((640, 640) if unseen == "origa" else (512, 512))
