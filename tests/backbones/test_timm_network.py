"""Networks of timm as backbones: with every operator, in every family, and what is refused."""

import ast
from functools import partial
from pathlib import Path
from unittest import mock

import pytest
import timm
import torch
from running import DATA, trained
from says import refuses, says
from torch import nn

import facerec
from facerec.backbones.timm_network import TimmNetwork
from facerec.config import build
from facerec.config import compose as composition
from facerec.cost import measure_cost
from facerec.deploy import reparameterize
from facerec.errors import InputError
from facerec.operators.depthwise import Depthwise
from facerec.operators.tvconv import TVConv

SIZE = (40, 33)
# Kernels of 3x3 and 5x5 in the first three, the third with TensorFlow's borders; 7x7 with biases in the last.
FAMILIES = ["mobilenetv4_conv_small_035", "lcnet_050", "tf_mobilenetv3_small_100", "convnext_atto"]
families = pytest.mark.parametrize("name", FAMILIES)
SETTINGS = ["backbone=timm", "image_size=32", "embedding_dim=8"]
TVConvInSmall = partial(TVConv, generator_channels=4, generator_layers=0)
OPERATORS = {
    "depthwise": Depthwise,
    "depthwise of 3x3": partial(Depthwise, kernel_size=3),
    "tvconv": TVConvInSmall,
}


def images(batch=2, size=SIZE):
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(0))


def network(name, operator=None, size=SIZE, **arguments):
    torch.manual_seed(0)
    return TimmNetwork(name, operator, size, 8, **arguments)


