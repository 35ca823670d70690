"""What every task shares in training: the optimizer and its schedule, the operators' progress, the checkpoints."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from facerec.data.image_datamodule import ImageDataModule
from facerec.errors import InputError
from facerec.operators.base import SpatialOperator
from facerec.training.evaluator import Evaluator
from facerec.training.inside_epoch import InsideEpoch
from facerec.training.parameter_groups import ParameterGroups
from facerec.training.restored import is_averaged, refuse_odd_state
from facerec.training.schedules import Schedule


@dataclass(frozen=True)
class Training:
    """How a network is trained.

    Attributes:
        optimizer: called with the parameters or parameter groups.
        lr_scheduler: called with the optimizer; a `facerec.training.schedules.Schedule` is stepped after each step,
            others after each epoch.
        config: the resolved configuration, saved in every checkpoint so that its network can be rebuilt.
        groups: weight decay, learning rate and freezing by group; by default all parameters are trained alike.
    """

    optimizer: Callable[[Any], Optimizer]
    lr_scheduler: Callable[[Optimizer], LRScheduler]
    config: dict[str, Any]
    groups: ParameterGroups = field(default_factory=ParameterGroups)


class Learner(Evaluator):
    """Trains ``backbone`` by the loss of its task, and evaluates it after each epoch.

    A task's class derives from it and from the `Evaluator` of its networks, whose arguments follow ``training``. It
    defines `loss`, and `begin`s when all its parts are there.

    Attributes:
        evaluator: the class that evaluates its networks without training.
        init: what the weights started from, saved in every checkpoint for the results of a resumed run; or None.
    """

    evaluator: ClassVar[type[Evaluator]]

    def __init__(self, training: Training, *evaluation: Any) -> None:
        super().__init__(*evaluation)
        self.config, self.groups = training.config, training.groups
        self._optimizer, self._lr_scheduler = training.optimizer, training.lr_scheduler
        self.init: dict[str, Any] | None = None
        self._fingerprints: dict[str, str] = {}
        self._loss: Callable[[tuple[Tensor, ...]], tuple[Tensor, dict[str, Tensor]]] | None = None

    def begin(self) -> None:
        """Freeze what is to be frozen, and set the mode of training."""
        self.groups.freeze_in(self)
        self.train()

    def loss(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a training batch, a mean over its images, and its parts to log by name."""
        raise NotImplementedError(f"{type(self).__name__} has no loss")

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all modules but the frozen norms, which stay in evaluation mode."""
        super().train(mode)
        self.groups.keep_frozen(self)
        return self

    def on_train_start(self) -> None:
        """Raise `InputError` now, and not after an epoch, if a set is not evaluated on whole."""
        trainer = self.trainer
        loaders: Any = trainer.val_dataloaders
        if not loaders:
            return
        for each, loader, batches in zip(self.sets(), loaders, trainer.num_val_batches, strict=True):
            if batches < len(loader):
                self.refuse_part(each, int(batches) * loader.batch_size)

    def on_train_epoch_start(self) -> None:
        self.log("lr", self.trainer.optimizers[0].param_groups[0]["lr"])

    def compile_loss(self, **options: Any) -> None:
        """Compile network and loss of a training batch as one program, by `torch.compile` with ``options``.

        Evaluation, which has batches of other sizes, and what is saved are as before.
        """
        compiled = torch.compile(self.loss, dynamic=False, **options)

        def loss(batch: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, Tensor]]:
            # CUDA graphs write the results of each step to the same memory.
            torch.compiler.cudagraph_mark_step_begin()
            result, parts = compiled(batch)
            return result.clone(), {name: part.clone() for name, part in parts.items()}

        self._loss = loss

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor:
        (loss, parts), images = (self._loss or self.loss)(batch), len(batch[0])
        for name, part in parts.items():
            self.log(f"train/{name}_loss", part, on_step=False, on_epoch=True, sync_dist=True, batch_size=images)
        # On several devices the mean over all of them.
        self.log("train/loss", loss, on_step=True, on_epoch=True, prog_bar=True, sync_dist=True, batch_size=images)
        return loss * (self.trainer.accumulate_grad_batches / self._batches_of_step(batch_idx))

    def _batches_of_step(self, batch_idx: int) -> int:
        """Return how many batches the step of this batch has: fewer in an epoch's last step, if it is not filled.

        Lightning divides every batch's loss by ``accumulate_grad_batches``.
        """
        full, batches = self.trainer.accumulate_grad_batches, int(self.trainer.num_training_batches)
        return min(full, batches - batch_idx // full * full)

    def on_train_batch_start(self, batch: tuple[Tensor, ...], batch_idx: int) -> None:
        """Pass the fraction of training completed to every operator: 0 in the first step, 1 in the last."""
        progress = self.trainer.global_step / max(1, self.trainer.estimated_stepping_batches - 1)
        for module in self.backbone.modules():
            if isinstance(module, SpatialOperator):
                module.on_step(progress)

    def configure_optimizers(self) -> Any:
        optimizer, schedule = self.optimizer_and_schedule()
        if not isinstance(schedule, Schedule):
            return {"optimizer": optimizer, "lr_scheduler": schedule}
        self.trainer.fit_loop.setup_data()  # counts the batches
        schedule.count_steps(math.ceil(self.trainer.num_training_batches / self.trainer.accumulate_grad_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def optimizer_and_schedule(self) -> tuple[Optimizer, Any]:
        """Return a new optimizer and its schedule, one of ours with one step per epoch."""
        optimizer = self.groups.optimizer(self._optimizer, self)
        return optimizer, self._lr_scheduler(optimizer)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if not self._fingerprints:  # slow for millions of pairs
            self._fingerprints = {each.name: each.fingerprint() for each in self.sets()}
        checkpoint["config"], checkpoint["benchmarks"] = self.config, self._fingerprints
        if self.init is not None:
            checkpoint["init"] = self.init

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raise `InputError` if a weight has another shape, as the head's after training on other identities, or if the
        state of the optimizer or its schedule is of another kind."""
        for key in ("state_dict", "current_model_state") if is_averaged(checkpoint) else ("state_dict",):
            self._refuse_other_weights(checkpoint[key])
        refuse_odd_state(checkpoint, *self.optimizer_and_schedule(), self.trainer.fit_loop.state_dict())
        data = getattr(self.trainer, "datamodule", None)
        if isinstance(data, ImageDataModule):
            place = InsideEpoch.read(checkpoint, "the checkpoint")
            epoch = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
            data.go_on(epoch, 0 if place is None else place.batches)

    def _refuse_other_weights(self, state: dict[str, Tensor]) -> None:
        for name in sorted(state.keys() ^ self.state_dict().keys()):
            raise InputError(f"the checkpoint's weights are of another network, by {name}: start without resume")
        for name, weight in self.state_dict().items():
            theirs, ours = state[name].shape, weight.shape
            if theirs != ours:
                raise InputError(
                    f"the checkpoint's {name} has shape {tuple(theirs)} and this run's {tuple(ours)}: resume on the "
                    "same training data (a head has one row per identity) or start without resume"
                )
