"""Checkpoints: written whole or not at all, read without running code, and never loaded into another network."""

import re
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import nn

from facerec.data.datamodule import FaceDataModule
from facerec.data.held_out import HELD_OUT
from facerec.errors import InputError
from facerec.files import BEST, replacing
from facerec.training.maps import resample_maps

# The nodes that decide which weights a network has, and those whose state a checkpoint brings along: the settings of a
# resumed run would have no effect there.
_FIXED_NODES = ("backbone", "operator", "head", "embedding_dim", "optimizer", "lr_scheduler")


class WholeCheckpoint(TorchCheckpointIO):
    """Saves beside the old file first and then takes its place, so that a full disk or a kill leaves the old one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        remedy = "free space and go on with resume=auto; what was saved before is still there"
        with replacing(Path(path), remedy) as partial:
            try:
                torch.save(checkpoint, partial)
            except RuntimeError as error:  # what PyTorch makes of a full disk
                raise OSError(str(error).splitlines()[0]) from error


class BestCheckpoint(ModelCheckpoint):
    """Lightning's, but the best epoch is chosen on held-out identities where there are any, and a run's folder may have
    been moved before the run is resumed."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        opened = getattr(getattr(trainer, "datamodule", None), "opened_benchmarks", ())
        if any(benchmark.name == HELD_OUT for benchmark in opened):
            self.monitor = f"{HELD_OUT}/accuracy"
        super().setup(trainer, pl_module, stage)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the best score so far where its checkpoint came along; else the next epoch is the best."""
        before, here = state_dict["dirpath"], str(self.dirpath)
        if Path(here, BEST).is_file():
            best = {path.replace(before, here): score for path, score in state_dict["best_k_models"].items()}
            moved = {key: v.replace(before, here) if isinstance(v, str) else v for key, v in state_dict.items()}
            state_dict = {**moved, "best_k_models": best}
        super().load_state_dict(state_dict)


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """The content of a checkpoint of this project, on the CPU. Nothing in it is executed; `InputError` when it is
    none."""
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"checkpoint {path} cannot be read ({error.strerror}): check the path") from error
    except Exception as error:
        raise InputError(
            f"checkpoint {path} is damaged or holds more than weights and plain values: use one that train.py wrote"
        ) from error
    if not isinstance(checkpoint, dict) or not {"config", "state_dict", "epoch"} <= checkpoint.keys():
        raise InputError(f"checkpoint {path} holds no configuration: use one that train.py wrote")
    return checkpoint


def load_weights(backbone: nn.Module, checkpoint: dict[str, Any], path: str | Path) -> None:
    """Put the checkpoint's backbone weights into ``backbone``, resampled where that is built for another image size;
    the head's class centres are left aside.

    `InputError` names the checkpoint and the first weight that does not fit.
    """
    prefix = "backbone."
    state = {k.removeprefix(prefix): v for k, v in checkpoint["state_dict"].items() if k.startswith(prefix)}
    try:
        backbone.load_state_dict(resample_maps(state, backbone))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[1].strip()
        reason = re.sub(
            r": copying a param with shape torch.Size\((.*?)\).*torch.Size\((.*?)\)\.?$", r", \1 and \2", reason
        )
        raise InputError(
            f"checkpoint {path} does not fit its configuration ({reason}): verify it at its own image size or train it "
            "again"
        ) from error


def refuse_other_model(path: str | Path, config: dict[str, Any]) -> None:
    """`InputError` naming the first setting in which the checkpoint's network or its training differs from
    ``config``."""
    trained = dict(_leaves(load_checkpoint(path)["config"]))
    for key, ours in _leaves(config):
        theirs = trained.get(key)
        if theirs != ours:
            raise InputError(
                f"checkpoint {path} was trained with {key}={theirs}, this run has {key}={ours}: give the run the "
                "checkpoint's settings or start without resume"
            )


def refuse_other_data(path: str | Path, data: FaceDataModule) -> None:
    """`InputError` where the checkpoint was trained on other images than ``data`` has, whichever module they came from.

    Lightning looks for the state under the name of the module's class, and another class does not see it.
    """
    for state in load_checkpoint(path).values():
        if isinstance(state, dict) and "train_fingerprint" in state:
            data.load_state_dict(state)


def _leaves(config: dict[str, Any]) -> list[tuple[str, Any]]:
    """(dotted key, value) of every setting of those nodes; the class behind a node is the node's own value."""
    found = []
    for node in _FIXED_NODES:
        value = config.get(node)
        if not isinstance(value, dict):
            found.append((node, value))
            continue
        found.append((node, str(value.get("_target_")).rpartition(".")[2]))
        found += [(f"{node}.{key}", item) for key, item in sorted(value.items()) if not key.startswith("_")]
    return found
