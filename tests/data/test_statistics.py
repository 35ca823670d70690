"""Mean and deviation of the training images at each position."""

import numpy as np
import pytest
import torch
from counting_source import CountingSource

from facerec.data.loading import ImageDataset
from facerec.data.statistics import position_statistics


class Noise(CountingSource):
    """Images that differ from each other and from position to position."""

    def load(self, index):
        self.loads[index] += 1
        return np.random.default_rng(index).integers(0, 256, (4, 5, 3), dtype=np.uint8)


def statistics(source, folder, size=(4, 5), mirrored=False, **options):
    images = ImageDataset(source, np.zeros(len(source), np.int64), size)
    return position_statistics(images, source.fingerprint(), mirrored, folder, **options)


@pytest.mark.parametrize("number", [1, 3, 300])
@pytest.mark.parametrize("mirrored", [False, True])
def test_they_are_those_of_the_normalised_images_at_each_position(tmp_path, number, mirrored):
    source = Noise(number)
    found = statistics(source, tmp_path, mirrored=mirrored)
    images = np.stack([source.load(index) for index in range(number)]).transpose(0, 3, 1, 2) / 127.5 - 1
    if mirrored:
        images = np.concatenate((images, images[..., ::-1]))
    assert found.shape == (2, 3, 4, 5) and found.dtype == torch.float32
    np.testing.assert_allclose(found[0], images.mean(0), atol=1e-6)
    np.testing.assert_allclose(found[1], images.std(0), atol=1e-6)


def test_images_are_read_once_and_the_maps_kept(tmp_path):
    source = Noise(3)
    first = statistics(source, tmp_path / "new" / "cache")
    again = statistics(source, tmp_path / "new" / "cache")
    assert torch.equal(first, again)
    assert source.loads == [1, 1, 1]
    assert [file.name for file in (tmp_path / "new" / "cache").iterdir()] == ["position-abc-4x5.npz"]


@pytest.mark.parametrize("place", [0, 200, -400, -200])
def test_a_damaged_file_is_made_again(tmp_path, place):
    source = Noise(3)
    first = statistics(source, tmp_path)
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    content[place:] = b"damage" + content[place:][6:]
    path.write_bytes(content)
    assert torch.equal(statistics(source, tmp_path), first) and path.read_bytes() != content


def test_another_size_other_images_or_mirroring_are_other_maps(tmp_path):
    source = Noise(3)
    statistics(source, tmp_path)
    assert statistics(source, tmp_path, size=(2, 2)).shape == (2, 3, 2, 2)
    statistics(source, tmp_path, mirrored=True)
    source.fingerprint = lambda: "def"
    statistics(source, tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_computation_that_ends_early_leaves_nothing(tmp_path):
    class Broken(Noise):
        def load(self, index):
            if index == 2:
                raise KeyboardInterrupt
            return super().load(index)

    with pytest.raises(KeyboardInterrupt):
        statistics(Broken(3), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_random_numbers_of_the_run_are_left_alone(tmp_path):
    before = torch.get_rng_state()
    statistics(Noise(3), tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
