"""What the configuration becomes: that the parts are the ones named, and that overrides go where they belong."""

import os
import random
from unittest import mock

import numpy as np
import pytest
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from says import refuses
from torch import nn

from facerec.backbones import MobileNetV2, ShuffleNetV2
from facerec.config import build, making
from facerec.config import compose as composition
from facerec.errors import InputError
from facerec.heads import AMSoftmax, ArcFace
from facerec.operators.depthwise import Depthwise
from facerec.operators.dyconv import DynamicPointwise
from facerec.operators.tvconv import TVConv
from facerec.training.callbacks.metrics import MetricsTable

TINY = ["data=synthetic", "trainer=cpu", "width=0.1", "image_size=32", "embedding_dim=16"]


def count(network: nn.Module, kind: type[nn.Module]) -> int:
    return sum(isinstance(module, kind) for module in network.modules())


@pytest.mark.parametrize(("backbone", "cls"), [("mbv2", MobileNetV2), ("sfv2", ShuffleNetV2)])
def test_the_backbone_gets_the_operator_and_the_root_settings(backbone, cls):
    built = {
        operator: build.build_backbone(composition.compose([*TINY, f"backbone={backbone}", f"operator={operator}"]))
        for operator in ("depthwise", "tvconv")
    }
    assert all(isinstance(network, cls) and network.embedding_dim == 16 for network in built.values())
    assert count(built["tvconv"], TVConv) == count(built["depthwise"], Depthwise) > 10
    assert count(built["tvconv"], Depthwise) == count(built["depthwise"], TVConv) == 0
    assert built["depthwise"](torch.zeros(2, 3, 32, 32)).shape == (2, 16)


def test_settings_of_the_operator_reach_every_layer():
    network = build.build_backbone(composition.compose([*TINY, "operator=tvconv", "operator.affinity_channels=2"]))
    layers = [module for module in network.modules() if isinstance(module, TVConv)]
    assert {layer.affinity_maps.shape[1] for layer in layers} == {2}


def test_chosen_stages_alone_get_the_operator():
    network = build.build_backbone(composition.compose([*TINY, "operator=tvconv", "backbone.operator_stages=[7]"]))
    assert count(network, TVConv) == 1


@pytest.mark.parametrize(("head", "cls"), [("am_softmax", AMSoftmax), ("arcface", ArcFace)])
def test_the_head_is_as_wide_as_the_embedding_and_has_a_row_an_identity(head, cls):
    cfg = composition.compose([*TINY, f"head={head}", "head.margin=0.25", "operator=depthwise"])
    recognizer = build.build_learner(cfg, build.build_backbone(cfg), 7)
    assert isinstance(recognizer.head, cls) and recognizer.head.margin == 0.25
    assert recognizer.head.weight.shape == (7, 16)


REFUSED = {
    "head=arcface head.margin=2": ("margin of ArcFace", "radians", "pi / 2", "2"),
    "head=adaface head.margin=1.6": ("margin of AdaFace", "radians", "1.6"),
    "head=adaface head.h=-1": ("h", "at least 0", "-1"),
    "head=adaface head.t_alpha=0": ("t_alpha", "above 0", "at most 1", "0"),
    "head=curricularface head.t_alpha=1.5": ("t_alpha", "above 0", "at most 1", "1.5"),
    "head=curricularface head.margin=-0.1": ("margin of CurricularFace", "radians", "-0.1"),
    "head=magface head.lower_margin=0.9": ("lower_margin=0.9", "upper_margin=0.8"),
    "head=magface head.upper_margin=45": ("upper_margin", "radians", "45"),
    "head=magface head.lower_norm=0": ("norm", "above 0", "lower_norm=0"),
    "head=magface head.lower_norm=110": ("differ", "lower_norm=110", "upper_norm=110"),
    "head=magface head.lower_norm=200": ("lower_norm=200", "upper_norm=110"),
    "head=magface head.regularisation=-1": ("regularisation", "at least 0", "-1"),
    "head=subcentre_arcface head.num_centres=0": ("num_centres", "at least 1", "0"),
    "head=subcentre_arcface head.margin=28.6": ("margin of SubCentreArcFace", "radians", "28.6"),
    "head=combined_margin head.m1=0": ("m1", "positive", "0"),
    "head=combined_margin head.m2=1.6": ("m2", "radians", "1.6"),
    "head=combined_margin head.m3=1.3": ("m3", "1.25", "5 identities", "1.3"),
    "head=magface head.scale=0": ("scale", "positive", "0"),
}


@pytest.mark.parametrize("settings", REFUSED)
def test_a_head_that_cannot_be_is_refused_and_names_its_node(settings):
    cfg = composition.compose([*TINY, "operator=depthwise", *settings.split()])
    with refuses(*REFUSED[settings], "head", error=InputError):
        build.build_learner(cfg, build.build_backbone(cfg), 5)


