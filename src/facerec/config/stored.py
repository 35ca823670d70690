"""The configuration that is stored in a checkpoint or an exported file: checked, then changed by overrides."""

from functools import cache
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import MISSING, DictConfig, OmegaConf

from facerec.config.allowed import refuse_unknown, targets_in
from facerec.config.compose import composed
from facerec.config.options import CONFIG_FOLDER
from facerec.config.overrides import AUGMENTED, is_group, parsed_overrides, refuse_affine_strength_without
from facerec.config.schema import ROOT_KEYS
from facerec.config.sentences import in_one_sentence
from facerec.errors import InputError
from facerec.files import CACHE, is_remote
from facerec.training.older_settings import MOVED, UNWRITTEN, with_names_of_today


def compose_trained(trained: Any, overrides: list[str], trust: bool = False) -> DictConfig:
    """Return the configuration stored in a file with overrides applied, and without loggers and callbacks.

    A group override replaces the whole node, a key override one value. What would be written goes to no folder that the
    file names, and nothing is fetched from an address that it names. Raises `InputError` if the stored configuration
    names a class that neither a file in configs/ names nor is an optimizer, schedule or transform of PyTorch's, unless
    ``trust`` is true; the overrides are the user's own and may name anything.
    """
    _refuse_incomplete(trained, trust)
    cfg = OmegaConf.create({**UNWRITTEN, **with_names_of_today(trained), "logger": {}, "callbacks": {}})
    parsed = parsed_overrides(overrides)
    assert isinstance(cfg, DictConfig)
    cfg.data.pop("remember", None)  # the former name of data.cache
    _forget_folders(cfg)
    OmegaConf.set_struct(cfg, True)
    chosen: list[DictConfig] = []
    for override in sorted(parsed, key=_outer_first):
        if override.is_sweep_override():
            raise InputError(f"{override.input_line} has several values: give one, or write a list as [a,b]")
        key, value = _place(override), override.value()
        if is_group(override):
            chosen.append(_chosen_node(override, cfg))
            value = OmegaConf.to_container(chosen[-1], resolve=True)
        # Checkpoints of older versions may lack a root key.
        is_new = is_group(override) or override.is_add() or key in ROOT_KEYS
        with in_one_sentence():
            OmegaConf.update(cfg, key, value, merge=False, force_add=is_new)
    if any(_place(override) == "affine_strength" for override in parsed):
        refuse_affine_strength_without(chosen, AUGMENTED[1:])  # nothing is trained
    if "pretrained" in cfg.backbone:
        cfg.backbone.pretrained = False  # the checkpoint has the weights: download none
    for key in ("protocol", "image_size", "embedding_dim"):
        if cfg.get(key) is None:
            raise InputError(f"the configuration in the file has no {key}: use a file of facerec")
    return cfg


def _forget_folders(cfg: DictConfig) -> None:
    """Remove the folders that would be written to, but for the cache's own, and the address of a storage that would be
    asked with the user's name: whoever made the file chose them."""
    for key in ("profiler", "default_root_dir"):  # Lightning's
        cfg.trainer.pop(key, None)
    for key in ("cache", "index_cache", "shard_cache"):
        if key in cfg.data and cfg.data[key] != str(CACHE):
            cfg.data[key] = None
    if is_remote(str(cfg.data.get("root", ""))):
        cfg.data.root = MISSING


def _refuse_incomplete(trained: Any, trust: bool) -> None:
    """Raise `InputError` if ``trained``, read from a file, is no run's configuration or names what is not known."""
    if not isinstance(trained, dict):
        raise InputError(f"the configuration in the file is a {type(trained).__name__}: use a file of facerec")
    for key in ("backbone", "operator", "head", "data", "trainer"):
        node = trained.get(key)
        may_be_none = key in ("operator", "head") and node == {}
        if not isinstance(node, dict) or not ("_target_" in node or may_be_none):
            raise InputError(f"the configuration in the file has no node {key} with a _target_: use a file of facerec")
    if not trust:
        refuse_unknown(trained, _known_targets())


@cache
def _known_targets() -> frozenset[str]:
    """Return the targets that files in configs/ name, under their names of today and of older versions."""
    files = CONFIG_FOLDER.glob("**/*.yaml")
    today = targets_in(file.read_text(encoding="utf-8") for file in files)
    return today | {before for before, after in MOVED.items() if after in today}


def _outer_first(override: Override) -> tuple[int, bool]:
    """Sort nodes before what is inside them, and plain settings before the nodes that read them."""
    return _place(override).count("."), is_group(override)


def _place(override: Override) -> str:
    return override.package or override.key_or_group


def _chosen_node(override: Override, cfg: DictConfig) -> DictConfig:
    """Return the node of the chosen option, composed with the image size, seed and affine strength of ``cfg``."""
    shared = [f"{key}={cfg[key]}" for key in ("image_size", "seed", "affine_strength") if key in cfg]
    whole = composed([f"{override.get_key_element()}={override.value()}", *shared])
    return OmegaConf.select(whole, _place(override))
