"""Groups of parameters, written down by hand for a tiny network."""

from functools import partial

import pytest
import torch
from says import refuses
from torch import nn, optim

from facerec.errors import InputError
from facerec.heads import AMSoftmax
from facerec.operators.base import SpatialOperator
from facerec.training.learner import Training
from facerec.training.parameter_groups import ParameterGroups
from facerec.training.recognizer import Recognizer
from facerec.training.schedules import MultiStep

SGD = partial(optim.SGD, lr=0.1, momentum=0.9, weight_decay=5e-4)


class Maps(SpatialOperator):
    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Parameter(torch.ones(3))

    def no_weight_decay(self):
        return [self.maps]


class Tiny(nn.Module):
    def __init__(self, exempt: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3), nn.PReLU(3), nn.BatchNorm2d(3, affine=False))
        self.embed = nn.Linear(3, 4)
        self.operator = Maps() if exempt else nn.Identity()

    def forward(self, images):
        return self.embed(self.stem(images).mean((2, 3)))


def recognizer(groups: ParameterGroups | None = None, optimizer=SGD, exempt: bool = False) -> Recognizer:
    schedule = partial(MultiStep, milestones=[2, 3])
    training = Training(optimizer, schedule, {}, groups or ParameterGroups())
    return Recognizer(training, Tiny(exempt), AMSoftmax(5, 4), "tvconv")


def grouped(module: Recognizer) -> dict[str, tuple[float, float]]:
    """Weight decay and learning rate by the name of the parameter."""
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    groups = module.optimizer_and_schedule()[0].param_groups
    return {names[id(p)]: (group["weight_decay"], group["lr"]) for group in groups for p in group["params"]}


ALL = {f"backbone.{name}" for name in (
    "stem.0.weight", "stem.0.bias", "stem.1.weight", "stem.1.bias", "stem.2.weight", "embed.weight", "embed.bias",
)} | {"head.weight"}  # fmt: skip


def test_by_default_all_are_in_one_group_in_the_order_of_the_module():
    module = recognizer()
    (ours,) = module.optimizer_and_schedule()[0].param_groups
    (theirs,) = SGD(module.parameters()).param_groups
    assert all(a is b for a, b in zip(ours.pop("params"), theirs.pop("params"), strict=True))
    assert ours.pop("initial_lr") == 0.1 and ours == theirs


def test_what_an_operator_exempts_has_no_weight_decay_whatever_a_pattern_says():
    expected = {name: (5e-4, 0.1) for name in ALL} | {"backbone.operator.maps": (0.0, 0.1)}
    assert grouped(recognizer(exempt=True)) == expected
    assert grouped(recognizer(ParameterGroups({"*.maps": 0.3}), exempt=True)) == expected


def test_kinds_of_parameters():
    of_kind = {"norm": 0.0, "bias": 1e-5, "prelu": 2e-5, "head": 3e-5}
    module = recognizer(ParameterGroups(of_kind))
    found = {name: decay for name, (decay, _) in grouped(module).items()}
    assert found == {
        "backbone.stem.0.weight": 5e-4,
        "backbone.stem.0.bias": 1e-5,
        "backbone.stem.1.weight": 0.0,
        "backbone.stem.1.bias": 1e-5,  # a bias after all: the last key counts
        "backbone.stem.2.weight": 2e-5,
        "backbone.embed.weight": 5e-4,
        "backbone.embed.bias": 1e-5,
        "head.weight": 3e-5,
    }


def test_learning_rates_by_pattern_are_factors_and_the_schedule_keeps_them():
    module = recognizer(ParameterGroups(lr_factor={"backbone.*": 0.5, "*.embed.*": 2.0}))
    optimizer, schedule = module.optimizer_and_schedule()
    expected = {"head.weight": 0.1, "backbone.embed.weight": 0.2, "backbone.embed.bias": 0.2}
    assert {name: rate for name, (_, rate) in grouped(module).items()} == {name: 0.05 for name in ALL} | expected
    for _ in range(2):
        optimizer.step()
        schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.01, 0.005, 0.02])


def test_frozen_parameters_are_not_trained_and_their_norms_keep_their_statistics():
    module = recognizer(ParameterGroups(freeze=["backbone.stem.*"]))
    frozen = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
    assert frozen == {name for name in ALL if ".stem." in name} == ALL - grouped(module).keys()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    optimizer, _ = module.train().optimizer_and_schedule()
    module.head(module.backbone(torch.randn(4, 3, 5, 5)), torch.arange(4)).sum().backward()
    optimizer.step()
    changed = {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"backbone.embed.weight", "backbone.embed.bias", "head.weight"}


def test_a_norm_of_which_a_part_is_trained_goes_on_counting():
    module = recognizer(ParameterGroups(freeze=["backbone.stem.1.weight"]))
    assert module.backbone.stem[1].training and module.backbone.stem[3].training
    module = recognizer(ParameterGroups(freeze=["norm"]))
    assert not module.backbone.stem[1].training and not module.backbone.stem[3].training
    assert module.backbone.stem[0].training


@pytest.mark.parametrize(
    ("groups", "facts"),
    [
        ({"freeze": ["bakcbone.*"]}, ("parameter_groups.freeze", "bakcbone.*", "backbone.stem.*", "head.weight")),
        ({"freeze": ["*"]}, ("freeze=[*]", "every parameter", "backbone.embed.*")),
        ({"freeze": ["backbone.*", "head"]}, ("freeze=[backbone.*,head]", "every parameter")),
        ({"weight_decay": {"norms": 0.0}}, ("parameter_groups.weight_decay", "'norms'", "norm, bias, prelu, head")),
        ({"lr_factor": {"head": 2.0, "*.conv": 0.1}}, ("parameter_groups.lr_factor", "'*.conv'", "backbone.stem.*")),
        ({"freeze": ["backbone.*"], "lr_factor": {"backbone.embed.*": 0.1}}, ("lr_factor", "backbone.embed.*")),
    ],
    ids=str,
)
def test_a_key_that_matches_nothing_is_refused_with_the_names_that_there_are(groups, facts):
    with refuses(*facts, error=InputError):
        recognizer(ParameterGroups(**groups))


def test_a_kind_may_have_no_parameter():
    assert len(grouped(recognizer(ParameterGroups({"prelu": 0.0}, freeze=["backbone.stem.2.*"])))) == len(ALL) - 1


@pytest.mark.parametrize(
    ("groups", "facts"),
    [
        ({"weight_decay": {"norm": -1.0}}, ("weight_decay of norm", "-1")),
        ({"weight_decay": {"norm": "none"}}, ("weight_decay of norm", "none")),
        ({"weight_decay": 0.1}, ("weight_decay", "0.1", "{norm:0}")),
        ({"lr_factor": {"backbone.*": 0.0}}, ("lr_factor of backbone.*", "freeze")),
        ({"lr_factor": {"backbone.*": float("nan")}}, ("lr_factor of backbone.*", "nan")),
    ],
    ids=str,
)
def test_a_value_out_of_its_range_is_refused(groups, facts):
    with refuses(*facts):
        ParameterGroups(**groups)


def test_weight_decay_by_group_needs_an_optimizer_that_has_one():
    with refuses("Rprop", "weight_decay={norm:0.0}", "optimizer=sgd", error=InputError):
        recognizer(ParameterGroups({"norm": 0.0}), partial(optim.Rprop, lr=0.1)).optimizer_and_schedule()
