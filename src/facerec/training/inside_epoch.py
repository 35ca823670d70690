"""What a checkpoint holds of the epoch in which it is written, so that a run goes on exactly where it was."""

from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Self

import pytorch_lightning as pl
import torch
from torch import Tensor

from facerec.errors import InputError

_KEY = "inside_epoch"
_LOGGED = {"fx": str, "name": str, "reduce_fx": str, "values": Tensor, "images": Tensor, "last": Tensor}
_LOGGED |= dict.fromkeys(("prog_bar", "logger", "on_step", "on_epoch", "sync_dist", "rank_zero_only"), bool)
_REDUCTIONS = {"mean": torch.mean, "sum": torch.sum, "max": torch.max, "min": torch.min}


@dataclass(frozen=True)
class InsideEpoch:
    """A place between two steps of an epoch.

    Attributes:
        batches: number of the epoch's batches, on each device, that are done.
        devices: number of devices.
        versions: of facerec and Lightning; others may do the rest of the epoch differently.
        logged: what the epoch has logged, an entry a metric: its options, its ``values``, the number of ``images`` that
            they are of, and its ``last`` value if it is one of steps, ``(devices,)`` each.
    """

    batches: int
    devices: int
    versions: str
    logged: list[dict[str, Any]]

    @classmethod
    def of(cls, trainer: pl.Trainer) -> Self:
        """Return the place at which the ``trainer`` is."""
        logged = [_entry(metric, trainer) for metric in _metrics(trainer).values() if not metric.has_reset]
        return cls(trainer.fit_loop.epoch_loop.batch_idx + 1, trainer.world_size, versions(), logged)

    @classmethod
    def read(cls, checkpoint: dict[str, Any], name: str) -> Self | None:
        """Return the place at which ``checkpoint``, the file ``name``, was written; None after an epoch.

        Raises `InputError` if the epoch cannot be gone on with here.
        """
        held = checkpoint.get(_KEY)
        if held is None:
            return None
        if not isinstance(held, dict) or held.get("versions") != versions():
            theirs = str(held.get("versions"))[:60] if isinstance(held, dict) else "another program"
            raise InputError(
                f"{name} was written inside epoch {checkpoint['epoch']} by {theirs}, and this is {versions()}, which "
                "may do the rest of the epoch differently: go on with those versions up to the end of the epoch, or "
                "take a checkpoint that was written after an epoch"
            )
        if not (_are_counts(held) and _are_entries(held.get("logged"), held["devices"])):
            raise InputError(f"{name} has no whole {_KEY}, with which to go on: use a checkpoint of facerec train")
        return cls(**{field: held[field] for field in cls.__dataclass_fields__})

    def write(self, checkpoint: dict[str, Any]) -> None:
        """Add the place to a ``checkpoint`` that is about to be written."""
        checkpoint[_KEY] = asdict(self)

    def put_back(self, trainer: pl.Trainer) -> None:
        """Let the ``trainer``, which has not begun yet, add to what the epoch has logged."""
        for entry in self.logged:
            _log(entry, trainer)
        # Otherwise the first step counts as that of a new epoch, and resets it all.
        trainer._logger_connector._first_loop_iter = False
        trainer._logger_connector.callback_metrics  # noqa: B018 - notes the last step's, which may be the epoch's last


def versions() -> str:
    """Return the versions on which the rest of an epoch depends."""
    return f"facerec {version('facerec')} and Lightning {version('pytorch-lightning')}"


def _metrics(trainer: pl.Trainer) -> Any:
    return trainer.fit_loop.epoch_loop._results


def _entry(metric: Any, trainer: pl.Trainer) -> dict[str, Any]:
    meta = metric.meta
    options = {key: getattr(meta, key) for key in ("fx", "name", "prog_bar", "logger", "on_step", "on_epoch")}
    options |= {"sync_dist": meta.sync.should, "rank_zero_only": meta.sync.rank_zero_only}
    none = torch.zeros_like(metric.value)
    states = {"values": metric.value, "images": getattr(metric, "cumulated_batch_size", none)}
    states["last"] = metric._forward_cache if meta.on_step else none
    # Each device has seen other images.
    gathered = {key: trainer.strategy.all_gather(state).reshape(-1).cpu() for key, state in states.items()}
    return options | {"reduce_fx": meta.reduce_fx.__name__} | gathered


def _log(entry: dict[str, Any], trainer: pl.Trainer) -> None:
    device, rank = trainer.strategy.root_device, trainer.global_rank
    states = {key: entry[key][rank].to(device) for key in ("values", "images", "last")}
    _metrics(trainer).log(
        **{key: entry[key] for key in _LOGGED if key != "reduce_fx" and key not in states},
        value=states["values"],
        reduce_fx=_REDUCTIONS[entry["reduce_fx"]],
        sync_dist_fn=trainer.strategy.reduce,
        batch_size=1,
    )
    metric = _metrics(trainer)[f"{entry['fx']}.{entry['name']}"]
    metric.value, metric._forward_cache = states["values"], states["last"] if entry["on_step"] else None
    if metric.meta.is_mean_reduction:
        metric.cumulated_batch_size = states["images"]


def _are_counts(held: dict[str, Any]) -> bool:
    counts = [held.get(key) for key in ("batches", "devices")]
    return all(isinstance(count, int) and 0 < count < 2**31 for count in counts)


def _are_entries(logged: Any, devices: int) -> bool:
    return isinstance(logged, list) and all(_is_entry(entry, devices) for entry in logged)


def _is_entry(entry: Any, devices: int) -> bool:
    if not isinstance(entry, dict) or not all(isinstance(entry.get(key), kind) for key, kind in _LOGGED.items()):
        return False
    return entry["reduce_fx"] in _REDUCTIONS and all(
        entry[key].shape == (devices,) for key in ("values", "images", "last")
    )
