"""Checkpoints: written atomically, read without executing code, and checked before they are used."""

import hashlib
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)

from facerec.backbones.weight_files import is_whole
from facerec.errors import InputError
from facerec.files import BEST, check_zip, refuse_no_regular_file, replacing
from facerec.training.evaluator import Evaluator
from facerec.training.maps import resample_maps
from facerec.training.stored_nodes import plain_leaves

_SLACK = 1 << 30  # bytes


class WholeCheckpoint(TorchCheckpointIO):
    """Writes a new file and then replaces the old one, which thus survives a full disk or a kill."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        previous = "; the previous checkpoint is intact" if Path(path).is_file() else ""
        remedy = f"free space and continue with resume=auto{previous}"
        with replacing(Path(path), remedy) as partial:
            try:
                torch.save(checkpoint, partial)
            except RuntimeError as error:  # PyTorch raises it for a full disk
                raise OSError(str(error).splitlines()[0]) from error


class BestCheckpoint(ModelCheckpoint):
    """Lightning's `ModelCheckpoint`, which lets the evaluator say what the best epoch is chosen on.

    Weights are compared by their own accuracy: an epoch that was not verified is never the best. The run's folder may
    be moved before the run is resumed.
    """

    _verified_step = -1

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if isinstance(pl_module, Evaluator):
            self.monitor = pl_module.monitored(self.monitor)
        super().setup(trainer, pl_module, stage)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._verified_step = trainer.global_step
        super().on_validation_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the epoch if it is the best; Lightning would take an earlier epoch's accuracy for that of this one."""
        of_these_weights = self._verified_step == trainer.global_step
        is_measured = isinstance(pl_module, Evaluator) and (self.monitor or "").endswith(pl_module.measure)
        if of_these_weights or not is_measured:
            super().on_train_epoch_end(trainer, pl_module)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue with the best score so far if its checkpoint is in the folder; otherwise start over.

        The file's paths are not used: Lightning deletes what they name once a better epoch is found.
        """
        path, score = Path(self.dirpath or "", BEST), state_dict.get("best_model_score")
        if not path.is_file() or not isinstance(score, Tensor):
            return
        self.best_model_path = self.kth_best_model_path = str(path)
        self.best_model_score = self.kth_value = score
        self.best_k_models = {str(path): score}
        self.current_score = state_dict.get("current_score")  # which Lightning saves and does not load


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Load a checkpoint on the CPU without executing code in it; raise `InputError` if it is not one or is damaged."""
    refuse_no_regular_file(path)
    try:
        check_zip(path)
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"checkpoint {path} cannot be read ({error.strerror}): check the path") from error
    except Exception as error:
        raise InputError(
            f"checkpoint {path} is damaged or contains more than weights and plain values: use one of facerec train"
        ) from error
    if not isinstance(checkpoint, dict) or not {"config", "state_dict", "epoch"} <= checkpoint.keys():
        raise InputError(f"checkpoint {path} contains no configuration: use one of facerec train")
    for key, kind in (("config", dict), ("state_dict", dict), ("epoch", int)):
        if not isinstance(checkpoint[key], kind):
            raise InputError(
                f"checkpoint {path} contains a {type(checkpoint[key]).__name__} as its {key}: use one of facerec train"
            )
    try:
        deque(plain_leaves(checkpoint["config"]), maxlen=0)
    except InputError as error:
        raise InputError(f"checkpoint {path} cannot be used, since {error}") from error
    for name, weight in checkpoint["state_dict"].items():
        if not isinstance(name, str) or not is_whole(weight):
            raise InputError(f"checkpoint {path} contains no weights under {name!r}: use one of facerec train")
    return checkpoint


def training_fingerprint(checkpoint: dict[str, Any]) -> str | None:
    """Return the fingerprint of the images that a checkpoint was trained on; None if it holds none."""
    states = [state for state in checkpoint.values() if isinstance(state, dict)]
    return next((state["train_fingerprint"] for state in states if "train_fingerprint" in state), None)


def network_digest(checkpoint: dict[str, Any]) -> str:
    """Return a hexadecimal digest of the backbone's weights and of the protocol, which say what an embedding is."""
    sha = hashlib.sha256(str(checkpoint["config"].get("protocol")).encode())
    for name, weight in sorted(checkpoint["state_dict"].items()):
        if name.startswith("backbone."):
            sha.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
            sha.update(weight.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()[:32]


@contextmanager
def no_larger_than(path: str | Path) -> Iterator[None]:
    """Raise `InputError` while a network is built that takes much more memory than its checkpoint, the file ``path``.

    Ten times and a gigabyte more are allowed: at another image size than in training, maps are larger.
    """
    limit, total = 10 * Path(path).stat().st_size + _SLACK, 0

    def count(module: nn.Module, name: str, weight: Tensor | None) -> None:
        nonlocal total
        total += 0 if weight is None else weight.nbytes
        if total > limit:
            raise InputError(
                f"checkpoint {path} describes a network of more than {limit / 1e9:.1f} GB, but has no weights for it: "
                "use one of facerec train"
            )

    hooks = [register_module_parameter_registration_hook(count), register_module_buffer_registration_hook(count)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def load_weights(backbone: nn.Module, checkpoint: dict[str, Any], path: str | Path) -> None:
    """Load the checkpoint's backbone weights into ``backbone``, with maps resampled to the backbone's image size.

    Raises `InputError` with the first weight that does not fit.
    """
    prefix = "backbone."
    state = {k.removeprefix(prefix): v for k, v in checkpoint["state_dict"].items() if k.startswith(prefix)}
    try:
        backbone.load_state_dict(resample_maps(state, backbone))
    except RuntimeError as error:
        reason = [line.strip() for line in str(error).splitlines() if line.strip()][:2][-1]
        reason = re.sub(
            r": copying a param with shape torch.Size\((.*?)\).*torch.Size\((.*?)\)\.?$", r", \1 and \2", reason
        )
        raise InputError(
            f"checkpoint {path} does not fit its configuration ({reason}): use the image size of training or train it "
            "again"
        ) from error
