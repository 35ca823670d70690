from itertools import islice

import numpy as np
import pytest
from counting_source import CountingSource
from torch.utils.data import DistributedSampler

from facerec.data.loading import ImageDataset, image_loader
from facerec.data.sampling import Share, UniformIdentities, UniformImages


@pytest.mark.parametrize("length", [1, 5, 12, 100])
@pytest.mark.parametrize("replicas", [1, 2, 3, 8])
@pytest.mark.parametrize("shuffle", [True, False])
def test_the_order_of_images_is_that_of_pytorchs_sampler(length, replicas, shuffle):
    for rank in range(replicas):
        theirs = DistributedSampler(range(length), replicas, rank, shuffle=shuffle, seed=3)  # pyright: ignore
        ours = (UniformImages if shuffle else Share)(length, replicas, rank, 3)
        for epoch in (0, 4):
            theirs.set_epoch(epoch)
            ours.set_epoch(epoch)
            assert list(ours) == list(theirs) and len(ours) == len(theirs)


# A person of one image, one of two and one of five.
LABELS = np.array([2, 0, 1, 2, 2, 1, 2, 2])


def epochs(sampler: Share, number: int) -> np.ndarray:
    found = []
    for epoch in range(number):
        sampler.set_epoch(epoch)
        found.append(list(sampler))
    return np.array(found)


def test_identities_come_equally_often_and_so_do_the_images_of_each():
    drawn = epochs(UniformIdentities(np.tile(LABELS, 100), 1, 0), 40)
    assert drawn.shape == (40, 800)  # an epoch has as many draws as there are images
    shares = np.bincount(drawn.ravel() % 8, minlength=8) / drawn.size
    expected = 1 / 3 / np.bincount(LABELS)[LABELS]
    np.testing.assert_allclose(shares, expected, atol=0.012)


def test_draws_of_identities_follow_from_seed_and_epoch():
    first = epochs(UniformIdentities(LABELS, 1, 0, seed=1), 4)
    assert np.array_equal(epochs(UniformIdentities(LABELS, 1, 0, seed=1), 4), first)
    resumed = UniformIdentities(LABELS, 1, 0, seed=1)
    resumed.set_epoch(3)
    assert list(resumed) == first[3].tolist()
    assert len({tuple(row) for row in [*first, *epochs(UniformIdentities(LABELS, 1, 0, seed=2), 4)]}) == 8


@pytest.mark.parametrize("replicas", [2, 4])
def test_many_devices_draw_what_one_draws(replicas):
    alone = epochs(UniformIdentities(LABELS, 1, 0), 1)[0]
    shares = [list(UniformIdentities(LABELS, replicas, rank)) for rank in range(replicas)]
    assert np.stack(shares, axis=1).ravel().tolist() == alone.tolist()


def test_each_rank_loads_its_share_and_nothing_else():
    loaded = []
    for rank in range(2):
        source = CountingSource(12)
        dataset = ImageDataset(source, np.arange(12), (4, 6))
        for _ in image_loader(dataset, 3, 0, sampler=UniformImages(12, 2, rank), drop_last=True):
            pass
        loaded.append(np.array(source.loads))
    assert (loaded[0] + loaded[1] == 1).all() and loaded[0].sum() == loaded[1].sum() == 6


def test_the_first_draws_of_many_do_not_wait_for_all_to_be_listed():
    assert len(list(islice(UniformImages(1_000_000, 8, 7), 10))) == 10


@pytest.mark.parametrize("replicas", [1, 2])
def test_an_epoch_that_is_gone_on_with_has_its_other_images_and_the_next_one_all(replicas):
    for make in (
        lambda rank: UniformImages(12, replicas, rank, 3),
        lambda rank: UniformIdentities(LABELS, replicas, rank),
    ):
        whole, begun = make(replicas - 1), make(replicas - 1)
        begun.go_on(2, 3)
        for epoch, done in ((2, 3), (3, 0)):
            whole.set_epoch(epoch)
            begun.set_epoch(epoch)
            assert list(begun) == list(whole)[done:] and len(begun) == len(whole)
