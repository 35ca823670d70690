"""The cache that is filled while the first epoch is trained on."""

import os
import subprocess
import sys
import threading
import time
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from counting_source import CountingSource
from noise_images import Noise, assert_same_batches, dataset, files
from says import refuses

from facerec.data import filled_cache
from facerec.data.cache import pack
from facerec.data.filled_cache import FilledDataset, packed_or_filled
from facerec.data.loading import PackedDataset, image_loader
from facerec.data.sampling import UniformIdentities, UniformImages
from facerec.errors import InputError


def filled(folder: Path, source: CountingSource | None = None, workers: int = 0) -> FilledDataset:
    images = packed_or_filled(dataset(source), folder, workers)
    assert isinstance(images, FilledDataset)
    return images


def epochs(images, sampler, workers: int = 0, number: int = 3):
    loader, found = image_loader(images, 2, workers, keep_workers=True, sampler=sampler, drop_last=True), []
    for epoch in range(number):
        sampler.set_epoch(epoch)
        found.append([(pixels.clone(), targets.clone()) for pixels, targets in loader])
    return found, loader


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("by", [UniformImages, lambda *a: UniformIdentities(np.arange(7) // 3, *a[1:])])
def test_epochs_are_those_without_a_cache_and_the_file_that_of_one_made_before(tmp_path, by, workers):
    images = filled(tmp_path, workers=workers)
    images.begin()
    (ours, loader), (theirs, _) = epochs(images, by(7, 1, 0, 3), workers), epochs(dataset(), by(7, 1, 0, 3))
    for mine, expected in zip(chain(*ours), chain(*theirs), strict=True):
        assert torch.equal(mine[0], expected[0]) and torch.equal(mine[1], expected[1])
    assert loader.num_workers == 0 and not images.needs_workers
    before = pack(dataset(), tmp_path / "before")
    assert images.path.read_bytes() == before.path.read_bytes()
    assert len(files(tmp_path)) == 3  # the array, its checksum, and the other folder
    source = Noise(7)
    assert isinstance(packed_or_filled(dataset(source), tmp_path, 0), PackedDataset) and source.loads == [0] * 7


def test_each_image_is_decoded_once(tmp_path):
    source = Noise(7)
    images = filled(tmp_path, source)
    images.begin()
    epochs(images, UniformImages(7, 1, 0, 3))
    assert source.loads == [1] * 7


def test_before_it_begins_nothing_is_written_and_what_ends_after_one_epoch_is_finished(tmp_path):
    images = filled(tmp_path / "new")
    list(image_loader(images, 3, 0))
    images.finish()
    assert not (tmp_path / "new").exists()
    images.begin()
    epochs(images, UniformImages(7, 1, 0, 3), number=1)
    assert not images.path.exists()
    images.finish()
    assert_same_batches(images, dataset())
    assert files(tmp_path / "new") == [images.path.with_suffix(".json").name, images.path.name]


def test_an_end_within_the_first_epoch_leaves_no_file(tmp_path):
    images = filled(tmp_path)
    images.begin()
    next(iter(image_loader(images, 2, 0)))
    assert len(files(tmp_path)) == 1
    del images
    deadline = time.monotonic() + 20  # a thread fetches the next images
    while files(tmp_path):
        assert time.monotonic() < deadline, files(tmp_path)
        time.sleep(0.01)


KILLED = """
import os, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], str(Path(sys.argv[1]).parent)]
from test_filled_cache import filled
images = filled(Path(sys.argv[2]))
images.begin()
images.__getitems__([0, 3])
os.kill(os.getpid(), 9)
"""


def test_a_process_that_is_killed_leaves_no_cache_and_the_next_clears_it_away(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, str(Path(__file__).parent), str(tmp_path)], check=False)
    (left,) = files(tmp_path)
    assert left.startswith(".partial.")
    images = filled(tmp_path)
    images.begin()
    assert left not in files(tmp_path)
    images.finish()
    assert_same_batches(PackedDataset(images.path, images.targets), dataset())


def test_two_runs_at_once_do_not_disturb_each_other(tmp_path, monkeypatch):
    one, other = filled(tmp_path), filled(tmp_path)
    one.begin()
    own = os.getpid()
    monkeypatch.setattr(filled_cache.os, "getpid", lambda: os.getppid())
    other.begin()
    monkeypatch.setattr(filled_cache.os, "getpid", lambda: own)
    one.__getitems__([0])
    other.__getitems__([1])
    one.finish()
    other.finish()
    for images in (one, other):
        assert_same_batches(images, dataset())
    assert len(files(tmp_path)) == 2


def test_a_run_that_is_broken_off_does_not_write_into_the_next_ones_file(tmp_path, monkeypatch):
    """Its thread may be between the pixels of image 5 and the mark that says that they are there."""
    write_at, begun, go_on = filled_cache._write_at, threading.Event(), threading.Event()

    def paused(file, content, offset):
        if content == b"\1" and not begun.is_set():
            begun.set()
            assert go_on.wait(20)
        write_at(file, content, offset)

    monkeypatch.setattr(filled_cache, "_write_at", paused)
    broken_off = filled(tmp_path)
    broken_off.begin()
    thread = threading.Thread(target=broken_off.__getitems__, args=([5],))
    thread.start()
    assert begun.wait(20)
    following = filled(tmp_path)
    following.begin()
    go_on.set()
    thread.join()
    following.finish()
    assert_same_batches(following, dataset())


@pytest.mark.parametrize("name", ["pwrite", "fsync"])
def test_a_disk_that_fills_up_is_said(tmp_path, monkeypatch, name):
    def full(*_):
        raise OSError(28, "No space left on device")

    images = filled(tmp_path)
    images.begin()
    monkeypatch.setattr(filled_cache.os, name, full)
    with refuses("images-", ".npy", "No space left on device", "free space", error=InputError):
        images.finish()
    assert not images.path.exists()


def test_a_worker_that_writes_is_seen_by_the_process_that_finishes(tmp_path):
    source = Noise(7)
    images = filled(tmp_path, source)
    images.begin()
    list(image_loader(images, 3, 1, sampler=[0, 1, 2, 3, 4, 5]))
    images.finish()
    assert source.loads == [0] * 6 + [1]
