"""DeepLabV3+: the counted sizes, every operator in its branches, encoders and their weights, and what is refused."""

import sys
from functools import partial

import pytest
import timm
import torch
from operator_files import FILES, operator
from says import refuses
from torch import nn

from facerec.backbones.deeplab import DeepLabV3Plus
from facerec.backbones.mobilenet_v2 import InvertedResidual
from facerec.cost import measure_cost
from facerec.deploy import in_format, reparameterize
from facerec.errors import InputError
from facerec.operators.deformable_conv import DeformableConv
from facerec.operators.depthwise import Depthwise
from facerec.operators.tvconv import TVConv

SIZE = (48, 64)
SMALL = {"encoder": "test_efficientnet", "image_size": SIZE, "decoder_channels": 16}
SmallTVConv = partial(TVConv, generator_channels=4, generator_layers=0)


def images(batch=2, size=SIZE):
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(0))


def network(operator=None, **arguments):
    torch.manual_seed(0)
    return DeepLabV3Plus(operator=operator, **(SMALL | arguments))


@pytest.mark.parametrize(
    ("operator", "params", "deployed", "cached", "macs", "once"),
    [
        (None, 5.22, 5.22, 0, 4142, 0),
        (Depthwise, 6.40, 6.40, 0, 4438, 0),
        (TVConv, 36.94, 6.35, 13.27, 4438, 7731),
    ],
    ids=["none", "depthwise", "tvconv"],
)
def test_the_published_networks_have_their_size_at_256_pixels(operator, params, deployed, cached, macs, once):
    cost = measure_cost(DeepLabV3Plus(operator=operator), (256, 256))
    found = (cost.params, cost.params_deployed, cost.weight_map_elements)
    assert [round(number / 1e6, 2) for number in found] == [params, deployed, cached]
    assert [round(cost.macs_core / 1e6), round(cost.macs_once / 1e6)] == [macs, once]


def test_the_logits_are_those_of_the_layers_by_hand():
    model = network(Depthwise).eval()
    maps, x = model.encoder(images()), images()
    encoder = timm.create_model("test_efficientnet", features_only=True, output_stride=16).eval()
    encoder.load_state_dict(model.encoder.state_dict())
    features = [one.shape[1:] for one in encoder(x)]
    assert features[1] == (24, 12, 16) and features[-1] == (64, 3, 4) == maps[-1].shape[1:]
    low, high = encoder(x)[1], encoder(x)[-1]
    branches = [branch(high) for branch in model.aspp.convs]
    assert [branch.shape[1:] for branch in branches] == [(16, 3, 4)] * 5
    high = model.aspp.project[:3](torch.cat(branches, 1))  # dropout does nothing in evaluation
    high = nn.functional.interpolate(high, scale_factor=4, mode="bilinear", align_corners=False)
    joined = model.decoder(torch.cat([model.low_level(low), high], 1))
    expected = nn.functional.interpolate(joined, scale_factor=4, mode="bilinear", align_corners=False)
    assert expected.shape == (2, 2, *SIZE)
    torch.testing.assert_close(model(x), expected)