def test_what_is_no_head_is_refused():
    cfg = composition.compose([*TINY, "operator=depthwise"])
    cfg.head = {"_target_": "torch.nn.Identity", "_partial_": True}
    with refuses("head", "CosineHead", "Identity", "head=am_softmax", error=InputError):
        build.build_learner(cfg, build.build_backbone(cfg), 5)


def test_the_optimizer_holds_every_parameter_and_the_schedule_the_optimizer():
    cfg = composition.compose([*TINY, "operator=tvconv", "optimizer.lr=0.3", "lr_scheduler.milestones=[2]"])
    recognizer = build.build_learner(cfg, build.build_backbone(cfg), 7)
    optimizer, schedule = recognizer.optimizer_and_schedule()
    held = [p for group in optimizer.param_groups for p in group["params"]]
    assert {id(p) for p in held} == {id(p) for p in recognizer.parameters()}
    assert optimizer.param_groups[0]["lr"] == 0.3
    assert schedule.optimizer is optimizer and schedule.milestones == [2]


@pytest.mark.parametrize("decay", [True, False])
def test_affinity_maps_are_exempt_from_weight_decay_on_request(decay):
    cfg = composition.compose(
        [*TINY, "operator=tvconv", f"operator.map_weight_decay={decay}", "optimizer.weight_decay=0.5"]
    )
    recognizer = build.build_learner(cfg, build.build_backbone(cfg), 7)
    groups = recognizer.optimizer_and_schedule()[0].param_groups
    decays = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert len(decays) == len(list(recognizer.parameters()))
    for name, parameter in recognizer.named_parameters():
        assert decays[id(parameter)] == (0.5 if decay or not name.endswith("affinity_maps") else 0), name


@pytest.mark.parametrize(
    ("choice", "facts"),
    [
        (["backbone=mbv2", "operator=none"], ("MobileNetV2", "operator=")),
        (
            ["backbone=mlp_mixer", "operator=tvconv"],
            ("MLPMixer", "operator=none"),
        ),
    ],
)
def test_a_backbone_and_an_operator_that_do_not_fit_are_refused(choice, facts):
    with refuses(*facts, error=InputError):
        build.build_backbone(composition.compose([*TINY, *choice]))


def test_what_an_operator_says_of_itself_reaches_the_backbone():
    some = build.build_backbone(composition.compose([*TINY, "operator=sasa"]))
    stages = build.build_backbone(composition.compose([*TINY, "operator=sasa", "backbone.operator_stages=[5,6,7]"]))
    assert str(some) == str(stages)
    dynamic = build.build_backbone(composition.compose([*TINY, "operator=dyconv_pw"]))
    assert sum(isinstance(module, DynamicPointwise) for module in dynamic.modules()) == 2 * 17 - 1


def test_what_a_pointwise_convolution_refuses_names_the_operators_node():
    with refuses("experts", "operator", error=InputError):
        build.build_backbone(composition.compose([*TINY, "operator=dyconv_pw", "operator.experts=0"]))


def test_cosine_anneals_over_all_epochs():
    cfg = composition.compose([*TINY, "lr_scheduler=cosine", "trainer.max_epochs=7"])
    assert cfg.lr_scheduler.T_max == 7


def test_every_size_of_image_is_the_one_of_the_root():
    cfg = composition.compose([*TINY, "image_size=48"])
    assert list(cfg.backbone.image_size) == list(cfg.data.image_size) == [48, 48]


def test_what_only_watches_a_run_is_not_a_setting_of_it():
    cfg = composition.compose([*TINY, "seed=5"])
    settings = composition.resolved(cfg)
    assert not {"callbacks", "logger"} & settings.keys()
    assert settings["data"]["seed"] == 5 and settings["backbone"]["image_size"] == [32, 32]
    assert type(settings["optimizer"]) is dict


def test_a_callback_can_be_left_out_and_added(monkeypatch, tmp_path):
    known = OmegaConf.create({"hydra": {"runtime": {"output_dir": str(tmp_path)}}})
    monkeypatch.setattr(HydraConfig.instance(), "cfg", known)
    added = "+callbacks.second={_target_: facerec.training.callbacks.metrics.MetricsTable, path: second.csv}"
    for arguments, tables in ([], 1), (["~callbacks.metrics"], 0), ([added], 2):
        trainer = build.build_trainer(composition.compose([*TINY, "logger=none", *arguments]))
        assert sum(isinstance(callback, MetricsTable) for callback in trainer.callbacks) == tables


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["trainer.devices=0"], ("devices", "trainer")),
        (["trainer.precision=bf17"], ("bf17", "trainer")),
        (["+trainer.epochs=3"], ("epochs", "trainer")),
    ],
)
def test_what_lightning_refuses_is_one_sentence(arguments, facts):
    cfg = composition.compose([*TINY, "logger=none", *arguments])
    cfg.callbacks = {}
    with refuses(*facts, error=InputError):
        build.build_trainer(cfg)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_there_is_named():
    cfg = composition.compose([*TINY, "logger=none", "trainer=gpu"])
    cfg.callbacks = {}
    with refuses("gpu", "trainer", error=InputError):
        build.build_trainer(cfg)


