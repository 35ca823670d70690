"""The layers at the end of a backbone: what they compute, cost, fold to and become at another image size."""

import pytest
import timm
import torch
from random_weights import randomise
from says import refuses
from torch import nn

from facerec.backbones import MobileNetV2, ShuffleNetV2
from facerec.backbones.pooling import WholeMapConv, embedding_layers
from facerec.backbones.timm_network import TimmNetwork
from facerec.cost import measure_cost
from facerec.exporting.deployed_network import export_form
from facerec.training.maps import resample_maps

TIMM = "lcnet_050"
BACKBONES = {
    "mbv2": lambda size, **options: MobileNetV2(0.1, image_size=size, embedding_dim=8, **options),
    "sfv2": lambda size, **options: ShuffleNetV2(0.5, image_size=size, embedding_dim=8, **options),
    "timm": lambda size, **options: TimmNetwork(TIMM, image_size=size, embedding_dim=8, **options),
}
backbones = pytest.mark.parametrize("backbone", BACKBONES.values(), ids=list(BACKBONES))
positional = pytest.mark.parametrize("pooling", ["gdconv", "flatten"])
SIZE = (40, 33)


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_a_convolution_over_the_map_weighs_each_value():
    x = noise(2, 3, 4, 5)
    each, dense = WholeMapConv(3, (4, 5)), WholeMapConv(3, (4, 5), 6)
    assert torch.allclose(each(x)[:, :, 0, 0], x.mean((2, 3)), atol=1e-6)  # the start
    randomise(each)
    for image in range(2):
        for channel in range(3):
            expected = sum(
                x[image, channel, row, column] * each.weight[channel, 0, row, column]
                for row in range(4)
                for column in range(5)
            )
            torch.testing.assert_close(each(x)[image, channel, 0, 0], expected)
    expected = nn.functional.conv2d(x, dense.weight)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        torch.testing.assert_close(dense(x.to(memory_format=memory_format)), expected)


def test_average_is_blind_to_position_and_the_others_are_not():
    x = noise(4, 6, 4, 4)
    turned = x.flip(3)
    blind = {
        pooling: torch.allclose(layers(x), layers(turned), atol=1e-5)
        for pooling in ("average", "gdconv", "flatten")
        for layers in [randomise(embedding_layers(6, (4, 4), 8, pooling)).eval()]
    }
    assert blind == {"average": True, "gdconv": False, "flatten": False}


@backbones
@positional
def test_each_backbone_takes_each_pooling_and_every_parameter_learns(backbone, pooling):
    torch.manual_seed(0)
    network = backbone(SIZE, pooling=pooling)
    embeddings = network(noise(4, 3, *SIZE))
    (embeddings * noise(4, 8)).sum().backward()
    assert embeddings.shape == (4, 8)
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert [name for name in silent if name != "embed.3.bias"] == []  # which the last normalisation takes out


@pytest.mark.parametrize(("pooling", "more"), [("gdconv", 512 * 36), ("flatten", 512 * 512 * 35)])
def test_the_cost_is_one_product_per_value_of_the_map(pooling, more):
    average, ours = (measure_cost(MobileNetV2(0.1, pooling=kind), (96, 96)) for kind in ("average", pooling))
    assert ours.macs_core - average.macs_core == more
    # The linear layer of "average" has a bias, which "flatten" leaves to its normalisation.
    assert ours.params - average.params == more - 512 * (pooling == "flatten")


@backbones
@positional
def test_the_exported_form_has_no_normalisation_and_gives_the_same(backbone, pooling):
    network = randomise(backbone(SIZE, pooling=pooling)).eval()
    exported = export_form(network)
    pixels = torch.randint(0, 256, (2, *SIZE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = network(exported_input(pixels))
    torch.testing.assert_close(exported(pixels), expected, rtol=1e-3, atol=1e-3 * expected.abs().max().item())
    assert not [m for m in exported.backbone.embed.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]


def exported_input(pixels):
    return (pixels.permute(0, 3, 1, 2).float() - 127.5) / 127.5


@positional
def test_at_another_image_size_the_weights_keep_their_sum_and_their_place(pooling):
    small, large = (embedding_layers(2, size, 3, pooling) for size in ((4, 4), (8, 8)))
    (name,) = (f"{path}.weight" for path, module in small.named_modules() if isinstance(module, WholeMapConv))
    with torch.no_grad():
        weight = small.get_parameter(name).zero_()
        weight[..., 0, 0] = 16.0  # the upper left corner alone
    fitted = resample_maps(small.state_dict(), large)
    large.load_state_dict(fitted)
    torch.testing.assert_close(fitted[name].sum((2, 3)), weight.sum((2, 3)), rtol=0.3, atol=0)
    assert fitted[name][..., 3:, :].abs().max() == 0 == fitted[name][..., 3:].abs().max()


@positional
def test_weights_that_are_equal_everywhere_give_at_another_size_what_they_gave(pooling):
    small, large = (randomise(embedding_layers(2, size, 3, pooling)).eval() for size in ((3, 4), (7, 5)))
    with torch.no_grad():
        for module in small.modules():
            if isinstance(module, WholeMapConv):
                module.weight.copy_(module.weight.mean((2, 3), keepdim=True).expand_as(module.weight).clone())
    large.load_state_dict(resample_maps(small.state_dict(), large))
    colours = noise(5, 2, 1, 1)
    torch.testing.assert_close(large(colours.expand(5, 2, 7, 5)), small(colours.expand(5, 2, 3, 4)))


@backbones
def test_what_does_not_exist_is_refused_with_what_does(backbone):
    with refuses("pooling", "max", "average, gdconv, flatten"):
        backbone(SIZE, pooling="max")
    with refuses("activation", "gelu", "relu, relu6, prelu, hardswish, silu"):
        backbone(SIZE, activation="gelu")


# Activations.


@backbones
@pytest.mark.parametrize(
    ("name", "kind"),
    [("relu", nn.ReLU), ("relu6", nn.ReLU6), ("prelu", nn.PReLU), ("hardswish", nn.Hardswish), ("silu", nn.SiLU)],
)
def test_each_backbone_takes_each_activation(backbone, name, kind):
    network = backbone(SIZE, activation=name)
    found = [type(module) for module in network.modules() if isinstance(module, nn.ReLU | nn.ReLU6 | kind)]
    assert len([each for each in found if issubclass(each, kind)]) > 10
    assert network.eval()(noise(2, 3, *SIZE)).shape == (2, 8)


def test_prelu_has_a_slope_per_channel():
    slopes = [module.num_parameters for module in MobileNetV2(0.1, activation="prelu").features if is_prelu(module)]
    assert slopes == [8, 512]


def is_prelu(module):
    return isinstance(module, nn.PReLU)


@pytest.mark.parametrize(("name", "activation"), [("convnext_atto", "silu"), ("mobilenetv4_conv_small_035", "prelu")])
def test_timm_networks_take_an_activation_or_are_refused_by_name(name, activation):
    try:
        timm.create_model(name, num_classes=0, act_layer=nn.SiLU)
    except TypeError:
        with refuses(name, activation, "leave activation out"):
            TimmNetwork(name, image_size=SIZE, activation=activation)
    else:
        TimmNetwork(name, image_size=SIZE, activation=activation)
