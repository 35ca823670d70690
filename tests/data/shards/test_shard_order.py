"""The order of an epoch over shards."""

import threading

import numpy as np
import pytest
from says import every

from facerec.data.sampling import UniformImages
from facerec.data.shards.shard_order import ShardOrder
from facerec.errors import InputError

SHARDS = np.random.default_rng(0).permutation(np.repeat(np.arange(20), 30))


def order(mixed: int, seed: int = 1, epoch: int = 0, shards: np.ndarray = SHARDS, **options) -> list[int]:
    sampler = ShardOrder(shards, mixed, 1, 0, seed, **options)
    sampler.set_epoch(epoch)
    return list(sampler)


@pytest.mark.parametrize("mixed", [20, 64])
def test_with_all_shards_mixed_it_is_the_order_of_any_other_data(mixed):
    for epoch in range(3):
        uniform = UniformImages(len(SHARDS), 1, 0, 5)
        uniform.set_epoch(epoch)
        assert order(mixed, 5, epoch) == list(uniform)


@pytest.mark.parametrize("mixed", [1, 3, 19])
def test_each_image_comes_once_an_epoch_in_another_order_each_time(mixed):
    orders = {tuple(order(mixed, seed, epoch)) for seed in (1, 9) for epoch in range(3)}
    assert len(orders) == 6 and every(sorted(found) == list(range(600)) for found in orders)
    assert order(mixed, 9, 2) == order(mixed, 9, 2)


@pytest.mark.parametrize("mixed", [1, 3, 8])
def test_few_shards_are_between_their_first_and_their_last_image(mixed):
    found = SHARDS[order(mixed)]
    spans = [np.flatnonzero(found == shard) for shard in range(20)]
    active = np.sum([(np.arange(600) >= span[0]) & (np.arange(600) <= span[-1]) for span in spans], axis=0)
    assert active.max() <= mixed + 1 and np.median(active) >= min(mixed, 2)
    firsts = [span[0] for span in spans]
    assert sorted(firsts) != firsts  # shards in random order


@pytest.mark.parametrize("mixed", [3, 64])
@pytest.mark.parametrize("devices", [2, 3])
def test_devices_share_the_same_order(mixed, devices):
    parts = [list(ShardOrder(SHARDS, mixed, devices, rank, 1)) for rank in range(devices)]
    assert np.stack(parts, axis=1).ravel().tolist() == order(mixed)


@pytest.mark.parametrize("mixed", [3, 64])
@pytest.mark.parametrize("done", [0, 1, 250, 600])
def test_an_epoch_goes_on_from_any_place(mixed, done):
    sampler = ShardOrder(SHARDS, mixed, 1, 0, 1, lambda shard: None)
    sampler.go_on(2, done)
    assert list(sampler) == order(mixed, epoch=2)[done:]
    sampler.set_epoch(3)
    assert list(sampler) == order(mixed, epoch=3)


def test_shards_without_an_image_of_a_part_do_not_count():
    part = SHARDS[SHARDS % 2 == 1]
    assert sorted(order(3, shards=part)) == list(range(len(part)))
    assert order(10, shards=part) == list(UniformImages(len(part), 1, 0, 1))


class TestFetchingAhead:
    def fetched(self, sampler: ShardOrder, number: int) -> tuple[list[int], list[int]]:
        """The first indices and the shards that were asked for by then."""
        indices = [index for index, _ in zip(iter(sampler), range(number), strict=False)]
        for thread in threading.enumerate():
            if thread.daemon and thread is not threading.current_thread() and "fetch" in thread.name:
                thread.join(10)
        return indices, self.asked

    @pytest.fixture
    def sampler(self):
        self.asked = []
        return ShardOrder(SHARDS, 3, 1, 0, 1, self.asked.append)

    def test_the_order_is_the_same(self, sampler):
        assert list(sampler) == order(3)

    def test_each_shard_is_asked_for_once_an_epoch_in_the_order_of_need(self, sampler):
        indices, asked = self.fetched(sampler, 600)
        needed = list(dict.fromkeys(SHARDS[indices].tolist()))
        assert sorted(asked) == list(range(20)) and len(asked) == 20
        places = [needed.index(shard) for shard in asked]
        assert max(abs(place - expected) for expected, place in enumerate(places)) <= 2

    def test_two_are_asked_for_before_they_are_needed_and_no_more(self, sampler):
        _, asked = self.fetched(sampler, 1)
        assert len(asked) == 3

    def test_a_shard_that_cannot_be_fetched_does_not_end_the_others(self):
        def fetch(shard: int) -> None:
            self.asked.append(shard)
            if shard % 2:
                raise InputError("no network")

        self.asked = []
        indices, asked = self.fetched(ShardOrder(SHARDS, 3, 1, 0, 1, fetch), 600)
        assert indices == order(3) and sorted(asked) == list(range(20))