def test_a_seed_repeats_the_random_numbers_of_all_three(monkeypatch):
    def drawn(seed: int) -> tuple[float, ...]:
        build.seed_everything(composition.compose([*TINY, f"seed={seed}"]))
        return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002

    state, environment = torch.get_rng_state(), dict(os.environ)
    try:
        assert drawn(3) == drawn(3) != drawn(4)
        with refuses("-1", "seed", error=InputError):
            drawn(-1)
    finally:
        torch.set_rng_state(state)
        for key in os.environ.keys() - environment.keys():
            del os.environ[key]


class TestTheCommandLine:
    def test_a_sweep_has_its_root_keys_checked_and_its_values_left_to_hydra(self):
        composition.check_command_line(["-m", "operator=depthwise,tvconv", "width=0.1,0.2"])
        with refuses("operater", "operator", error=InputError):
            composition.check_command_line(["operater=depthwise,tvconv", "--multirun"])

    @pytest.mark.parametrize("flags", [["--help"], ["--cfg", "job"], ["--info", "all"], ["--hydra-help"]])
    def test_hydras_own_flags_pass(self, flags):
        composition.check_command_line([*flags, "data.root=faces"])

    def test_a_folder_of_the_users_own_passes(self):
        composition.check_command_line(["--config-dir", "mine", "experiment=mine", "data.root=faces"])
        with refuses("widht", error=InputError):
            composition.check_command_line(["--config-dir", "mine", "widht=0.3"])

    def test_hydras_own_settings_pass(self):
        composition.check_command_line(["hydra.run.dir=elsewhere", "data.root=faces"])


def test_a_plus_before_a_key_that_is_there_is_to_be_left_out():
    with refuses("trainer.max_epochs", "+", error=InputError):
        composition.compose(["+trainer.max_epochs=3"])


def test_images_of_another_size_than_the_networks_are_refused():
    cfg = composition.compose(["data=synthetic", "trainer=cpu", "image_size=32", "data.image_size=[56,48]"])
    with refuses("data.image_size=[56, 48]", "backbone.image_size=[32, 32]", "both", error=InputError):
        build.refuse_other_sizes(cfg)
    cfg.backbone.image_size = [56, 48]
    build.refuse_other_sizes(cfg)


@pytest.mark.parametrize("node", ["data", "backbone"])
def test_so_is_a_size_that_one_of_them_has_by_default(node):
    cfg = composition.compose(["data=synthetic", "trainer=cpu", "image_size=32", f"~{node}.image_size"])
    with refuses(f"{node}.image_size=[96, 96]", "image_size=[32, 32]", "both", error=InputError):
        build.refuse_other_sizes(cfg)
    build.refuse_other_sizes(composition.compose(["data=synthetic", "image_size=96", f"~{node}.image_size"]))


def test_a_constructor_that_only_asserts_is_named():
    with refuses("AssertionError", "config node: trainer", error=InputError):
        making.refusing(mock.Mock(side_effect=AssertionError()), "trainer")()


@pytest.mark.parametrize(
    ("argument", "facts"),
    [
        ("trainer.max_epochs=1.5", ("trainer.max_epochs", "an integer", "1.5")),
        ("trainer.max_epochs=abc", ("trainer.max_epochs", "an integer", "'abc'")),
        ("+trainer.accumulate_grad_batches=0", ("trainer.accumulate_grad_batches", "at least 1", "0")),
        ("trainer.gradient_clip_val=nan", ("trainer.gradient_clip_val", "at least 0", "nan")),
        ("trainer.precision=8", ("trainer.precision", "bf16-mixed", "8")),
        ("trainer.deterministic=perhaps", ("trainer.deterministic", "true or false", "'perhaps'")),
    ],
)
def test_a_setting_of_the_trainer_of_another_type_is_refused(argument, facts):
    cfg = composition.compose(["data=synthetic", "trainer=cpu", "logger=none", argument])
    with refuses(*facts, error=InputError):
        build.check_types(cfg)
    cfg.callbacks = {}
    with refuses(*facts, error=InputError):
        build.build_trainer(cfg)