def test_only_three_branches_change_with_the_operator_and_their_dilation_goes():
    plain, changed = network(), network(SmallTVConv)
    assert [branch[0].dilation[0] for branch in list(plain.aspp.convs)[:4]] == [1, 6, 12, 18]
    assert [isinstance(branch, InvertedResidual) for branch in changed.aspp.convs] == [False, True, True, True, False]
    sizes = [module.affinity_maps.shape[2:] for module in changed.modules() if isinstance(module, TVConv)]
    assert sizes == [(3, 4)] * 3
    for model in (plain, changed):
        (dropout,) = [module for module in model.aspp.modules() if isinstance(module, nn.Dropout)]
        assert dropout.p == 0.1
    inside = {
        name for name in plain.state_dict() if not name.startswith(("aspp.convs.1", "aspp.convs.2", "aspp.convs.3"))
    }
    assert inside <= changed.state_dict().keys()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_operator_learns_is_reparameterised_and_runs_in_channels_last(file):
    model = network(operator(file))
    logits = model(images())
    assert logits.shape == (2, 2, *SIZE)
    (logits * torch.randn(logits.shape)).mean().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []
    expected = model.eval()(images())
    torch.testing.assert_close(reparameterize(model)(images()), expected, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        found = in_format(model)(images().contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def spread_over_expected(conv):
    """The standard deviation of the weights over that of Kaiming normal by fan in."""
    return float(conv.weight.detach().std(correction=0) / (2 / conv.weight[0].numel()) ** 0.5)


@pytest.mark.parametrize("operator", [None, Depthwise, SmallTVConv], ids=["none", "depthwise", "tvconv"])
def test_the_head_starts_as_published(operator):
    model = network(operator, decoder_channels=64)
    convs = [
        module for name, module in model.named_modules() if isinstance(module, nn.Conv2d) and "encoder" not in name
    ]
    assert len(convs) > 8
    for conv in convs:
        assert spread_over_expected(conv) == pytest.approx(1, abs=0.2), conv
    norms = [module for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d) and "aspp" in name]
    assert norms and all((norm.weight == 1).all() and (norm.bias == 0).all() for norm in norms)


def test_another_operator_starts_as_its_paper_says():
    predictors = [module.predict for module in network(DeformableConv).modules() if isinstance(module, DeformableConv)]
    assert len(predictors) == 3
    assert all((conv.weight == 0).all() for conv in predictors)  # no offsets at first


def test_the_seed_decides_the_weights():
    one, same = (network(SmallTVConv).state_dict() for _ in range(2))
    torch.testing.assert_close(one, same, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("encoder", "arguments"),
    [
        ("resnet10t", {}),
        ("convnext_atto", {}),  # without a map at stride 2
        ("mobilenetv4_conv_small_035", {"output_stride": 8}),
        ("vgg11", {"output_stride": 32}),  # with one at stride 1
    ],
)
def test_any_network_with_maps_is_an_encoder(encoder, arguments):
    size, stride = (64, 96), arguments.get("output_stride", 16)
    model = network(SmallTVConv, encoder=encoder, image_size=size, **arguments)
    assert model(images(size=size)).shape == (2, 2, *size)
    maps = [module.affinity_maps.shape[2:] for module in model.modules() if isinstance(module, TVConv)]
    assert maps == [(64 // stride, 96 // stride)] * 3


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        ({"encoder": "test_vit", "output_stride": 32}, ("encoder=test_vit", "strides", "16", "4")),
        ({"encoder": "test_vit"}, ("encoder=test_vit", "output_stride=16", "output_stride=32")),
        ({"encoder": "ghostnet_050"}, ("encoder=ghostnet_050", "output_stride=16", "another encoder")),
        ({"encoder": "test_mambaout", "output_stride": 32}, ("encoder=test_mambaout", "channels last")),
        ({"encoder": "swin_tiny_patch4_window7_224", "output_stride": 32}, ("swin_tiny", "48x64")),
        ({"encoder": "mobilenetv2_10"}, ("'mobilenetv2_10'", "mobilenetv2_100")),
        ({"output_stride": 4}, ("output_stride", "8, 16, 32", "4")),
        ({"decoder_channels": 0}, ("decoder_channels", "0")),
        ({"classes": 0}, ("classes", "0")),
        ({"image_size": (8, 64)}, ("image_size", "16", "(8, 64)")),
        ({"operator": partial(TVConv, kernel_size=2)}, ("kernel_size", "odd", "2")),
    ],
)
def test_what_does_not_fit_is_refused(arguments, facts):
    with refuses(*facts):
        network(**arguments)


def test_images_of_another_size_are_refused():
    with refuses("48x64", "64x64"):
        network(SmallTVConv)(images(size=(64, 64)))


class TestWeights:
    """Those of the encoder, from files that timm writes and others."""

    def source(self, name="test_efficientnet"):
        torch.manual_seed(1)
        model = timm.create_model(name)
        model(images())  # statistics that differ from 0 and 1
        return model

    def saved(self, path, weights):
        torch.save(weights, path)
        return str(path)

    def loaded(self, file, **arguments):
        return network(weights=file, **arguments).encoder.eval()

    @pytest.mark.parametrize("name", ["test_efficientnet", "convnext_atto", "resnet10t"])
    def test_of_a_whole_network_by_name(self, tmp_path, name):
        source = self.source(name)
        encoder = self.loaded(self.saved(tmp_path / "w.pth", source.state_dict()), encoder=name, output_stride=32)
        expected = source.eval().forward_intermediates(images(), norm=False, intermediates_only=True)
        torch.testing.assert_close(encoder(images())[-1], expected[-1])

    def test_in_their_order_where_the_names_are_others(self, tmp_path):
        source = self.source()
        numbered = {f"layer{index}": weight for index, weight in enumerate(source.state_dict().values())}
        found = self.loaded(self.saved(tmp_path / "w.pth", numbered)).state_dict()
        assert len(found) > 50
        for name, weight in found.items():
            assert torch.equal(weight, source.state_dict()[name])

    def test_of_an_installed_package_that_is_not_imported(self, tmp_path, monkeypatch):
        package = tmp_path / "some_weights"
        (package / "models").mkdir(parents=True)
        (package / "__init__.py").write_text("raise RuntimeError")
        file = self.saved(package / "models" / "w.pth", self.source().state_dict())
        monkeypatch.syspath_prepend(tmp_path)
        expected = self.loaded(file).state_dict()
        torch.testing.assert_close(self.loaded("some-weights").state_dict(), expected, rtol=0, atol=0)
        assert "some_weights" not in sys.modules
        self.saved(package / "other.pth", {})
        with refuses("some-weights", "2 files", "path", error=InputError):
            network(weights="some-weights")

    def test_without_the_counters_of_newer_versions(self, tmp_path):
        weights = self.source().state_dict()
        old = {name: weight for name, weight in weights.items() if "num_batches" not in name}
        found = self.loaded(self.saved(tmp_path / "w.pth", old)).state_dict()
        assert torch.equal(found["conv_stem.weight"], weights["conv_stem.weight"])

    @pytest.mark.parametrize("renamed", [False, True], ids=["by name", "by order"])
    def test_of_another_network_are_refused(self, tmp_path, renamed):
        weights = self.source("resnet10t" if renamed else "efficientnet_lite0").state_dict()
        file = self.saved(tmp_path / "w.pth", weights)
        with refuses(file, "encoder=test_efficientnet", "conv_stem.weight", "here", error=InputError):
            network(weights=file)

    def test_with_a_part_missing_are_refused(self, tmp_path):
        weights = self.source().state_dict()
        del weights["blocks.1.0.conv_exp.weight"]
        file = self.saved(tmp_path / "w.pth", weights)
        with refuses(file, "blocks.1.0.conv_exp.weight", "absent", error=InputError):
            network(weights=file)

    @pytest.mark.parametrize("name", ["nothing.pth", "no_such_package_anywhere"])
    def test_that_are_nowhere_are_refused(self, name):
        with refuses(f"weights={name}", "file", "package", error=InputError):
            network(weights=name)

    def test_that_are_damaged_are_refused(self, tmp_path):
        (tmp_path / "w.pth").write_bytes(b"PK\x03\x04 nothing")
        with refuses("w.pth", "damaged", error=InputError):
            network(weights=str(tmp_path / "w.pth"))
