"""The programs as a person starts them, but in this process: to import PyTorch takes longer than a small run."""

import importlib.util
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from unittest import mock

import numpy as np
import torch
from hydra.core.global_hydra import GlobalHydra

from facerec.commands import train_run
from facerec.data.synthetic.synthetic_faces import SyntheticFaces

ROOT = Path(__file__).resolve().parents[1]

# 8 people to train on in 4 steps an epoch, 20 to verify.
DATA = [
    *("data=synthetic", "data.num_identities=8", "data.images_per_identity=8", "data.global_batch_size=16"),
    *("data.num_test_identities=20", "data.num_pairs=40", "data.num_workers=0"),
]
DEPTHWISE = [*DATA, "trainer=cpu", "image_size=32", "width=0.1", "embedding_dim=16", "operator=depthwise"]
TVCONV = [*DEPTHWISE[:-1], "operator=tvconv", "operator.generator_channels=4", "operator.generator_layers=0"]
# The rate falls before the last epoch.
THREE_EPOCHS = ["trainer.max_epochs=3", "optimizer.lr=0.02", "lr_scheduler.milestones=[2]"]
ONE_EPOCH = ["trainer.max_epochs=1"]


def program(name: str) -> ModuleType:
    """``train.py``, fresh."""
    spec = importlib.util.spec_from_file_location(f"program_{Path(name).stem}", ROOT / name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def train(folder: Path, *arguments: str) -> int:
    """Exit status of ``python train.py ARGUMENTS`` in ``folder``; the runs are below ``folder/outputs``."""
    folder.mkdir(parents=True, exist_ok=True)
    with as_program(folder, *arguments):
        try:
            return train_run.program(list(arguments))
        except SystemExit as ended:  # Hydra's way to end with a traceback
            return int(ended.code or 0)


def trained(folder: Path, *arguments: str) -> Path:
    """The folder of the run that `train` leaves in the empty ``folder``."""
    assert train(folder, *arguments) == 0
    return only_run(folder)


def only_run(folder: Path) -> Path:
    (run,) = (path for path in (folder / "outputs").glob("*/*") if path.is_dir())
    return run


def finished_run(folder: Path) -> Path:
    """The one finished run below ``folder``, which may have others that ended before their first checkpoint."""
    (results,) = folder.glob("outputs/*/*/results.json")
    return results.parent


@contextmanager
def as_program(folder: Path, *arguments: str) -> Iterator[None]:
    """Work in ``folder``; what a program changes in its process is put back at the end."""
    root, lightning = logging.getLogger(), logging.getLogger("pytorch_lightning")
    before = (root.handlers[:], root.level, lightning.level, torch.get_rng_state(), os.getcwd())
    os.chdir(folder)
    with (
        mock.patch.object(sys, "argv", ["train.py", *arguments]),
        mock.patch.dict(os.environ, HYDRA_MAIN_MODULE="__main__"),
        mock.patch.object(SyntheticFaces, "load", _drawn_once),
    ):
        try:
            yield
        finally:
            root.handlers[:], root.level, lightning.level = before[:3]
            torch.set_rng_state(before[3])
            torch.use_deterministic_algorithms(False)
            torch.utils.deterministic.fill_uninitialized_memory = True
            GlobalHydra.instance().clear()
            os.chdir(before[4])


_drawn: dict[tuple[str, int], np.ndarray] = {}
_draw = SyntheticFaces.load


def _drawn_once(faces: SyntheticFaces, index: int) -> np.ndarray:
    """Drawing a face takes longer than all that is done to it here."""
    key = (faces.fingerprint(), int(index))
    if key not in _drawn:
        _drawn[key] = _draw(faces, index)
    return _drawn[key]


def as_evaluated(benchmarks: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    """The summaries of a results.json as evaluate has them, which does not know the training set."""
    of_training_set = {"shared_people", "shared_images", "shared_unknown", "unshared_pairs", "unshared_people"}
    of_training_set |= {"accuracy_unshared", "accuracy_unshared_error", "accuracy_unshared_interval"}
    return {
        name: {key: value for key, value in summary.items() if key not in of_training_set}
        for name, summary in benchmarks.items()
    }
