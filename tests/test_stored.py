"""The configuration that is stored in a checkpoint, and what overrides make of it."""

import pytest
from omegaconf import OmegaConf
from says import refuses

from facerec.config import compose as composition
from facerec.config import stored
from facerec.errors import InputError

TINY = ["data=synthetic", "trainer=cpu", "width=0.1", "image_size=32", "embedding_dim=16"]
UNWATCHED = {"logger": {}, "callbacks": {}}


class TestTheConfigurationOfACheckpoint:
    TRAINED = composition.resolved(composition.compose([*TINY, "data.num_pairs=40", "seed=3"]))

    def test_nothing_else_than_what_was_trained_without_overrides(self):
        assert OmegaConf.to_container(stored.compose_trained(self.TRAINED, [])) == {**self.TRAINED, **UNWATCHED}

    def test_a_checkpoint_from_before_the_cache_is_still_read(self):
        older = {**self.TRAINED, "data": {**self.TRAINED["data"], "remember": False}}
        assert OmegaConf.to_container(stored.compose_trained(older, [])) == {**self.TRAINED, **UNWATCHED}

    @pytest.mark.parametrize("several", ["protocol=tvconv,insightface", "data=synthetic,folder", "seed=range(1,3)"])
    def test_has_one_value_of_each_key(self, several):
        with refuses(several, "several values", "[a,b]", error=InputError):
            stored.compose_trained(self.TRAINED, [several])

    def test_a_key_keeps_its_node(self):
        cfg = stored.compose_trained(self.TRAINED, ["data.num_test_identities=20", "protocol=insightface"])
        assert (cfg.data.num_pairs, cfg.data.num_test_identities, cfg.protocol) == (40, 20, "insightface")
        assert cfg.width == 0.1

    @pytest.mark.parametrize("order", [1, -1])
    def test_a_group_is_another_node_and_its_keys_go_there(self, order):
        overrides = ["data=folder", "data.root=faces", "data.benchmarks=[lfw,cfp_ff]"][::order]
        cfg = stored.compose_trained(self.TRAINED, overrides)
        assert cfg.data._target_.endswith("FolderData") and "num_pairs" not in cfg.data
        assert (cfg.data.root, list(cfg.data.benchmarks)) == ("faces", ["lfw", "cfp_ff"])
        assert (list(cfg.data.image_size), cfg.data.seed) == ([32, 32], 3)

    @pytest.mark.parametrize("order", [1, -1])
    def test_a_node_is_applied_before_the_nodes_and_keys_inside_it(self, order):
        chosen, inside = "augmentation@data.test_augmentation=rotation", "data.test_augmentation.rotation.degrees=40"
        cfg = stored.compose_trained(self.TRAINED, [chosen, "data=synthetic", inside][::order])
        assert cfg.data.num_pairs == 2000 and cfg.data.test_augmentation.rotation.degrees == 40

    def test_a_transform_is_as_strong_as_in_training_or_as_asked(self):
        strong = [*TINY, "augmentation@data.train_augmentation=rotation", "affine_strength=2"]
        trained, chosen = (
            composition.resolved(composition.compose(strong)),
            "augmentation@data.test_augmentation=[shear,scale]",
        )
        older = {key: value for key, value in self.TRAINED.items() if key != "affine_strength"}
        for before, given, strength in (
            (trained, [], 2),
            (trained, ["affine_strength=0.5"], 0.5),
            (older, [], 1),
            (older, ["affine_strength=0.5"], 0.5),
        ):
            for overrides in ([chosen, *given], [*given, chosen]):
                augmentation = stored.compose_trained(before, overrides).data.test_augmentation
                assert (augmentation.shear.strength, augmentation.scale.strength) == (strength, strength)

    @pytest.mark.parametrize("chosen", [[], ["augmentation@data.test_augmentation=jitter"], ["data=synthetic"]])
    def test_a_strength_is_refused_where_no_transform_is_chosen(self, chosen):
        with refuses("affine_strength", "transform", error=InputError):
            stored.compose_trained(self.TRAINED, [*chosen, "affine_strength=2"])

    def test_a_new_key_needs_a_plus(self):
        cfg = stored.compose_trained(self.TRAINED, ["+trainer.limit_val_batches=2"])
        assert cfg.trainer.limit_val_batches == 2

    @pytest.mark.parametrize(
        ("override", "facts"),
        [
            ("data.num_piars=20", ("data.num_piars", "num_pairs")),
            ("dta=folder", ("dta", "data")),
            ("data=fodler", ("data=fodler", "folder")),
            ("data", ("data", "KEY=VALUE")),
        ],
    )
    def test_a_mistake_is_named(self, override, facts):
        with refuses(*facts, error=InputError):
            stored.compose_trained(self.TRAINED, [override])
