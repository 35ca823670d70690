"""First values that come from the training images."""

from pathlib import Path

from torch import nn

from facerec.data.datamodule import FaceDataModule


def initialise_from_data(network: nn.Module, data: FaceDataModule, cache: Path) -> None:
    """Give every module with ``starts_from_data`` the mean and deviation of the training images at each position, by
    its ``initialise_maps(statistics)``. Nothing is read where there is none.

    Args:
        network: such as a backbone with TVConv and ``map_init="data"``.
        data: set up to fit.
        cache: folder in which what was computed is kept for the next run on these images.
    """
    waiting = [module for module in network.modules() if getattr(module, "starts_from_data", False)]
    if waiting:
        statistics = data.position_statistics(cache)
        for module in waiting:
            module.initialise_maps(statistics)  # pyright: ignore[reportCallIssue]