def settled(model):
    """In evaluation, with the statistics of `images` in every normalisation: else deep maps are next to nothing."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = 1.0
    model(images(batch=8))
    return model.eval()


def spatial_kernels(model):
    convs = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    return [conv.kernel_size for conv in convs if conv.groups == conv.in_channels > 1 and conv.kernel_size != (1, 1)]


@families
@pytest.mark.parametrize("operator", OPERATORS.values(), ids=list(OPERATORS))
def test_every_parameter_gets_a_gradient_with_every_operator(name, operator):
    model = network(name, operator, keep_kernel_size=operator is not OPERATORS["depthwise of 3x3"])
    embeddings = model(images())
    assert embeddings.shape == (2, 8) == (2, model.embedding_dim)
    (embeddings * torch.randn(2, 8)).sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


@families
def test_without_an_operator_it_is_the_network_that_timm_makes_and_with_depthwise_the_same_function(name):
    model, replaced = network(name), network(name, Depthwise)
    torch.manual_seed(0)
    plain = timm.create_model(name, num_classes=0, global_pool="")
    assert repr(model.features) == repr(plain)
    expected = plain(images())
    assert torch.equal(model.features(images()), expected)
    if not name.startswith("tf_"):  # whose padding is TensorFlow's
        torch.testing.assert_close(replaced.features(images()), expected)
    assert any(isinstance(module, Depthwise) for module in replaced.modules())


@families
def test_an_operator_stands_for_every_depthwise_convolution_at_the_size_of_its_map(name):
    kept, three = network(name, TVConvInSmall), network(name, TVConvInSmall, keep_kernel_size=False)
    kernels = spatial_kernels(network(name))
    operators = [module for module in kept.modules() if isinstance(module, TVConv)]
    assert [(op.kernel_size, op.kernel_size) for op in operators] == kernels
    assert {op.kernel_size for op in three.modules() if isinstance(op, TVConv)} == {3}
    assert spatial_kernels(kept) == []
    for module in operators:
        module.register_forward_hook(lambda op, _, out: seen.append((out.shape[2:], op.affinity_maps.shape[2:])))
    seen = []
    kept(images())
    assert len(seen) == len(operators) and all(out == maps for out, maps in seen)


@families
def test_the_inference_form_gives_the_same_embeddings_at_the_cost_of_the_convolutions(name):
    model = settled(network(name, TVConvInSmall))
    expected = model(images())
    assert expected.std() > 0.1
    torch.testing.assert_close(reparameterize(model)(images()), expected, rtol=1e-4, atol=1e-4)
    assert measure_cost(model, SIZE).macs_core == measure_cost(network(name), SIZE).macs_core


@pytest.mark.parametrize("file", sorted(composition.CONFIG_FOLDER.glob("operator/*.yaml")), ids=lambda file: file.stem)
def test_every_operator_of_the_configuration_stands_in_a_network_or_is_refused(file):
    if file.stem == "none":
        pytest.skip("no operator")
    cfg = composition.compose([*SETTINGS, "backbone.name=test_efficientnet", f"operator={file.stem}"])
    try:
        model = build.build_backbone(cfg)
    except InputError as refusal:
        assert says(str(refusal), "operator", "block", "depthwise")
        return
    (model(images(size=(32, 32))) * torch.randn(2, 8)).sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


def test_a_spatial_transformer_may_stand_in_front():
    model, plain = (settled(network("lcnet_050", TVConvInSmall, align=align)) for align in ("stn", None))
    transformer = [name for name, _ in model.named_parameters() if name not in dict(plain.named_parameters())]
    assert transformer and all(name.startswith("align.") for name in transformer)
    torch.testing.assert_close(model(images()), plain(images()), rtol=1e-3, atol=1e-3)
    model(images()).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    with refuses("align", "stn", "null", "tps"):
        network("lcnet_050", align="tps")


def test_only_the_convolutions_that_are_named_are_replaced():
    model = network("lcnet_050", TVConvInSmall, where=["blocks.2.*", "blocks.4.1.*"])
    named = [name for name, module in model.features.named_modules() if isinstance(module, TVConv)]
    assert named == ["blocks.2.0.conv_dw", "blocks.2.1.conv_dw", "blocks.4.1.conv_dw"]


def test_a_network_without_depthwise_convolutions_is_a_backbone_but_takes_no_operator():
    assert network("resnet10t").eval()(images()).shape == (2, 8)
    with refuses("depthwise", "where", "'*'", "none"):
        network("resnet10t", TVConv)


def test_the_seed_decides_the_weights():
    one, same = (network("lcnet_050", TVConvInSmall).state_dict() for _ in range(2))
    torch.testing.assert_close(one, same, rtol=0, atol=0)


def test_images_of_another_size_are_refused():
    with refuses("40x33", "40x40"):
        network("lcnet_050")(images(size=(40, 40)))


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("mobilenetv4_conv_smal", ("mobilenetv4_conv_small or", "mobilenetv4_conv_small_050")),
        ("lcnet050", ("lcnet_050", "lcnet_150", "lcnet_100")),
        ("???", ("timm.list_models()",)),
    ],
)
def test_an_unknown_name_is_refused_with_near_ones(name, facts):
    with refuses("timm", f"'{name}'", *facts):
        network(name)


@pytest.mark.parametrize(
    ("name", "size", "facts"),
    [
        (
            "test_vit",
            SIZE,
            ("test_vit", "40x33", "(16)"),
        ),
        (
            "test_vit",
            (160, 160),
            ("test_vit", "1, 101, 64", "channels", "convolutional"),
        ),
        (
            "mambaout_femto",
            (32, 32),
            ("mambaout_femto", "1, 1, 1, 1152", "channels", "convolutional"),
        ),
        ("efficientvit_b0", SIZE, ("timm", "efficientvit_b0", "pretrained=False", "Cannot disable pooling")),
    ],
)
def test_a_network_without_a_map_is_refused(name, size, facts):
    with refuses(*facts):
        network(name, size=size)


def test_weights_that_do_not_exist_are_refused():
    with refuses("lcnet_035", "pretrained=True", "No pretrained weights"):
        network("lcnet_035", pretrained=True)


def test_weights_that_cannot_be_fetched_are_refused(monkeypatch):
    monkeypatch.setattr(timm, "create_model", mock.Mock(side_effect=FileNotFoundError("no connection.\nmore")))
    with refuses("lcnet_050", "pretrained=True", "no connection"):
        network("lcnet_050", pretrained=True)


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        ([], ("value", "backbone.name=")),
        (["backbone.name=lcnet"], ("'lcnet'", "lcnet_150", "lcnet_100", "lcnet_075")),
        (
            ["backbone.name=lcnet_050", "backbone.where=conv"],
            ("depthwise", "where", "'conv'"),
        ),
        (
            ["backbone.name=lcnet_050", "operator.kernel_size=2", "backbone.keep_kernel_size=false"],
            ("depthwise", "kernel_size", "odd", "2"),
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_a_sentence(arguments, facts):
    with refuses(*facts, error=InputError):
        build.build_backbone(composition.compose([*SETTINGS, *arguments]))


def test_the_configuration_keeps_the_kernel_sizes():
    settings = [*SETTINGS, "backbone.name=lcnet_050"]
    model = build.build_backbone(composition.compose([*settings, "operator.generator_layers=0"]))
    operators = [module for module in model.modules() if isinstance(module, TVConv)]
    assert [(op.kernel_size, op.kernel_size) for op in operators] == spatial_kernels(network("lcnet_050"))
    plain = build.build_backbone(composition.compose([*settings, "operator=none"]))
    assert repr(plain.features) == repr(network("lcnet_050").features)


def test_it_trains(tmp_path):
    small = [*DATA, "image_size=32", "embedding_dim=16", "operator.generator_channels=4", "operator.generator_layers=0"]
    name = ["backbone=timm", "backbone.name=mobilenetv4_conv_small_035"]
    run = trained(tmp_path, *small, *name, "operator=tvconv", "trainer=smoke", "trainer.max_epochs=1")
    assert (run / "results.json").exists()


def test_timm_which_is_slow_to_import_is_imported_only_by_backbones_that_nothing_imports():
    folder = Path(facerec.__file__).parent
    importing = set()
    for file in folder.rglob("*.py"):
        for node in ast.parse(file.read_text()).body:  # and not what functions import
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            modules = [*names, getattr(node, "module", None) or ""]
            if any(
                part in ("timm", "timm_network", "deeplab", "rewrite", "stages")
                for module in modules
                for part in module.split(".")
            ):
                importing.add(file.name)
    assert importing == {"deeplab.py", "ghostfacenet.py", "nodes.py", "rewrite.py", "stages.py", "timm_network.py"}
