"""The processes of a run on several devices of one machine."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_original_cwd
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher

from facerec.errors import InputError
from facerec.training.companions import COMPANIONS, FIRST


class Launcher(_SubprocessScriptLauncher):
    """Lightning's launcher, whose processes end together as `facerec.training.companions` says.

    Each of them runs the command line in ``sys.argv``, in the run's folder. Lightning's own looks every five seconds
    and then kills all of them, without a word. Raises `InputError` for other numbers of devices and machines than those
    with which torchrun or SLURM has started the processes.
    """

    def launch(self, function: Callable[..., Any], *args: Any, trainer: pl.Trainer | None = None, **kwargs: Any) -> Any:
        try:
            self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        except ValueError as error:
            raise InputError(f"{error} (config node: trainer)") from error
        COMPANIONS.watch(lambda: self.procs)
        if not self.cluster_environment.creates_processes_externally:
            self._call_children_scripts()
        if "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(max(1, torch.get_num_threads() // self.num_processes))
        return function(*args, **kwargs)

    def _call_children_scripts(self) -> None:
        """Start a process for every other device of this machine."""
        environment = self.cluster_environment
        told = {
            "MASTER_ADDR": environment.main_address,
            "MASTER_PORT": str(environment.main_port),
            "NODE_RANK": str(environment.node_rank()),
            "LOCAL_RANK": "0",
            "WORLD_SIZE": str(self.num_processes * self.num_nodes),
        }
        os.environ.update(told)
        # PyTorch's own warnings have a page of addresses when another process is gone.
        theirs = {**os.environ, FIRST: str(os.getpid()), "TORCH_CPP_LOG_LEVEL": "ERROR"}
        command, folder = _command()
        for rank in range(1, self.num_processes):
            self.procs.append(subprocess.Popen(command, env={**theirs, "LOCAL_RANK": str(rank)}, cwd=folder))


def use_launcher(strategy: Any) -> None:
    """Let ``strategy`` start its processes by `Launcher`, if it does so by Lightning's."""
    theirs = strategy.launcher
    if type(theirs) is _SubprocessScriptLauncher:
        strategy._launcher = Launcher(theirs.cluster_environment, theirs.num_processes, theirs.num_nodes)


def _command() -> tuple[list[str], str]:
    """Return the command line of this program for another device, and the folder to run it in."""
    module = sys.modules["__main__"].__spec__
    program = [os.path.abspath(sys.argv[0])] if module is None else ["-m", module.name]
    if not HydraConfig.initialized():
        return [sys.executable, *program, *sys.argv[1:]], os.getcwd()
    run = [f"hydra.run.dir={HydraConfig.get().runtime.output_dir}", "hydra.output_subdir=null"]
    return [sys.executable, *program, *sys.argv[1:], *run], get_original_cwd()
