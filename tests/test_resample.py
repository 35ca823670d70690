"""A trained network at another image size."""

from functools import partial

import pytest
import torch
from random_weights import randomise

from facerec.backbones import MobileNetV2
from facerec.operators.axial import AxialAttention
from facerec.operators.depthwise import Depthwise
from facerec.operators.tvconv import TVConv
from facerec.training.maps import resample_maps


def network(size, **options):
    torch.manual_seed(0)

    def operator(channels, stride=1, out_size=(96, 96)):
        return TVConv(channels, stride, out_size, generator_channels=4, generator_layers=1, **options)

    return randomise(MobileNetV2(0.1, operator, size, embedding_dim=8)).eval()


def test_only_what_has_a_number_a_position_changes():
    trained, larger = network((32, 32)), network((48, 40))
    state = trained.state_dict()
    fitted = resample_maps(state, larger)
    changed = {name.rpartition("layers.")[2] for name in state if state[name].shape != fitted[name].shape}
    kinds = {name.partition(".")[2] for name in changed}
    assert kinds == {"affinity_maps", *(f"weight_generator.{n}.{kind}" for n in (1, 4) for kind in ("weight", "bias"))}
    assert all(torch.equal(state[name], fitted[name]) for name in state if state[name].shape == fitted[name].shape)
    larger.load_state_dict(fitted)
    assert larger(torch.randn(2, 3, 48, 40)).shape == (2, 8)


def test_a_map_is_interpolated_between_the_centres_of_its_positions():
    ramp = torch.arange(4.0).expand(1, 1, 4, 4)
    small, large = (TVConv(3, 1, size, affinity_channels=1, generator_channels=2) for size in ((4, 4), (8, 8)))
    with torch.no_grad():
        small.affinity_maps.copy_(ramp)
    row = resample_maps(small.state_dict(), large)["affinity_maps"][0, 0, 3]
    torch.testing.assert_close(row, torch.tensor([0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0]))


def test_the_same_size_is_the_same_network():
    trained, again = network((32, 32)), network((32, 32))
    assert all(
        torch.equal(a, b)
        for a, b in zip(trained.state_dict().values(), resample_maps(trained.state_dict(), again).values(), strict=True)
    )


def test_weights_that_are_the_same_everywhere_stay_what_they_are():
    small, large = (
        TVConv(3, 1, size, generator_channels=4, generator_padding="replicate") for size in ((4, 4), (9, 7))
    )
    large.load_state_dict(resample_maps(small.state_dict(), large))
    torch.testing.assert_close(large.weight(), small.weight()[:, :1, :1].expand(9, 9, 7, 3))


def test_a_kernel_of_another_size_is_no_map():
    small, large = (MobileNetV2(0.1, partial(Depthwise, kernel_size=k), (32, 32), 8) for k in (3, 5))
    fitted = resample_maps(small.state_dict(), large)
    assert all(fitted[name].shape == weight.shape for name, weight in small.state_dict().items())
    with pytest.raises(RuntimeError, match="size mismatch"):
        large.load_state_dict(fitted)


def test_what_is_bound_to_the_size_in_another_way_is_left_to_be_refused():
    small, large = AxialAttention(16, 1, (4, 4)), AxialAttention(16, 1, (6, 6))
    with pytest.raises(RuntimeError, match="size mismatch"):
        large.load_state_dict(resample_maps(small.state_dict(), large))
