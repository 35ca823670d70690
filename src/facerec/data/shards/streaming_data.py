"""The data module of shards."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facerec.checks import check_counts, check_number
from facerec.data.datamodule import FaceDataModule
from facerec.data.modules import read_benchmark
from facerec.data.sampling import Share
from facerec.data.shards.shard_cache import ShardCache
from facerec.data.shards.shard_index import MANIFEST
from facerec.data.shards.shard_order import AHEAD, ShardOrder
from facerec.data.shards.sharded_source import ShardedFaces, open_faces, open_sharded_benchmark
from facerec.data.shards.storage import Storage, open_storage
from facerec.data.source import ALLOW, Benchmark, LabelledSource, OnProblem, refuse, refusing_unreadable
from facerec.data.subset import Subset
from facerec.errors import InputError
from facerec.files import in_home, is_remote, refuse_missing_folder

TRAIN = "train"


@dataclass(kw_only=True, eq=False, repr=False)
class StreamingData(FaceDataModule):
    """Shards of images that ``facerec write_shards`` wrote, in a folder or an object storage.

    Args:
        root: the folder of all shards, or its address ``s3://BUCKET/FOLDER``.
        mixed_shards: number of shards whose images are mixed at a time; with as many as there are, all images are
            mixed, in the order of any other data of the same images.
        shard_cache: folder for copies of shards from an object storage; None: only folders are read.
        shard_cache_gb: largest size of all these copies, in gigabytes.
    """

    root: str
    mixed_shards: int = 64
    shard_cache: str | None = None
    shard_cache_gb: float = 20.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.root, self.shard_cache = in_home(self.root), in_home(self.shard_cache)
        check_counts(mixed_shards=self.mixed_shards)
        check_number("shard_cache_gb", self.shard_cache_gb)

    def open_train(self, on_problem: OnProblem = refuse) -> LabelledSource:
        with refusing_unreadable(f"the training set in {self.root}", ALLOW):
            self._refuse_missing_root()
            return open_faces(self._storage(TRAIN), self._cache())

    def open_benchmark(self, name: str, on_problem: OnProblem = refuse) -> Benchmark:
        with refusing_unreadable(f"benchmark {name} in {self.root}", ALLOW):
            self._refuse_missing_root()
            if not is_remote(self.root) and not Path(self.root, name, MANIFEST).exists():
                return read_benchmark(self.root, name, on_problem)
            return open_sharded_benchmark(self._storage(name), name, self._cache())

    def uniform_images(self, length: int, devices: int, rank: int) -> Share:
        faces, shards = _faces_of(self.train_source)
        in_cache = faces.reader.fits or self.cache is not None
        return ShardOrder(shards, self.mixed_shards, devices, rank, self.seed, None if in_cache else faces.reader.fetch)

    def state_dict(self) -> dict[str, Any]:
        """Return what all data does, and of what the ``order`` of an epoch is, if it is not that of all data."""
        state = super().state_dict()
        if self.train_source is None or self.sampling != "images":
            return state
        faces, shards = _faces_of(self.train_source)
        if self.mixed_shards >= len(np.unique(shards)):
            return state
        return state | {"order": f"data.mixed_shards={self.mixed_shards} of the shards {faces.state()}"}

    def _open_train(self) -> LabelledSource:
        train = super()._open_train()
        if self.cache is None:
            self._refuse_small_cache(*_faces_of(train))
        return train

    def _refuse_small_cache(self, faces: ShardedFaces, shards: np.ndarray) -> None:
        """Raise `InputError` if images would be drawn from more shards than the cache has room for."""
        if faces.reader.fits:
            return
        room = f"data.shard_cache_gb={self.shard_cache_gb:g}"
        whole = 2 * faces.reader.size / 1e9
        if self.sampling != "images":
            problem = f"data.sampling={self.sampling} draws from all shards, which need {whole:.3g} GB"
            raise InputError(f"{problem}, and {room}: raise it, or take data.sampling=images")
        needed = (self.mixed_shards + AHEAD + 1) * max(shard.bytes for shard in faces.reader.shards) / 1e9
        if self.mixed_shards >= len(np.unique(shards)) or needed > self.shard_cache_gb:
            problem = f"data.mixed_shards={self.mixed_shards} need {min(needed, whole):.3g} GB"
            raise InputError(f"{problem}, and {room}: raise it, or mix fewer shards")

    def _storage(self, name: str) -> Storage:
        return open_storage(f"{self.root.rstrip('/')}/{name}")

    def _cache(self) -> ShardCache | None:
        if not is_remote(self.root):
            return None
        if not self.shard_cache:
            problem = f"data.root={self.root} is read through copies on this machine, and data.shard_cache is not set"
            raise InputError(f"{problem}: give it a folder, such as outputs/cache")
        return ShardCache(Path(self.shard_cache), int(self.shard_cache_gb * 1e9))

    def _refuse_missing_root(self) -> None:
        if not is_remote(self.root):
            refuse_missing_folder(self.root)


def _faces_of(train: object) -> tuple[ShardedFaces, np.ndarray]:
    """Return the images in shards of which ``train`` is a part or all, and the shard of each of ``train``."""
    if isinstance(train, Subset):
        faces, shards = _faces_of(train.source)
        return faces, shards[train.positions]
    assert isinstance(train, ShardedFaces)
    return train, train.shards
