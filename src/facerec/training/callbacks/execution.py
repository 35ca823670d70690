"""How the steps of a training are computed: by recomputed blocks, or by a compiled program."""

import os
import shutil
import sys

import pytorch_lightning as pl

from facerec.errors import InputError
from facerec.operators.common.fused_sequence import recompute_blocks
from facerec.training.learner import Learner

_COMPILERS = ("g++", "clang++", "cl") if sys.platform == "win32" else ("g++", "clang++")


class RecomputedBlocks(pl.Callback):
    """Lets the network's blocks be computed again in the backward pass, while it is trained."""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Raise `InputError` if the network has no blocks in sequence."""
        assert isinstance(pl_module, Learner)
        if not recompute_blocks(pl_module.backbone):
            name = type(pl_module.backbone).__name__
            raise InputError(
                f"trainer.recompute=true has no effect on {name}, which has no blocks in sequence: leave it out"
            )

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, Learner)
        recompute_blocks(pl_module.backbone, False)


class CompiledLoss(pl.Callback):
    """Compiles the learner's network and loss for the training.

    Args:
        cuda_graphs: replay each step's kernels as CUDA graphs.
    """

    def __init__(self, cuda_graphs: bool) -> None:
        self.cuda_graphs = cuda_graphs

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Raise `InputError` if a compiler is missing, or if there is nothing to replay or several batches are added
        up in memory that a replay overwrites."""
        assert isinstance(pl_module, Learner)
        device = trainer.strategy.root_device.type
        if device == "cpu" and not any(map(shutil.which, (os.environ.get("CXX", ""), *_COMPILERS))):
            raise InputError(
                "compile=true needs a C++ compiler on the CPU, and there is no g++: install one, or leave compile out"
            )
        if self.cuda_graphs and device != "cuda":
            raise InputError(f"trainer.cuda_graphs=true needs an NVIDIA GPU, and this run is on {device}: leave it out")
        if self.cuda_graphs and trainer.accumulate_grad_batches > 1:
            raise InputError(
                f"trainer.cuda_graphs=true cannot add up trainer.accumulate_grad_batches="
                f"{trainer.accumulate_grad_batches} gradients, which it writes to the same memory: leave one out"
            )
        pl_module.compile_loss(mode="reduce-overhead" if self.cuda_graphs else "default")
