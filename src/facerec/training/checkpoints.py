"""Checkpoints: written atomically, read without executing code, and checked before they are used."""

import json
import os
import re
from collections.abc import Iterator, Sequence
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

from facerec.data.datamodule import FaceDataModule
from facerec.data.held_out import HELD_OUT
from facerec.data.source import Benchmark
from facerec.errors import InputError
from facerec.files import BEST, check_zip, refuse_no_regular_file, replacing
from facerec.training.maps import resample_maps

# Config nodes that must match on resume, because they determine the weights or their state is in the checkpoint.
_FIXED_NODES = ("backbone", "operator", "head", "embedding_dim", "optimizer", "lr_scheduler")
# Settings that nobody typed.
_FOLLOWS = {"lr_scheduler.T_max": " (trainer.max_epochs, unless it is given)"}
# Settings that must match when a run goes on in its folder, because they determine its accuracies.
_SCORED_BY = (
    *("protocol", "data.benchmarks", "data.test_augmentation", "data.image_size"),
    *("callbacks.best.monitor", "callbacks.best.mode", "seed"),
)
_SLACK = 1 << 30  # bytes


class WholeCheckpoint(TorchCheckpointIO):
    """Writes a new file and then replaces the old one, which thus survives a full disk or a kill."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        remedy = "free space and continue with resume=auto; the previous checkpoint is intact"
        with replacing(Path(path), remedy) as partial:
            try:
                torch.save(checkpoint, partial)
            except RuntimeError as error:  # PyTorch raises it for a full disk
                raise OSError(str(error).splitlines()[0]) from error


class BestCheckpoint(ModelCheckpoint):
    """Lightning's `ModelCheckpoint`, which prefers held-out identities for choosing the best epoch, if there are any.

    Weights are compared by their own accuracy: an epoch that was not verified is never the best. The run's folder may
    be moved before the run is resumed.
    """

    _verified_step = -1

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        opened = getattr(getattr(trainer, "datamodule", None), "opened_benchmarks", ())
        if any(benchmark.name == HELD_OUT for benchmark in opened):
            self.monitor = f"{HELD_OUT}/accuracy"
        super().setup(trainer, pl_module, stage)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._verified_step = trainer.global_step
        super().on_validation_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the epoch if it is the best; Lightning would take an earlier epoch's accuracy for that of this one."""
        of_these_weights = self._verified_step == trainer.global_step
        if of_these_weights or not (self.monitor or "").endswith("accuracy"):
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
    for name, weight in checkpoint["state_dict"].items():
        if not isinstance(name, str) or not _is_whole(weight):
            raise InputError(f"checkpoint {path} contains no weights under {name!r}: use one of facerec train")
    return checkpoint


def _is_whole(weight: Any) -> bool:
    """Return whether ``weight`` is a tensor on the CPU with a stored value for every element."""
    if not isinstance(weight, Tensor) or weight.layout is not torch.strided or weight.device.type != "cpu":
        return False
    return weight.nbytes <= weight.untyped_storage().nbytes()


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


def refuse_other_model(path: str | Path, config: dict[str, Any]) -> None:
    """Raise `InputError` for the first setting of the network or the training that differs from ``config``."""
    trained = dict(_leaves(load_checkpoint(path)["config"]))
    for key, ours in _leaves(config):
        theirs = trained.get(key)
        if theirs != ours:
            raise InputError(
                f"checkpoint {path} was trained with {key}={theirs}, this run has {key}={ours}{_FOLLOWS.get(key, '')}: "
                f"{_remedy(key, theirs)}, or start without resume"
            )


def _remedy(key: str, theirs: Any) -> str:
    """Return what to add to the command line, for a plain setting as it is typed."""
    if "." not in key:
        return "give the run the checkpoint's settings"
    why = ", since the checkpoint holds its state" if key.startswith(("optimizer.", "lr_scheduler.")) else ""
    return f"add {key}={json.dumps(theirs, separators=(',', ':'))}{why}"


