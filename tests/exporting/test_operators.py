"""Every operator of configs/operator in the form that is exported: the same output, also read back from a file."""

import warnings

import numpy as np
import pytest
import torch
from operator_files import FILES, operator
from random_weights import randomise
from torch import nn

from facerec.deploy import reparameterize, replaced
from facerec.exporting import formats as files
from facerec.kernels.dispatch import exporting
from facerec.operators.base import OperatorFactory
from facerec.operators.condconv import condconv

CHANNELS = 16


def block(file_or_operator, stride=1, out_size=(7, 6)) -> nn.Module:
    """What a backbone makes of an operator: its own 1x1 convolution and the spatial one, in a block."""
    torch.manual_seed(0)
    make = OperatorFactory.of(file_or_operator if callable(file_or_operator) else operator(file_or_operator))
    pointwise = make.pointwise(lambda a, b: nn.Conv2d(a, b, 1))
    layers = [pointwise(3, CHANNELS), make(CHANNELS, stride, out_size)]
    return randomise(make.block(3, layers)).eval()


def exported(network: nn.Module) -> nn.Module:
    return replaced(reparameterize(network), lambda operator: operator.export_form(0))


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


operators = pytest.mark.parametrize(
    "made", [*FILES, condconv(where="all")], ids=[*(file.stem for file in FILES), "condconv_all"]
)


@operators
@pytest.mark.parametrize(("stride", "size"), [(1, (7, 6)), (2, (13, 12))], ids=str)
@torch.no_grad()
def test_the_form_gives_the_same(made, stride, size):
    network, x = block(made, stride), noise(3, 3, *size)
    form, expected = exported(network), network(x)
    with exporting():
        torch.testing.assert_close(form(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("combine", ["mul", "add"])
@torch.no_grad()
def test_both_combinations_of_ddf(combine):
    from facerec.operators.ddf import DDF

    module, x = randomise(DDF(4, 1, (5, 5), combine=combine)), noise(2, 4, 5, 5)
    expected = module(x)
    with exporting():
        torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-4)


class FromPixels(nn.Module):
    """Flat results, so that files hold what they hold of a whole network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.network(pixels.permute(0, 3, 1, 2).float() / 255).flatten(1)


@operators
@pytest.mark.parametrize("format", ["onnx", "torchscript"])
@torch.no_grad()
def test_from_a_file_any_number_of_images_gives_the_same(made, format, tmp_path):
    network = FromPixels(exported(block(made))).eval()
    pixels = torch.randint(0, 256, (5, 7, 6, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    path = tmp_path / f"network{files.SUFFIXES[format]}"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        files.write(format, network, pixels[:2], {"config": "{}"}, path)
        model = files.read(path)
    for count in (1, 3, 5):
        got = model.embed(pixels[:count].numpy())
        np.testing.assert_allclose(got, network(pixels[:count]), rtol=1e-4, atol=1e-4)
