"""The affinity maps of each epoch, kept in one small file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
from lightning_utilities.core.rank_zero import rank_zero_only

from facerec.data.whole_arrays import read_whole
from facerec.errors import InputError
from facerec.files import replacing
from facerec.plots.network import spatial_layers, spread

EPOCHS = "epochs"
Maps = dict[str, np.ndarray]


class AffinityMapsFile(pl.Callback):
    """Adds the affinity maps of evenly spaced layers to the NumPy file ``path`` after each epoch.

    The file holds ``epochs`` ``(E,)``, counted from 0, and, by the layer's name in the network, its maps
    ``(E, maps, H, W)`` as float16. A resumed run keeps those of earlier epochs; the file is replaced atomically. A
    network without such layers leaves no file.

    Args:
        path: ends in .npz.
        max_layers: number of layers at most, including the first and the last.
    """

    def __init__(self, path: str, max_layers: int = 6) -> None:
        if max_layers < 1:
            raise ValueError(f"max_layers must be at least 1, got {max_layers}")
        self.path, self.max_layers = Path(path), max_layers

    @rank_zero_only
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Raise `InputError` now, and not after an epoch, if the maps of earlier epochs cannot be read."""
        read_maps(self.path)

    @rank_zero_only
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        layers = spread(spatial_layers(pl_module.backbone), self.max_layers)
        if not layers:
            return
        new = {name: layer.affinity_maps.detach().half().cpu().numpy() for name, layer in layers.items()}
        new[EPOCHS] = np.array([trainer.current_epoch])
        before = read_maps(self.path)
        if before and {k: v.shape[1:] for k, v in before.items()} == {k: v.shape[1:] for k, v in new.items()}:
            earlier = before[EPOCHS] < trainer.current_epoch
            new = {name: np.concatenate((before[name][earlier], maps)) for name, maps in new.items()}
        with replacing(self.path) as partial, partial.open("wb") as file:
            np.savez_compressed(file, **new)  # pyright: ignore[reportArgumentType]


def read_maps(path: Path) -> Maps:
    """Return ``epochs`` and the maps of each layer, or nothing if there is no file; `InputError` if it is damaged."""
    if not path.is_file():
        return {}
    try:
        maps = read_whole(path, compressed=True)
        dimensions = {name: 1 if name == EPOCHS else 4 for name in maps}
        if any(v.ndim != dimensions[name] or len(v) != len(maps[EPOCHS]) for name, v in maps.items()):
            raise ValueError("it has not the maps of each epoch")
        return maps
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{path} is damaged ({error}): remove it, and a run that goes on keeps the maps of the epochs to come"
        ) from error
