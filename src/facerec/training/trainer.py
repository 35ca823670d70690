"""Lightning's trainer with the settings that this project adds to it."""

import inspect
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment

from facerec.errors import InputError
from facerec.training.callbacks.execution import CompiledLoss, RecomputedBlocks
from facerec.training.callbacks.requeue import Requeue
from facerec.training.callbacks.save_inside import SaveInside
from facerec.training.callbacks.weight_average import EMA
from facerec.training.devices import use_launcher
from facerec.training.synced_norms import SyncedNorms


class Trainer(pl.Trainer):
    """Lightning's `Trainer`, with more arguments.

    Args:
        callbacks: as Lightning's, in a list.
        ema: decay per step of the exponential moving average of the weights, which is verified and saved in place of
            the weights; None: no average.
        recompute: keep of each block of the network its input alone, and compute the block again in the backward pass:
            less memory, a longer step, and the same bits.
        compile: train by one program that `torch.compile` makes of network and loss; for GPUs.
        cuda_graphs: with ``compile``, replay each step's kernels as CUDA graphs.
        save_every: a time, such as 30min (or s or h), or a number of steps, such as 500steps, after which the
            checkpoint of the last epoch is written inside an epoch; None: only after epochs.
        grace: seconds after SIGTERM or Ctrl-C to end the step and to write this checkpoint; 0: end at once.
        sync_batchnorm: on several devices, whether norms see the images of all of them, as on one.
        requeue: at SIGUSR1, whether SLURM is told to put the job back in the queue (`Requeue`).
        settings: as Lightning's. Processes on several devices end together (`Launcher`).

    Raises:
        InputError: ``requeue`` outside a job of SLURM.
        ValueError: what `EMA` and `SaveInside` refuse.
    """

    def __init__(
        self,
        *,
        callbacks: Sequence[pl.Callback] = (),
        ema: float | None = None,
        recompute: bool = False,
        compile: bool = False,
        cuda_graphs: bool = False,
        save_every: str | None = None,
        grace: float = 60.0,
        sync_batchnorm: bool = False,
        requeue: bool = False,
        plugins: Sequence[Any] = (),
        **settings: Any,
    ) -> None:
        if requeue and not SLURMEnvironment.detect():
            raise InputError("trainer.requeue=true is for a job of SLURM, started by srun: take trainer=ddp elsewhere")
        if recompute and compile:
            raise ValueError(
                "recompute=true has no effect with compile=true, where the compiler decides what is computed again: "
                "leave one out"
            )
        if cuda_graphs and not compile:
            raise ValueError("cuda_graphs=true has no effect without compile=true: add it, or leave cuda_graphs out")
        added: list[pl.Callback] = [] if ema is None else [EMA(ema)]
        added += [RecomputedBlocks()] if recompute else []
        added += [CompiledLoss(cuda_graphs)] if compile else []
        added += [SaveInside(save_every, grace), *([Requeue()] if requeue else [])]
        plugins = [*plugins, *([SyncedNorms()] if sync_batchnorm else []), *_slurm(plugins)]
        super().__init__(callbacks=[*callbacks, *added], plugins=plugins, **settings)
        use_launcher(self.strategy)


def _slurm(plugins: Sequence[Any]) -> list[ClusterEnvironment]:
    """Return SLURM's environment, if it is one, without Lightning's requeueing, which saves wherever a step is."""
    if not SLURMEnvironment.detect() or any(isinstance(plugin, ClusterEnvironment) for plugin in plugins):
        return []
    return [SLURMEnvironment(auto_requeue=False)]


def _show_all_parameters(constructor: Any) -> None:
    """Let `inspect.signature` and type hints show Lightning's parameters too, by which settings are checked."""
    theirs, ours = inspect.signature(pl.Trainer.__init__), inspect.signature(constructor).parameters
    shown = {**theirs.parameters, **{name: p for name, p in ours.items() if p.kind is not p.VAR_KEYWORD}}
    constructor.__signature__ = theirs.replace(parameters=list(shown.values()))
    constructor.__annotations__ |= {**pl.Trainer.__init__.__annotations__, **constructor.__annotations__}


_show_all_parameters(Trainer.__init__)
