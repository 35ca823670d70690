"""What must be true of a checkpoint from which a run goes on."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from facerec.data.image_datamodule import EvaluatedSet, ImageDataModule
from facerec.errors import InputError
from facerec.files import BEST
from facerec.training.checkpoints import load_checkpoint
from facerec.training.inside_epoch import InsideEpoch
from facerec.training.older_settings import MOVED, UNWRITTEN, default_of
from facerec.training.restored import refuse_odd_progress
from facerec.training.stored_nodes import class_name

# Config nodes that must match on resume, because they determine the weights or their state is in the checkpoint.
_FIXED_NODES = (
    *("learner", "backbone", "operator", "head", "embedding_dim", "init"),
    *("optimizer", "lr_scheduler", "parameter_groups", "distillation"),
)
# Settings that nobody typed.
_FOLLOWS = {"lr_scheduler.T_max": " (trainer.max_epochs, unless it is given)"}
# Settings that must match when a run goes on in its folder, because they determine its accuracies.
_SCORED_BY = (
    *("protocol", "data.benchmarks", "data.unseen", "data.test_augmentation", "data.image_size"),
    *("callbacks.best.monitor", "callbacks.best.mode", "seed"),
)
# Settings that decide which images an epoch's steps are of, with what they are if nobody gives them.
_IN_AN_EPOCH = {
    **{"data.global_batch_size": None, "data.sampling": None, "data.seed": None},
    **{"trainer.accumulate_grad_batches": 1, "trainer.limit_train_batches": 1.0},
}


class Resumed(NamedTuple):
    """A checkpoint to go on from: its file, and all that it holds but weights and the optimizer's state."""

    path: Path
    content: dict[str, Any]

    def __str__(self) -> str:
        return f"checkpoint {self.path}"

    @classmethod
    def read(cls, path: Path) -> "Resumed":
        """Read the file once; raises `InputError` as `load_checkpoint` and `refuse_odd_progress` do."""
        left_out = ("state_dict", "current_model_state", "optimizer_states")
        resumed = cls(path, {key: value for key, value in load_checkpoint(path).items() if key not in left_out})
        refuse_odd_progress(resumed.content, str(resumed))
        return resumed


def refuse_other_model(resumed: Resumed, config: dict[str, Any]) -> None:
    """Raise `InputError` for the first setting of the network or the training that differs from ``config``."""
    trained = dict(_leaves(_continued(resumed.content["config"], config)))
    for key, ours in _leaves(config):
        theirs = trained[key] if key in trained else default_of(config, key)
        if theirs != ours:
            raise InputError(
                f"{resumed} was trained with {key}={theirs}, this run has {key}={ours}{_FOLLOWS.get(key, '')}: "
                f"{_remedy(key, theirs)}, or start without resume"
            )


