"""The depthwise convolution whose filters are interpolated between the points of a grid."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from random_weights import randomise
from says import refuses
from torch import nn

from facerec.backbones import MobileNetV2
from facerec.cost import measure_cost
from facerec.deploy import reparameterize, replaced
from facerec.exporting.folding import fold_batch_norms
from facerec.operators.depthwise import Depthwise
from facerec.operators.grid_depthwise import GridDepthwise


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def between(position: int, size: int, points: list[float], interpolation: str) -> float:
    """The value at a position's centre, where point i lies at (i + 1/2) / points of the side; constant outside.

    "nearest" is the value of the part of the map in which the position begins.
    """
    if interpolation == "nearest":
        return points[position * len(points) // size]
    place = (position + 0.5) / size * len(points) - 0.5
    place = min(max(place, 0), len(points) - 1)
    left = min(int(place), len(points) - 2) if len(points) > 1 else 0
    right = min(left + 1, len(points) - 1)
    return points[left] + (place - left) * (points[right] - points[left])


@settings(max_examples=25, deadline=None)
@given(
    channels=st.integers(1, 4),
    stride=st.integers(1, 3),
    kernel_size=st.sampled_from([1, 3, 5]),
    grid_size=st.integers(1, 4),
    interpolation=st.sampled_from(["bilinear", "nearest"]),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_each_position_has_the_filter_between_its_nearest_points(
    channels, stride, kernel_size, grid_size, interpolation, size
):
    out_size = (-(-size[0] // stride), -(-size[1] // stride))
    options = {"kernel_size": kernel_size, "grid_size": grid_size, "interpolation": interpolation}
    module = randomise(GridDepthwise(channels, stride, out_size, **options)).eval()
    x, pad = noise(2, channels, *size), kernel_size // 2
    padded = F.pad(x, [pad] * 4)
    expected = torch.zeros(2, channels, *out_size)
    for row in range(out_size[0]):
        for column in range(out_size[1]):
            window = padded[:, :, row * stride :, column * stride :][:, :, :kernel_size, :kernel_size]
            for channel in range(channels):
                for tap in range(kernel_size**2):
                    points = module.offsets[channel, tap].tolist()
                    over_columns = [between(column, out_size[1], line, interpolation) for line in points]
                    offset = between(row, out_size[0], over_columns, interpolation)
                    weight = module.filters[channel].flatten()[tap] + offset
                    expected[:, channel, row, column] += weight * window[:, channel].flatten(1)[:, tap]
    torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(reparameterize(module)(x), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(reparameterize(module).export_form(0.0)(x), expected, rtol=1e-4, atol=1e-4)


def test_it_starts_as_the_depthwise_convolution():
    torch.manual_seed(0)
    depthwise = Depthwise(5, 2)
    torch.manual_seed(0)
    module, x = GridDepthwise(5, 2, (4, 3)), noise(2, 5, 7, 6)
    torch.testing.assert_close(module(x), depthwise(x))
    randomise(module).start_from(2 * depthwise.weight)
    torch.testing.assert_close(module(x), 2 * depthwise(x))


def test_half_of_the_map_can_blur_while_the_other_copies():
    """A grid of two points: taps of 1/9 on the left, and 1 in the middle on the right."""
    module = GridDepthwise(1, 1, (4, 8), grid_size=2)
    blur, copy = torch.full((9,), 1 / 9), F.one_hot(torch.tensor(4), 9).float()
    with torch.no_grad():
        module.filters.zero_()
        module.offsets[0, :, :, 0], module.offsets[0, :, :, 1] = blur[:, None], copy[:, None]
    x = noise(1, 1, 4, 8)
    out = module(x)
    torch.testing.assert_close(out[..., :2], F.avg_pool2d(x, 3, 1, 1)[..., :2])
    torch.testing.assert_close(out[..., -2:], x[..., -2:])


def test_it_costs_what_the_depthwise_convolution_costs_and_its_grid_ends_with_the_training():
    grid, depthwise = (MobileNetV2(0.1, operator, (48, 48)) for operator in (GridDepthwise, Depthwise))
    ours, theirs = (measure_cost(network, (48, 48)) for network in (grid, depthwise))
    assert ours.macs_paper == theirs.macs_paper
    assert ours.params_deployed < theirs.params_deployed < ours.params
    layers = [each for each in grid.modules() if isinstance(each, GridDepthwise)]
    positions = [each.offsets.shape[0] * each.out_size[0] * each.out_size[1] for each in layers]
    assert ours.weight_map_elements == 9 * sum(positions) == ours.macs_once / 4


def test_maps_that_are_smaller_than_the_grid_have_a_point_per_position():
    assert GridDepthwise(2, 1, (2, 5), grid_size=3).offsets.shape == (2, 9, 2, 3)


@pytest.mark.parametrize("grid_size", [0, 1.5])
def test_a_grid_that_is_no_count_is_refused(grid_size):
    with refuses("grid_size", str(grid_size), "at least 1", error=ValueError):
        GridDepthwise(2, grid_size=grid_size)


def test_an_unknown_interpolation_is_refused():
    with refuses("interpolation", "cubic", "bilinear, nearest", error=ValueError):
        GridDepthwise(2, interpolation="cubic")


def test_parts_of_the_map_cost_nothing_to_make():
    assert GridDepthwise(2, 1, (6, 6), interpolation="nearest").count_macs_once() == 0


def test_parts_of_the_map_are_exported_as_ordinary_convolutions_with_what_follows_them():
    module = randomise(GridDepthwise(4, 1, (6, 7), interpolation="nearest"))
    network = nn.Sequential(module, nn.BatchNorm2d(4)).eval()
    x = noise(2, 4, 6, 7)
    found = replaced(fold_batch_norms(reparameterize(network)), lambda operator: operator.export_form(0.002))
    torch.testing.assert_close(found(x), network(x), rtol=1e-4, atol=1e-4)
    (parts,) = found
    assert len(parts.filters) == 9 and parts.filters[0].shape == (4, 1, 3, 3)
