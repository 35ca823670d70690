import pickle

import cv2
import numpy as np
import pytest
import torch
from counting_source import CountingSource
from image_files import RED, plain

from facerec.data.loading import ImageDataset, flip_at_random, image_loader, normalise


class Stripes(CountingSource):
    """Image i is 4x6 and all i, but red in its left half."""

    def load(self, index: int) -> np.ndarray:
        return np.concatenate([plain(RED, (4, 3)), plain((index, index, index), (4, 3))], axis=1)


def stripes(image_size: tuple[int, int] = (4, 6)) -> ImageDataset:
    return ImageDataset(Stripes(5), np.arange(5) * 10, image_size)


def test_a_batch_is_the_resized_images_with_their_targets():
    images, targets = stripes((8, 12)).__getitems__([3, 1, 3])
    assert images.dtype == torch.uint8 and images.shape == (3, 8, 12, 3)
    assert (targets.tolist(), targets.dtype) == ([30, 10, 30], torch.int64)
    assert images[:, 0, 0].tolist() == [[255, 0, 0]] * 3
    assert images[:, -1, -1].tolist() == [[3] * 3, [1] * 3, [3] * 3]


def test_a_dataset_travels_to_a_worker():
    dataset = pickle.loads(pickle.dumps(stripes()))
    assert torch.equal(dataset.__getitems__([2])[0][0], torch.from_numpy(Stripes(5).load(2)))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_hands_over_the_batches_of_its_dataset(workers):
    batches = list(image_loader(stripes(), 2, workers))
    assert [targets.tolist() for _, targets in batches] == [[0, 10], [20, 30], [40]]
    images = torch.cat([images for images, _ in batches])
    assert torch.equal(images, torch.from_numpy(np.stack([Stripes(5).load(index) for index in range(5)])))


class ThreadsOfOpenCV(CountingSource):
    """The pixels of an image are the number of threads that OpenCV has in the process that loads it."""

    def load(self, index: int) -> np.ndarray:
        return np.full((1, 1, 3), cv2.getNumThreads(), np.uint8)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_loading_process_decodes_with_one_thread(method):
    dataset = ImageDataset(ThreadsOfOpenCV(1), np.arange(1), (1, 1))
    cv2.setNumThreads(3)
    try:
        assert next(iter(image_loader(dataset, 1, 0)))[0].tolist() == [[[[3, 3, 3]]]]
        (images, _), *_ = image_loader(dataset, 1, 1, multiprocessing_context=method)
    finally:
        cv2.setNumThreads(1)
    assert images.tolist() == [[[[1, 1, 1]]]]


def test_the_fingerprint_tells_images_their_state_and_their_size_apart():
    others = [stripes(), stripes((6, 4)), stripes(), stripes()]
    others[2].source.changed = 1
    others[3].source.fingerprint = lambda: "def"
    assert len({dataset.fingerprint() for dataset in others}) == 4
    assert stripes().fingerprint() == others[0].fingerprint()


def test_normalise_maps_each_value_to_minus_one_to_one():
    images = torch.arange(256, dtype=torch.uint8).reshape(1, 8, 32, 1).expand(2, 8, 32, 3)
    result = normalise(images)
    assert result.shape == (2, 3, 8, 32) and result.dtype == torch.float32
    for value, found in zip(range(256), result[1, 2].flatten().tolist(), strict=True):
        assert found == pytest.approx(value / 255 * 2 - 1, abs=1e-6)
    assert result.min() == -1 and result.max() == 1


def test_normalise_leaves_its_input_and_gives_channels_last():
    images = torch.randint(0, 256, (3, 5, 7, 3), dtype=torch.uint8)
    before = images.clone()
    result = normalise(images)
    assert torch.equal(images, before)
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(result[2, 1, 4, 6], (images[2, 4, 6, 1].float() - 127.5) / 127.5)


def left_marked(number: int) -> torch.Tensor:
    """Images, each different, with a bright left column that tells whether one was mirrored."""
    images = torch.rand(number, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    images[..., 0] = 9
    return images.contiguous(memory_format=torch.channels_last)


def mirrored(images: torch.Tensor) -> list[bool]:
    return [image[0, 0, -1].item() == 9 for image in images]


def test_flip_mirrors_whole_images_left_to_right_and_no_more():
    images = left_marked(64)
    before = images.clone()
    result = flip_at_random(images, (1, 2, 3, 0))
    for index, is_mirrored in enumerate(mirrored(result)):
        expected = images[index].numpy()[:, :, ::-1] if is_mirrored else images[index].numpy()
        np.testing.assert_array_equal(result[index].numpy(), expected)
    assert torch.equal(images, before)
    assert result.is_contiguous(memory_format=torch.channels_last)


def test_flip_mirrors_about_half_of_the_images():
    share = np.mean([np.mean(mirrored(flip_at_random(left_marked(100), (1, 0, batch, 0)))) for batch in range(40)])
    assert abs(share - 0.5) < 0.03  # 4000 coins: a standard deviation of 0.008


def test_flip_is_decided_by_the_seed_alone():
    torch.manual_seed(0)
    first = flip_at_random(left_marked(64), (1, 2, 3, 0))
    torch.manual_seed(1)
    assert torch.equal(first, flip_at_random(left_marked(64), (1, 2, 3, 0)))


def test_flip_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    flip_at_random(left_marked(4), (1, 2, 3, 0))
    assert torch.equal(before, torch.get_rng_state())


def test_seed_epoch_batch_and_rank_each_decide_anew():
    patterns = {
        tuple(mirrored(flip_at_random(left_marked(64), seed)))
        for seed in [(1, 2, 3, 0), (2, 2, 3, 0), (1, 3, 3, 0), (1, 2, 4, 0), (1, 2, 3, 1), (1, 3, 2, 0)]
    }
    assert len(patterns) == 6
