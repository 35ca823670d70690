"""Build the network of a checkpoint or of an exported file, with its weights."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from torch import Tensor, nn

from facerec.config.build import build_backbone, size_of
from facerec.config.stored import compose_trained
from facerec.errors import InputError
from facerec.exporting.formats import Model, read
from facerec.training.checkpoints import load_checkpoint, load_weights, no_larger_than


def build_trained(
    path: str | Path, overrides: Sequence[str] = (), trust: bool = False
) -> tuple[nn.Module, DictConfig, dict[str, Any]]:
    """Return the trained backbone, its configuration with ``overrides`` applied, and the checkpoint's content.

    Raises `InputError` if the file ``path`` is not a checkpoint, or if its configuration names other classes than
    facerec's, unless ``trust`` is true.
    """
    checkpoint = load_checkpoint(path)
    cfg = compose_trained(checkpoint["config"], list(overrides), trust)
    theirs, ours = size_of(cfg.backbone), size_of(cfg.data)
    if None not in (theirs, ours) and theirs != ours:
        raise InputError(
            f"the network of {path} is for backbone.image_size={theirs} and the images have data.image_size={ours}: "
            "give both the same"
        )
    return _with_weights(cfg, checkpoint, path, trust), cfg, checkpoint


def read_model(path: Path, trust: bool = False, library: Path | None = None) -> Model:
    """Read an exported file of any format, as `facerec.exporting.formats.read` does."""
    return read(path, library, partial(_stored_network, path=path, trust=trust))


def _stored_network(config: Any, weights: dict[str, Tensor], path: Path, trust: bool) -> nn.Module:
    weights = {f"backbone.{name}": weight for name, weight in weights.items()}
    return _with_weights(compose_trained(config, [], trust), {"state_dict": weights}, path, trust)


def _with_weights(cfg: DictConfig, checkpoint: dict[str, Any], path: str | Path, trust: bool) -> nn.Module:
    """Return the backbone of ``cfg`` with the checkpoint's weights; ``path`` is its file."""
    try:
        with no_larger_than(path):
            backbone = build_backbone(cfg)
    except InputError as error:
        if str(path) in str(error):
            raise
        raise InputError(f"checkpoint {path} describes no network that can be built, since {error}") from error
    except Exception as error:
        if trust:  # the user's own class, which needs its traceback
            raise
        raise InputError(
            f"checkpoint {path} describes no network that can be built ({type(error).__name__}: {error}): use one of "
            "facerec train"
        ) from error
    load_weights(backbone, checkpoint, path)
    return backbone
