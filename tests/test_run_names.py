"""Names of runs, from configurations written by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec.runs.run_names import differing_settings, run_names, varied_settings
from facerec.training.older_settings import with_settings_of_today


def config(operator="tvconv.TVConv", seed=1, transforms=(), strength=1.0, **settings) -> dict:
    """As a run keeps it: ``transforms`` by name, each with the class of that name."""
    nodes = {name: {"_target_": f"facerec.{name.title()}", "degrees": 15, "strength": strength} for name in transforms}
    return {
        "backbone": {"_target_": "facerec.backbones.MobileNetV2", "width": 0.1, "image_size": [96, 96]},
        "operator": {"_target_": f"facerec.operators.{operator}"} if operator else {},
        "head": {"_target_": "facerec.heads.AMSoftmax"},
        "data": {"_target_": "facerec.data.modules.FolderData", "seed": seed, "train_augmentation": nodes},
        "lr_scheduler": {"_target_": "torch.optim.lr_scheduler.MultiStepLR", "_partial_": True, "milestones": [2]},
        "width": 0.1,
        "image_size": 96,
        "affine_strength": strength,
        "seed": seed,
        **settings,
    }


def test_networks_that_differ_need_no_more():
    other = config("depthwise.Depthwise")
    assert run_names([config(), other]) == ["TVConv, MobileNetV2 x0.1", "Depthwise, MobileNetV2 x0.1"]
    assert run_names([config(None)]) == ["MobileNetV2 x0.1"]


def test_a_transform_that_only_one_has_tells_them_apart():
    rotation, shear, none = config(transforms=["rotation"]), config(transforms=["shear"]), config()
    assert differing_settings([rotation, shear, none]) == [
        "data.train_augmentation.rotation=Rotation",
        "data.train_augmentation.shear=Shear",
        "",
    ]


def test_what_most_of_them_have_goes_without_saying():
    rates = [config(optimizer={"lr": lr}, seed=seed) for lr in (0.1, 0.1, 0.2, 0.4) for seed in (1, 2)]
    assert set(differing_settings(rates[:6])) == {"optimizer.lr=0.1", "optimizer.lr=0.2"}  # one of two is not most
    assert set(differing_settings(rates)) == {"optimizer.lr=0.1", "optimizer.lr=0.2", "optimizer.lr=0.4"}
    others = [config(optimizer={"lr": 0.1}, transforms=[name]) for name in ("rotation", "shear", "erasing")]
    assert differing_settings([*rates, *others]) == [
        *(4 * [""]),
        *(2 * ["optimizer.lr=0.2"]),
        *(2 * ["optimizer.lr=0.4"]),
        *(f"data.train_augmentation.{name}={name.title()}" for name in ("rotation", "shear", "erasing")),
    ]


def test_a_transform_that_only_one_lacks_is_named_as_none():
    runs = [config(transforms=["shear"], optimizer={"lr": lr}) for lr in (0.1, 0.2)]
    assert differing_settings([*runs, config(optimizer={"lr": 0.1})]) == [
        "",
        "optimizer.lr=0.2",
        "data.train_augmentation.shear=none",
    ]


@given(st.lists(st.tuples(*(st.sampled_from([None, "a", "b", "c"]) for _ in range(3))), min_size=1))
def test_configurations_that_differ_have_other_settings(values):
    """A node may be missing; a value that a node lacks is one of the node's class."""
    nodes = [{name: {"_target_": f"facerec.{v}"} for name, v in zip("xyz", each, strict=True) if v} for each in values]
    found = differing_settings([config(more=node) for node in nodes])
    assert len(set(zip(values, found, strict=True))) == len(set(values)) == len(set(found))


def test_the_strength_is_named_once_and_by_its_name_on_the_command_line():
    runs = [config(transforms=["rotation"], strength=strength) for strength in (0.5, 2.0)]
    assert differing_settings(runs) == ["affine_strength=0.5", "affine_strength=2.0"]
    runs[0]["data"]["train_augmentation"]["rotation"]["strength"] = 3.0  # its own
    assert differing_settings(runs) == [
        "data.train_augmentation.rotation.strength=3.0 affine_strength=0.5",
        "affine_strength=2.0",
    ]


def test_a_node_of_another_class_is_named_by_the_class():
    cosine = {"_target_": "torch.optim.lr_scheduler.CosineAnnealingLR", "_partial_": True, "T_max": 4}
    runs = [config(), config(lr_scheduler=cosine)]
    assert differing_settings(runs) == ["lr_scheduler=MultiStep", "lr_scheduler=CosineAnnealingLR"]


def test_what_an_older_version_did_not_write_is_no_difference():
    older = config()
    del older["data"]["train_augmentation"], older["affine_strength"], older["lr_scheduler"]["milestones"]
    assert differing_settings([config(), older]) == ["", ""]


def test_what_an_older_version_did_not_write_is_what_it_did():
    newer, newest = config(), config()
    newer |= {"learner": {"_target_": "facerec.training.recognizer.Recognizer"}, "trainer": {"grace": 60}}
    newer["backbone"] = newer["backbone"] | {"pooling": "average", "activation": "relu6"}
    newer["lr_scheduler"] = newer["lr_scheduler"] | {"_target_": "facerec.training.schedules.MultiStep"}
    assert differing_settings([config(), newer]) == ["", ""]
    newest["backbone"] = newer["backbone"] | {"pooling": "gdconv"}
    older = config() | {"trainer": {"grace": 60.0}}
    assert differing_settings([older, newest]) == ["backbone.pooling=average", "backbone.pooling=gdconv"]
    assert "pooling" not in older["backbone"]
    assert [each["backbone.pooling"] for each in varied_settings([older, newest])] == ["average", "gdconv"]
    odd = config() | {"operator": {"_target_": ["a", "list"]}}
    assert len(with_settings_of_today([odd, newest])) == 2


@pytest.mark.parametrize("size", [80, 96])
def test_what_a_node_repeats_of_the_root_is_named_once(size):
    backbone = {"_target_": "facerec.backbones.MobileNetV2", "width": 0.1, "image_size": [size, size]}
    found = differing_settings([config(backbone=backbone, image_size=size), config(image_size=64)])
    assert found[0] == f"image_size={size}"


def test_seeds_and_then_numbers_tell_apart_what_is_alike():
    names = run_names([config(), config(seed=2), config(seed=2), config("depthwise.Depthwise")])
    assert names == [
        "TVConv, MobileNetV2 x0.1, seed 1",
        "TVConv, MobileNetV2 x0.1, seed 2, number 1",
        "TVConv, MobileNetV2 x0.1, seed 2, number 2",
        "Depthwise, MobileNetV2 x0.1",
    ]


def test_heads_are_named_where_they_differ():
    arcface = {"_target_": "facerec.heads.ArcFace"}
    names = run_names([config(), config(head=arcface)])
    assert names == ["TVConv, MobileNetV2 x0.1, AMSoftmax", "TVConv, MobileNetV2 x0.1, ArcFace"]


def test_how_images_are_loaded_is_no_difference():
    one, other = config(), config()
    one["data"] |= {"cache": None, "index_cache": None, "num_workers": 1}
    other["data"] |= {"cache": "outputs/cache", "index_cache": "outputs/cache", "num_workers": 8}
    assert differing_settings([one, other]) == ["", ""]