def refuse_foreign_paths(path: str | Path) -> None:
    """Raise `InputError` if a callback's state in the checkpoint names a file outside the folder that it wrote to.

    Lightning deletes the files that are named there when it writes others, folders and all.
    """
    states = load_checkpoint(path).get("callbacks", {})
    for state in states.values() if isinstance(states, dict) else ():
        folder = str(state.get("dirpath", "")) if isinstance(state, dict) else ""
        for named in _named_files(state) if isinstance(state, dict) else ():
            inside = os.path.isabs(folder) and os.path.dirname(named) == folder and os.path.basename(named) != ".."
            if not inside:
                raise InputError(
                    f"checkpoint {path} names the file {named}, outside its run's folder, which could be deleted: "
                    "use a checkpoint of facerec train"
                )


def _named_files(state: dict[str, Any]) -> list[str]:
    best = state.get("best_k_models")
    named = [state.get(key) for key in ("best_model_path", "kth_best_model_path", "last_model_path")]
    return [str(one) for one in [*named, *(best if isinstance(best, dict) else ())] if one]


def refuse_begun_epoch(path: str | Path, max_steps: int | None) -> None:
    """Raise `InputError` if the checkpoint was written inside an epoch, which a resumed run would begin again.

    One whose training ended there, after ``max_steps``, has nothing to go on with and passes.
    """
    checkpoint, best = load_checkpoint(path), Path(path).with_name(BEST)
    fit = checkpoint.get("loops", {}).get("fit_loop", {})
    epochs, batches = fit.get("epoch_progress", {}).get("current", {}), fit.get("epoch_loop.batch_progress", {})
    is_whole = batches.get("is_last_batch", True) or checkpoint.get("global_step") == max_steps
    if epochs.get("processed") != epochs.get("started") or not is_whole:
        other = f"take one that was written after an epoch, such as resume={best}, or " if best.is_file() else ""
        raise InputError(
            f"checkpoint {path} was written inside epoch {checkpoint['epoch']}, whose images a resumed run would see "
            f"again: {other}start without resume"
        )


def refuse_other_data(path: str | Path, data: FaceDataModule) -> None:
    """Raise `InputError` if the checkpoint was trained on other images than those of ``data``.

    Lightning would restore the state only into a data module of the same class.
    """
    for state in load_checkpoint(path).values():
        if isinstance(state, dict) and "train_fingerprint" in state:
            data.load_state_dict(state)


def refuse_other_scores(path: str | Path, config: dict[str, Any], benchmarks: Sequence[Benchmark]) -> None:
    """Raise `InputError` if the checkpoint's accuracies and those of this run, of ``config`` and ``benchmarks``, are of
    different pairs, images or protocols: the best epoch could not be chosen among them."""
    checkpoint = load_checkpoint(path)
    for key in _SCORED_BY:
        theirs, ours = _setting(checkpoint["config"], key), _setting(config, key)
        if theirs != ours:
            _refuse_other_scores(path, key, f"{key}={theirs}", f"{key}={ours}")
    theirs = checkpoint.get("benchmarks", {})  # older versions did not write it
    for benchmark in benchmarks:
        then, now = theirs.get(benchmark.name), benchmark.fingerprint()
        if then not in (None, now):
            pairs = f"pairs of {benchmark.name}"
            _refuse_other_scores(path, pairs, f"{pairs} (fingerprint {then})", f"others (fingerprint {now})")


def _refuse_other_scores(path: str | Path, what: str, theirs: str, ours: str) -> None:
    raise InputError(
        f"checkpoint {path} belongs to a run with {theirs}, and this one has {ours}, so that no best epoch could be "
        f"chosen: go on with the checkpoint's {what} and try the other with facerec evaluate, or start without "
        "resume"
    )


def _setting(config: dict[str, Any], key: str) -> Any:
    """Return a setting by its dotted key, a list in order; None where there is none."""
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return sorted(value) if key == "data.benchmarks" and isinstance(value, list) else value


def _leaves(config: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return (dotted key, value) of every setting in `_FIXED_NODES`; the value of a node itself is its class name."""
    found = []
    for node in _FIXED_NODES:
        value = config.get(node)
        if not isinstance(value, dict):
            found.append((node, value))
            continue
        found.append((node, str(value.get("_target_")).rpartition(".")[2]))
        found += [(f"{node}.{key}", item) for key, item in sorted(value.items()) if not key.startswith("_")]
    return found
