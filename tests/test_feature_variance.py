"""Variance of features within and across images, against plain loops."""

import numpy as np
import pytest
import torch
from torch import nn

from facerec.backbones import MobileNetV2
from facerec.backbones.timm_network import TimmNetwork
from facerec.operators.tvconv import TVConv
from facerec.plots.feature_variance import FeatureVariance, feature_variances, variance_figure


def naive(features: np.ndarray) -> tuple[float, float]:
    """The definition, image by image and position by position; ``features`` are ``(N, C, H, W)``."""
    images, channels, height, width = features.shape
    intra, cross = [], []
    for c in range(channels):
        total = np.var(features[:, c])
        if total == 0:
            continue
        intra.append(np.mean([np.var(features[n, c]) for n in range(images)]) / total)
        cross.append(np.mean([np.var(features[:, c, i, j]) for i in range(height) for j in range(width)]) / total)
    return float(np.mean(intra)), float(np.mean(cross))


def test_the_variances_are_those_of_plain_loops_whatever_the_batches_are():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 5, 3, stride=2), nn.Conv2d(5, 2, 1))
    nn.init.zeros_(network[2].weight[1])  # a channel that is constant
    images = torch.randn(7, 3, 8, 6) + torch.linspace(0, 2, 6)
    found = feature_variances(network, images.split([3, 4]))
    first = network[0](images)
    expected = [first, network[2](first.relu())]
    assert [layer.layer for layer in found] == ["0", "2"] and network.training
    for layer, features in zip(found, expected, strict=True):
        assert layer.size == tuple(features.shape[2:])
        np.testing.assert_allclose((layer.intra, layer.cross), naive(features.detach().double().numpy()), rtol=1e-5)


def test_a_fixed_layout_is_intra_alone_and_plain_images_are_cross_alone():
    network = nn.Conv2d(1, 1, 3, padding=1, padding_mode="replicate", bias=False)
    layout = torch.randn(1, 1, 6, 6).expand(4, -1, -1, -1)
    (of_layout,) = feature_variances(network, [layout])
    assert (of_layout.intra, of_layout.cross) == (pytest.approx(1), pytest.approx(0, abs=1e-6))
    (of_plain,) = feature_variances(network, [torch.randn(4, 1, 1, 1).expand(-1, -1, 6, 6)])
    assert (of_plain.intra, of_plain.cross) == (pytest.approx(0, abs=1e-6), pytest.approx(1))
    (of_nothing,) = feature_variances(network, [torch.zeros(4, 1, 6, 6)])
    assert (of_nothing.intra, of_nothing.cross) == (0, 0)


def test_operators_are_measured_and_not_the_generators_inside_them():
    def small(*arguments, **options):
        return TVConv(*arguments, **options, generator_channels=2)

    network = MobileNetV2(0.1, small, image_size=(32, 32))
    found = feature_variances(network, [torch.randn(3, 3, 32, 32)], max_layers=100)
    operators = [name for name, module in network.named_modules() if isinstance(module, TVConv)]
    names = [layer.layer for layer in found]
    assert [name for name in names if name in operators] == operators and not any("generator" in name for name in names)
    few = feature_variances(network, [torch.randn(3, 3, 32, 32)], max_layers=4)
    assert len(few) == 4 and few[0].layer == names[0]


def test_a_network_of_timm_is_measured():
    network = TimmNetwork("resnet18", image_size=(64, 64), embedding_dim=16)
    found = feature_variances(network, [torch.randn(2, 3, 64, 64)], max_layers=5)
    assert len(found) == 5 and all(0 < layer.intra <= 1.0001 and 0 < layer.cross <= 1.0001 for layer in found)
    assert found[0].size == (32, 32)


def test_a_network_without_maps_has_nothing_to_measure():
    assert feature_variances(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), [torch.randn(2, 3, 2, 2)]) == []


def test_the_picture_has_a_panel_for_each_network_and_both_curves():
    layers = [FeatureVariance("a", (8, 8), 0.9, 0.3), FeatureVariance("b", (4, 4), 0.8, 0.4)]
    panels = variance_figure({"one": layers, "two": layers[:1]}).axes
    assert [panel.get_title() for panel in panels] == ["one", "two"]
    np.testing.assert_allclose([line.get_ydata() for line in panels[0].get_lines()], [[0.9, 0.8], [0.3, 0.4]])
    assert [tick.get_text() for tick in panels[0].get_xticklabels()] == ["8x8", "4x4"]
