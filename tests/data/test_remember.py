"""Images that are made once."""

import gc
import pickle
from pathlib import Path

import numpy as np
import pytest
from counting_source import CountingSource
from torch.utils.data import DataLoader

from facerec.data.images import ImageDataset
from facerec.data.remember import RememberedImages


def test_an_image_is_loaded_once_and_stays_what_it_was():
    source = CountingSource(3)
    images = RememberedImages(source, (4, 6))
    for _ in range(3):
        for index in (2, 0, 1):
            assert (images.load(index) == index + 1).all()
            assert images.load(index).shape == (4, 6, 3)
    assert source.loads == [1, 1, 1]


def test_changing_what_was_given_out_changes_nothing_that_is_kept():
    images = RememberedImages(CountingSource(1), (4, 6))
    images.load(0)[:] = 77
    assert (images.load(0) == 1).all()


def test_it_answers_for_its_source():
    images = RememberedImages(CountingSource(2), (4, 6))
    assert (len(images), images.name(1), images.fingerprint()) == (2, "image 1", "abc")


def test_a_black_image_counts_as_loaded():
    source = CountingSource(1)
    source.load = lambda index: (source.loads.__setitem__(0, source.loads[0] + 1), np.zeros((4, 6, 3), np.uint8))[1]
    images = RememberedImages(source, (4, 6))
    assert (images.load(0) == images.load(0)).all()
    assert source.loads == [1]


def test_a_copy_in_another_process_shares_what_is_kept():
    images = RememberedImages(CountingSource(2), (4, 6))
    copy = pickle.loads(pickle.dumps(images))
    copy.load(1)
    images.load(1)
    assert (copy.source.loads, images.source.loads) == ([0, 1], [0, 0])


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_loading_processes_fill_it_for_each_other(start):
    source = CountingSource(6)
    dataset = ImageDataset(RememberedImages(source, (4, 6)), np.arange(6), (4, 6))
    for images, targets in DataLoader(dataset, 2, num_workers=1, multiprocessing_context=start):
        assert (images == (targets + 1)[:, None, None, None]).all()
    assert [int(dataset[index][0][0, 0, 0]) for index in range(6)] == [1, 2, 3, 4, 5, 6]
    assert source.loads == [0] * 6


def test_the_file_goes_with_the_object():
    images = RememberedImages(CountingSource(1), (4, 6))
    images.load(0)
    path = Path(images.path)
    assert path.is_file()
    del images
    gc.collect()
    assert not path.exists()
