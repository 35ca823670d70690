"""Every operator in both of the project's backbones: at each width of the paper, and through a real step."""

import pytest
import torch
from operator_files import FILES, operator
from says import refuses
from torch import nn

from facerec.backbones import MobileNetV2, ShuffleNetV2

operators = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
networks = pytest.mark.parametrize(
    ("backbone", "width"),
    [(MobileNetV2, width) for width in (0.1, 0.2, 0.3, 0.5, 1.0)]
    + [(ShuffleNetV2, width) for width in (0.5, 1.0, 1.5)],
    ids=lambda part: getattr(part, "__name__", str(part)),
)
# ShuffleNetV2's halves: 24 of its channels make no even shares for 8 heads, 58 for none of the usual numbers.
HEADS = {(ShuffleNetV2, 0.5): 4, (ShuffleNetV2, 1.0): 1, (ShuffleNetV2, 1.5): 4}


def fitting(file, backbone, width):
    """The operator with a number of heads that the channels of the network allow."""
    changed = {"heads": HEADS[backbone, width]} if file.stem in ("sasa", "axial") and backbone is ShuffleNetV2 else {}
    if file.stem == "involution" and (backbone, width) == (ShuffleNetV2, 1.0):
        changed = {"group_channels": 2}
    return operator(file, **changed)


@operators
@networks
def test_it_fits_at_every_width_of_the_paper(file, backbone, width):
    """That it runs is tested below, at the narrowest."""
    with torch.device("meta"):  # no numbers
        network = backbone(width, fitting(file, backbone, width), (96, 96))
    assert network.embedding_dim == 512


@operators
@pytest.mark.parametrize(("backbone", "width"), [(MobileNetV2, 0.1), (ShuffleNetV2, 0.5)])
def test_a_step_in_bfloat16_reaches_every_parameter_and_evaluation_sees_each_image_alone(file, backbone, width):
    torch.manual_seed(0)
    network = backbone(width, fitting(file, backbone, width), (34, 38), embedding_dim=8)
    images = torch.randn(6, 3, 34, 38, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        out = network(images)
    (out.float() * torch.randn(6, 8)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())
    network.double().eval()
    images = images.double()
    together, alone = network(images), torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize(
    ("stem", "width", "facts"),
    [
        ("sasa", 1.0, ("heads=8", "24 channels", "even", "1, 2, 3, 4, 6, 12")),
        ("axial", 1.0, ("heads=8", "24 channels", "even", "1, 2, 3, 4, 6, 12")),
        ("involution", 1.0, ("group_channels=8", "58 channels")),
    ],
)
def test_a_width_that_makes_an_option_impossible_is_refused_with_what_is_possible(stem, width, facts):
    (file,) = [file for file in FILES if file.stem == stem]
    with refuses(*facts, "1, 2"):
        ShuffleNetV2(width, operator(file))


def test_every_kind_of_convolution_of_a_block_is_dynamic_on_request():
    (file,) = [file for file in FILES if file.stem == "condconv"]
    network = MobileNetV2(0.1, operator(file, where="all"), (32, 32))
    static = [conv for conv in network.modules() if isinstance(conv, nn.Conv2d)]
    assert [conv.kernel_size for conv in static] == [(3, 3), (1, 1)]  # the stem, and what is before the embedding
