"""The base of the modules that evaluate a network, after each training epoch or without training."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NoReturn

import pytorch_lightning as pl
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from facerec.data.held_out import HELD_OUT
from facerec.data.image_datamodule import EvaluatedSet, ImageDataModule
from facerec.errors import InputError

_PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


class Evaluator(pl.LightningModule):
    """Evaluates ``backbone`` on each set of the data module.

    A task's class derives from it. It defines `measure`, `data_module`, and fills `results` at the end of each
    evaluation, of which it logs the `measure` with `log_measures`.

    Args:
        backbone: normalised images ``(B, 3, H, W)`` to what the task makes of them.

    Attributes:
        measure: what is logged as ``NAME/measure`` for each set, and as ``mean_measure``: higher is better.
        data_module: the class of the data modules that have such sets.
        protocol: how is evaluated; it has a ``name``.
        results: what the last evaluation found, for each set by its name.
    """

    measure: ClassVar[str]
    data_module: ClassVar[type[ImageDataModule]]
    protocol: Any

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.to(memory_format=torch.channels_last)
        self.results: dict[str, Any] = {}

    def figures(self) -> dict[str, Figure]:
        """Return figures of the `results` by their titles."""
        return {}

    def setup(self, stage: str) -> None:
        """Raise `InputError` for a precision that makes weights other than float32, which images are."""
        if self.trainer.precision not in _PRECISIONS:
            raise InputError(
                f"trainer.precision={self.trainer.precision} is not supported, since images are float32: take one of "
                f"{', '.join(_PRECISIONS)}"
            )

    def sets(self) -> Sequence[EvaluatedSet]:
        """Return what is evaluated on, in the order of the data module's loaders."""
        data = getattr(self.trainer, "datamodule", None)
        assert isinstance(data, ImageDataModule)
        return data.evaluated_sets()

    @classmethod
    def logged(cls, names: Iterable[str]) -> list[str]:
        """Return what is logged for sets of these names."""
        return [f"mean_{cls.measure}", *(f"{name}/{cls.measure}" for name in names)]

    def log_measures(self, measured: Mapping[str, float]) -> None:
        """Log the measure of each set and the mean; held-out images count in that only if there is nothing else."""
        for name, value in measured.items():
            self.log(f"{name}/{self.measure}", value)
        counted = [value for name, value in measured.items() if name != HELD_OUT or len(measured) == 1]
        self.log(f"mean_{self.measure}", sum(counted) / len(counted), prog_bar=True)

    def monitored(self, monitor: str | None) -> str | None:
        """Return what decides which epoch is the best: held-out images, where there are any, before ``monitor``."""
        has_held_out = any(each.name == HELD_OUT for each in self.sets())
        return f"{HELD_OUT}/{self.measure}" if has_held_out else monitor

    def gathered(self, rows: Tensor, indices: Tensor, of: EvaluatedSet) -> Tensor:
        """Return the ``rows`` ``(B, ...)`` of the images ``indices`` ``(B,)`` of all devices, in the set's order.

        Images that pad a device's part of the set are evaluated twice; one of the two is kept.
        """
        rows, indices = self._of_all_devices(rows).flatten(0, -rows.ndim), self._of_all_devices(indices).flatten()
        number = len(indices.unique())
        if number < of.num_images:
            self.refuse_part(of, number)
        table = rows.new_empty(number, *rows.shape[1:])
        table[indices] = rows
        return table

    def refuse_part(self, of: EvaluatedSet, number: int) -> NoReturn:
        """Raise `InputError`, since only ``number`` of the images of a set would be evaluated on."""
        raise InputError(
            f"{of.name} has {of.num_images} images, of which {number} would be evaluated on: remove "
            "trainer.limit_val_batches and trainer.num_sanity_val_steps"
        )

    def _of_all_devices(self, tensor: Tensor) -> Tensor:
        gathered = self.all_gather(tensor)
        assert isinstance(gathered, Tensor)
        return gathered
