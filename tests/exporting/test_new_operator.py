"""An operator that `facerec.exporting` has never heard of is exported as long as it uses the project's kernels."""

import numpy as np
import pytest
import torch
from torch import nn

from facerec.backbones import MobileNetV2
from facerec.exporting import formats
from facerec.exporting.deployed_network import export_form
from facerec.kernels.pixel_dependent import pixel_dependent_conv
from facerec.kernels.position_dependent import position_dependent_conv
from facerec.operators.base import SpatialOperator


class Toy(SpatialOperator):
    """Weights of the position, on what weights of the image and the position give."""

    def __init__(self, channels, stride=1, out_size=(96, 96)):
        super().__init__()
        self.stride = stride
        self.kernel = nn.Conv2d(channels, 9 * 2, 1, stride)
        self.weight = nn.Parameter(torch.randn(9, *out_size, channels) / 3)

    def forward(self, x):
        weight = self.kernel(x).unflatten(1, (9, 2))
        return position_dependent_conv(pixel_dependent_conv(x, weight, self.stride), self.weight)


class PlainToy(nn.Module):
    """The same without the project's base class."""

    def __init__(self, *arguments, **options):
        super().__init__()
        self.toy = Toy(*arguments, **options)

    def forward(self, x):
        return self.toy(x)


@pytest.mark.parametrize("operator", [Toy, PlainToy])
@pytest.mark.parametrize("format", ["onnx", "torchscript"])
def test_a_file_gives_what_the_network_gives_for_any_number_of_images(operator, format, tmp_path):
    torch.manual_seed(0)
    network = export_form(MobileNetV2(0.1, operator, (32, 32), embedding_dim=8, operator_stages=[2, 7]).eval())
    pixels = torch.randint(0, 256, (5, 32, 32, 3), dtype=torch.uint8)
    path = tmp_path / f"toy{formats.SUFFIXES[format]}"
    formats.write(format, network, pixels[:2], {"config": "{}"}, path)
    model = formats.read(path)
    with torch.no_grad():
        for count in (1, 5):
            expected = network(pixels[:count])
            np.testing.assert_allclose(model.embed(pixels[:count].numpy()), expected, rtol=1e-3, atol=1e-4)
