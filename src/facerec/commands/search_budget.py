"""What the trials of a search will cost, before the first one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from facerec.config import build
from facerec.config.search_cells import Cell, naming
from facerec.config.search_space import Space
from facerec.cost import measure_cost
from facerec.data.datamodule import FaceDataModule
from facerec.data.held_out import HELD_OUT
from facerec.training.before_training import steps_per_epoch

_PASSES = 3  # the backward pass costs about twice the forward pass


@dataclass(frozen=True)
class Budget:
    """What the trials of one compared value cost.

    Attributes:
        trials: number of trials.
        epochs: per trial.
        images: per epoch.
        macs: multiply-adds per image, of the smallest and of the largest network.
    """

    trials: int
    epochs: int
    images: int
    macs: tuple[int, int]

    def training_macs(self) -> float:
        """Return the multiply-adds of all forward and backward passes, with networks half-way between the two."""
        return _PASSES * self.trials * self.epochs * self.images * sum(self.macs) / 2

    def __str__(self) -> str:
        sizes = " to ".join(f"{macs / 1e6:.2f}" for macs in dict.fromkeys(self.macs))
        return (
            f"{self.trials} trials x {self.epochs} epochs x {self.images} images, {sizes} M multiply-adds per image: "
            f"about {self.training_macs():.1e} in training"
        )


def planned(space: Space, cells: Mapping[str, Sequence[Cell]], trials: int) -> tuple[dict[str, Budget], dict[str, str]]:
    """Return the budget per compared value, and the fingerprints of the images.

    Builds each network, so that what cannot be trained is refused with an `InputError` before the first trial.
    """
    first = cells[space.compared[0]][0].cfg
    with naming(space, ""):
        build.check_types(first)
    data = build.build_faces(first)
    data.setup("fit")
    assert data.train_source is not None
    held_out = next(benchmark for benchmark in data.opened_benchmarks if benchmark.name == HELD_OUT)
    fingerprints = {"training images": data.train_source.fingerprint(), "held-out pairs": held_out.fingerprint()}
    limit = first.trainer.get("limit_train_batches")
    steps = steps_per_epoch(1.0 if limit is None else limit, data.batches_per_epoch(devices=1))
    sizes = (trials, first.trainer.max_epochs, steps * data.global_batch_size)
    return {value: Budget(*sizes, _macs(space, of_value, data)) for value, of_value in cells.items()}, fingerprints


def _macs(space: Space, cells: Sequence[Cell], data: FaceDataModule) -> tuple[int, int]:
    """Return the multiply-adds per image of the smallest and of the largest network; each is built with its head."""
    assert data.train_source is not None
    counted: dict[str, int] = {}
    for cell in cells:
        with naming(space, cell.argument):
            build.check_types(cell.cfg)
            build.refuse_other_sizes(cell.cfg)
            backbone = build.build_backbone(cell.cfg)
            recognizer = build.build_learner(cell.cfg, backbone, data.train_source.num_identities)
        network = json.dumps([recognizer.config["backbone"], recognizer.config["operator"]], sort_keys=True)
        if network not in counted:
            height, width = build.build_faces(cell.cfg).image_size
            counted[network] = measure_cost(backbone, (height, width)).macs_paper
    return min(counted.values()), max(counted.values())
