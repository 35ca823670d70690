"""Without workers, the next batch is prepared while a batch is used."""

import gc
import threading
import time

import numpy as np
import pytest
import torch
from says import refuses
from torch.utils.data import DataLoader

from facerec.data.loading import IndexedImages, image_loader
from facerec.data.sampling import UniformImages
from facerec.errors import InputError


class Watched(IndexedImages):
    """Images whose pixels are their index, and what was asked for by which thread."""

    image_size = (1, 1)

    def __init__(self, number: int = 9, damaged: int = -1) -> None:
        self.targets, self.damaged = np.arange(number), damaged
        self.asked: list[tuple[list[int], str]] = []

    def __getitems__(self, indices):
        self.asked.append((list(indices), threading.current_thread().name))
        if self.damaged in indices:
            raise InputError(f"image {self.damaged} is damaged: restore it")
        return torch.tensor(indices, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 1, 3), torch.tensor(indices)


def wait_for(images: Watched, batches: int) -> None:
    deadline = time.monotonic() + 60
    while len(images.asked) < batches and time.monotonic() < deadline:
        time.sleep(0.001)


def test_one_batch_is_fetched_ahead_and_no_more():
    images = Watched()
    batches = iter(image_loader(images, 2, 0))
    next(batches)
    wait_for(images, 2)
    time.sleep(0.05)
    assert [asked for asked, _ in images.asked] == [[0, 1], [2, 3]]
    assert all(thread.startswith("facerec-loader") for _, thread in images.asked)


def test_batches_and_random_numbers_are_those_of_an_ordinary_loader():
    images, found = Watched(), []
    for kind in (DataLoader, image_loader):
        torch.manual_seed(0)
        sampler, epochs = UniformImages(9, 1, 0, seed=3), []
        options = {"collate_fn": lambda batch: batch} if kind is DataLoader else {}
        loader = kind(images, 2, num_workers=0, sampler=sampler, drop_last=True, **options)
        for epoch in range(2):
            sampler.set_epoch(epoch)
            epochs.append([indices.tolist() for _, indices in loader])
        found.append((epochs, torch.rand(1).item()))
    assert found[0] == found[1] and len(found[0][0][0]) == 4


@pytest.mark.parametrize("damaged", [0, 3])
def test_an_image_that_cannot_be_decoded_is_named_when_its_batch_is_due(damaged):
    batches = iter(image_loader(Watched(damaged=damaged), 2, 0))
    for _ in range(damaged // 2):
        next(batches)
    for _ in range(2):  # nor is it left out by who asks again
        with refuses(f"image {damaged}", "restore", error=InputError):
            next(batches)


class Held(Watched):
    """The second batch comes when the test lets it go."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on, self.waited_in_vain = threading.Event(), False

    def __getitems__(self, indices):
        batch = super().__getitems__(indices)
        if indices == [2, 3] and not self.go_on.wait(20):
            self.waited_in_vain = True
        return batch


def test_an_epoch_that_is_broken_off_is_not_waited_for_until_the_next():
    """Ctrl-C is lost where Python closes what is no longer used, so nothing may take long there."""
    images = Held()
    loader = image_loader(images, 2, 0)
    batches = iter(loader)
    next(batches)
    wait_for(images, 2)
    del batches
    gc.collect()
    images.go_on.set()
    assert [indices.tolist() for _, indices in loader] == [[0, 1], [2, 3], [4, 5], [6, 7], [8]]
    assert not images.waited_in_vain


@pytest.mark.parametrize("used", [0, 1, 2])
def test_a_loader_leaves_no_thread_behind(used):
    before, loader = set(threading.enumerate()), image_loader(Watched(), 2, 0)
    batches = iter(loader)
    for _ in range(used):
        next(batches)
    own = [each for each in set(threading.enumerate()) - before if each.name.startswith("facerec-loader")]
    assert len(own) == min(used, 1)
    del batches, loader
    gc.collect()
    for thread in own:
        thread.join(20)
        assert not thread.is_alive()
