"""A `FolderData` of the faces of `image_files`, and a stand-in for Lightning's trainer to run its loaders."""

from types import SimpleNamespace
from typing import Any

from facerec.data.datamodule import FaceDataModule
from facerec.data.modules import FolderData


def trainer(devices: int = 1, rank: int = 0, epoch: int = 0, batch: int = 0, training: bool = True) -> Any:
    """What the data module asks of Lightning's trainer; ``batch_idx`` is, as there, the number of the batch before."""
    progress = SimpleNamespace(current=SimpleNamespace(processed=epoch))
    loop = SimpleNamespace(epoch_loop=SimpleNamespace(batch_idx=batch - 1), epoch_progress=progress)
    return SimpleNamespace(world_size=devices, global_rank=rank, current_epoch=epoch, training=training, fit_loop=loop)


def folder_data(root, **changes: Any) -> FolderData:
    """Three identities of four images and two pairs, small enough for batches of six."""
    arguments = {"benchmarks": ["pairs"], "image_size": (8, 8), "global_batch_size": 6, "num_workers": 0}
    module = FolderData(root=str(root), **{**arguments, **changes})
    module.trainer = trainer()
    return module


def ready(module: FaceDataModule) -> FaceDataModule:
    module.setup("fit")
    return module