def _continued(theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration ``theirs`` of version 0.1 with the schedule of ``ours``, if that continues its own."""
    before, now = theirs.get("lr_scheduler"), ours.get("lr_scheduler")
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return theirs
    names = {name.rpartition(".")[2]: today for name, today in MOVED.items()}
    continued = {"_target_": names.get(str(class_name(before)), "")}
    return {**theirs, "lr_scheduler": {**before, **continued}} if class_name(continued) == class_name(now) else theirs


def _remedy(key: str, theirs: Any) -> str:
    """Return what to add to the command line, for a plain setting as it is typed."""
    if key == "init":
        return "leave init out" if theirs is None else f"add init={theirs}"
    if "." not in key:
        return "give the run the checkpoint's settings"
    has_state = key.startswith(("optimizer.", "lr_scheduler.", "trainer.ema"))
    why = ", since the checkpoint holds its state" if has_state else ""
    typed = json.dumps(theirs, separators=(",", ":"))
    return f"add {key}={typed.replace(chr(34), '') if isinstance(theirs, dict) else typed}{why}"


def init_of(resumed: Resumed) -> dict[str, Any] | None:
    """Return what the checkpoint's run started from; raise `InputError` if that cannot be written to its results."""
    init = resumed.content.get("init")
    try:
        if init is not None and not isinstance(init, dict):
            raise TypeError
        json.dumps(init)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{resumed} has no plain values as init: use a checkpoint of facerec train") from error
    return init


def refuse_foreign_paths(resumed: Resumed) -> None:
    """Raise `InputError` if a callback's state in the checkpoint names a file outside the folder that it wrote to.

    Lightning deletes the files that are named there when it writes others, folders and all.
    """
    states = resumed.content.get("callbacks", {})
    for state in states.values() if isinstance(states, dict) else ():
        folder = str(state.get("dirpath", "")) if isinstance(state, dict) else ""
        for named in _named_files(state) if isinstance(state, dict) else ():
            inside = os.path.isabs(folder) and os.path.dirname(named) == folder and os.path.basename(named) != ".."
            if not inside:
                raise InputError(
                    f"{resumed} names the file {named}, outside its run's folder, which could be deleted: "
                    "use a checkpoint of facerec train"
                )


def _named_files(state: dict[str, Any]) -> list[str]:
    best = state.get("best_k_models")
    named = [state.get(key) for key in ("best_model_path", "kth_best_model_path", "last_model_path")]
    return [str(one) for one in [*named, *(best if isinstance(best, dict) else ())] if one]


def refuse_begun_epoch(resumed: Resumed, config: dict[str, Any]) -> None:
    """Raise `InputError` if the checkpoint was written inside an epoch with which the run of ``config`` cannot go on.

    One whose training ended there, after ``trainer.max_steps``, has nothing to go on with and passes.
    """
    place = InsideEpoch.read(resumed.content, str(resumed))
    if place is None:
        _refuse_no_place(resumed, _setting(config, "trainer.max_steps"))
        return
    for key, default in _IN_AN_EPOCH.items():
        theirs, ours = (_setting(each, key) or default for each in (resumed.content["config"], config))
        if theirs != ours:
            raise InputError(
                f"{resumed} was written {place.batches} batches into epoch {resumed.content['epoch']} with "
                f"{key}={theirs}, and with {key}={ours} they are others: add {key}={theirs}, or take a checkpoint that "
                "was written after an epoch"
            )


def _refuse_no_place(resumed: Resumed, max_steps: int | None) -> None:
    checkpoint, best = resumed.content, resumed.path.with_name(BEST)
    fit = checkpoint.get("loops", {}).get("fit_loop", {})
    epochs, batches = fit.get("epoch_progress", {}).get("current", {}), fit.get("epoch_loop.batch_progress", {})
    is_whole = batches.get("is_last_batch", True) or checkpoint.get("global_step") == max_steps
    if epochs.get("processed") != epochs.get("started") or not is_whole:
        other = (
            f"take one that was written after an epoch, such as resume={best}, or "
            if best.is_file() and best != resumed.path
            else ""
        )
        raise InputError(
            f"{resumed} was written inside epoch {checkpoint['epoch']} by another callback than trainer.save_every's, "
            f"so that a resumed run would see its images again: {other}start without resume"
        )


def refuse_fewer_epochs(resumed: Resumed, max_epochs: int | None) -> None:
    """Raise `InputError` if the checkpoint was trained for more epochs than the run has."""
    trained = resumed.content["epoch"] + 1
    if max_epochs is not None and 0 < max_epochs < trained:
        raise InputError(
            f"{resumed} was trained for {trained} epochs, and this run has trainer.max_epochs={max_epochs}: raise it, "
            "or start without resume"
        )


def refuse_other_data(resumed: Resumed, data: ImageDataModule) -> None:
    """Raise `InputError` if the checkpoint was trained on other images than those of ``data``, or was written inside an
    epoch in which they come in another order.

    Lightning would restore the state only into a data module of the same class.
    """
    ours = resumed.content.get(type(data).__qualname__, {"train_fingerprint": ""})
    if not isinstance(ours, dict) or "train_fingerprint" not in ours:
        raise InputError(f"{resumed} holds no fingerprint of its images: start without resume")
    for state in resumed.content.values():
        if isinstance(state, dict) and "train_fingerprint" in state:
            data.load_state_dict(state)
            _refuse_other_order(resumed, state.get("order"), data.state_dict().get("order"))


def _refuse_other_order(resumed: Resumed, theirs: str | None, ours: str | None) -> None:
    if theirs != ours and InsideEpoch.read(resumed.content, str(resumed)) is not None:
        raise InputError(
            f"{resumed} was written inside an epoch with {theirs or 'all images mixed'}, and this run has "
            f"{ours or 'all images mixed'}: go on with the checkpoint's shards and data.mixed_shards, or take a "
            "checkpoint that was written after an epoch"
        )


def refuse_other_scores(resumed: Resumed, config: dict[str, Any], sets: Sequence[EvaluatedSet]) -> None:
    """Raise `InputError` if the checkpoint's accuracies and those of this run, of ``config`` and ``sets``, are of
    different pairs, images or protocols: the best epoch could not be chosen among them."""
    checkpoint = resumed.content
    for key in _SCORED_BY:
        theirs, ours = _setting(checkpoint["config"], key), _setting(config, key)
        if theirs != ours:
            _refuse_other_scores(resumed, key, f"{key}={theirs}", f"{key}={ours}")
    theirs = checkpoint.get("benchmarks", {})  # older versions did not write it
    for each in sets:
        then, now = theirs.get(each.name), each.fingerprint()
        if then not in (None, now):
            what = f"images or pairs of {each.name}"
            _refuse_other_scores(resumed, what, f"{what} (fingerprint {then})", f"others (fingerprint {now})")


def _refuse_other_scores(resumed: Resumed, what: str, theirs: str, ours: str) -> None:
    raise InputError(
        f"{resumed} belongs to a run with {theirs}, and this one has {ours}, so that no best epoch could be "
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
        value = config.get(node, UNWRITTEN.get(node))
        if not isinstance(value, dict):
            found.append((node, value))
            continue
        found.append((node, class_name(value)))
        found += [(f"{node}.{key}", item) for key, item in sorted(value.items()) if not key.startswith("_")]
    return [*found, ("trainer.ema", _setting(config, "trainer.ema"))]
