"""Weights as a sum of filters times maps: exact with all of them, and as close as was asked for with a few."""

import pytest
import torch

from facerec.operators.common.low_rank import LowRankConv, rank_for
from facerec.operators.common.position_dependent_base import PositionDependentConv


def noise(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def of_rank(rank: int, size=(6, 5), channels=3, stride=1, bias=None) -> PositionDependentConv:
    """Weights that are, in each channel, a sum of ``rank`` filters times a map."""
    filters, maps = noise(rank, 9, 1, 1, channels), noise(rank, 1, *size, channels, seed=2)
    return PositionDependentConv((filters * maps).sum(0), bias, stride)


def weight_of(conv: PositionDependentConv) -> torch.Tensor:
    return conv.weight.unflatten(1, conv.out_size)


def approximated(conv: PositionDependentConv, rank: int) -> LowRankConv:
    return LowRankConv(weight_of(conv), conv.bias, conv.stride, rank)


@pytest.mark.parametrize("bias", [None, noise(6, 5, 3), noise(3).expand(6, 5, 3)], ids=["no", "each", "channel"])
@pytest.mark.parametrize(("stride", "in_size"), [(1, (6, 5)), (2, (11, 10))], ids=str)
@pytest.mark.parametrize("rank", [1, 2, 9])
def test_with_all_directions_it_is_exact(rank, stride, in_size, bias):
    conv = of_rank(rank, stride=stride, bias=bias)
    x = noise(2, 3, *in_size, seed=3)
    torch.testing.assert_close(approximated(conv, rank)(x), conv(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_the_rank_is_found(rank):
    assert rank_for(weight_of(of_rank(rank)), 1e-4) == rank


def test_a_constant_filter_has_rank_one():
    assert rank_for(noise(9, 1, 1, 3).expand(9, 6, 5, 3), 1e-4) == 1


@pytest.mark.parametrize("tolerance", [0.5, 0.1, 0.01])
def test_what_the_weights_are_off_by_is_within_the_tolerance_and_one_less_is_not(tolerance):
    strength = torch.tensor([3.0**-r for r in range(9)]).reshape(9, 1, 1, 1, 1)
    weight = (noise(9, 9, 1, 1, 3) * noise(9, 1, 8, 8, 3, seed=2) * strength).sum(0)
    conv = PositionDependentConv(weight)
    rank = rank_for(weight, tolerance)

    def off(rank: int) -> float:
        form = approximated(conv, rank)
        rebuilt = sum(
            d.flatten(1)[:, :, None] * m.flatten(1)[:, None] for d, m in zip(form.directions, form.maps, strict=True)
        )
        return float((rebuilt - weight.permute(3, 0, 1, 2).flatten(2)).norm() / weight.norm())

    assert off(rank) <= tolerance + 1e-5
    assert rank == 1 or off(rank - 1) > tolerance
