"""Time to read the index of a training set, and the memory that it takes."""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import cv2
import numpy as np
from torch.utils.data import DataLoader, Dataset

from facerec.data.readers.insightface import InsightFaceRecords
from facerec.data.readers.recordio import MAGIC
from facerec.data.readers.train_lists import read_train_list
from facerec.data.sampling import UniformImages
from facerec.data.shared_arrays import SharedArrays
from facerec.data.source import LabelledSource
from facerec.perf.comparison import Case, Rounds
from facerec.perf.timing import Effort

LIST, RECORDS = "list of image files", "flat .rec with .idx"
_IMAGES_PER_IDENTITY, _DRAWS, _DEVICES = 100, 100_000, 8
_QUANTITIES = {
    "time to open": "s",
    "memory that it takes": "MB",
    "memory of a forked worker": "MB",
    "memory of a spawned worker": "MB",
}


class Footprint(NamedTuple):
    """Seconds to open the index, and memory in 10^6 bytes: the growth of the process, and what a forked and a spawned
    worker have to themselves, shared with no other process, after their part of an epoch."""

    seconds: float
    resident: float
    forked: float
    spawned: float


def cases(effort: Effort) -> list[Case]:
    """Return the cases of both kinds of index at growing sizes; none on systems that lack Linux's memory accounting."""
    sizes = (1_000, 4_000) if effort.quick else (10_000, 100_000, 1_000_000, 10_000_000)
    if not Path("/proc/self/smaps_rollup").is_file():
        return []
    return [
        Case(
            "index",
            f"{kind}, {_IMAGES_PER_IDENTITY} images per identity: {quantity}",
            unit,
            partial(_measure, kind, sizes, field),
        )
        for kind in (LIST, RECORDS)
        for field, (quantity, unit) in enumerate(_QUANTITIES.items())
    ]


def _measure(kind: str, sizes: Sequence[int], field: int) -> Rounds:
    return {f"{size:,} images": [footprint(kind, size)[field]] for size in sizes}


@cache
def footprint(kind: str, size: int) -> Footprint:
    """Measure a generated index of ``size`` images in its own process."""
    write, opener = {LIST: (write_list, _open_list), RECORDS: (write_records, InsightFaceRecords)}[kind]
    with TemporaryDirectory() as folder:
        write(Path(folder), size)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            return process.submit(_open_and_walk, opener, Path(folder)).result()


def write_list(folder: Path, size: int) -> None:
    """Write ``folder/train.txt``, and, of the images that it lists, only the first."""
    first = folder / _path(0)
    first.parent.mkdir()
    first.touch()
    with (folder / "train.txt").open("w") as file:
        for index in range(size):
            file.write(f"{_path(index)}\tperson_{index // _IMAGES_PER_IDENTITY:06}\n")


def write_records(folder: Path, size: int) -> None:
    """Write ``folder/train.rec`` and its .idx; every image is one black pixel."""
    image = cv2.imencode(".png", np.zeros((1, 1, 3), np.uint8))[1].tobytes()
    image += bytes(-len(image) % 4)
    head = [("magic", "S4"), ("length", "<u4"), ("flag", "<u4"), ("label", "<f4"), ("id", "<u8"), ("id2", "<u8")]
    record = np.dtype([*head, ("image", f"V{len(image)}")])
    with (folder / "train.rec").open("wb") as file, (folder / "train.idx").open("w") as index:
        for start in range(0, size, 100_000):
            keys = np.arange(start, min(start + 100_000, size))
            records = np.zeros(len(keys), record)
            records["magic"], records["length"], records["image"] = MAGIC, record.itemsize - 8, np.void(image)
            records["label"], records["id"] = keys // _IMAGES_PER_IDENTITY, keys
            file.write(records.tobytes())
            index.writelines(f"{key}\t{key * record.itemsize}\n" for key in keys.tolist())


def _path(index: int) -> str:
    return f"person_{index // _IMAGES_PER_IDENTITY:06}/{index:09}.jpg"


def _open_list(folder: Path) -> LabelledSource:
    return read_train_list(folder, "train.txt")


def _open_and_walk(opener: Callable[[Path], LabelledSource], folder: Path) -> Footprint:
    before, start = _memory("Anonymous"), time.perf_counter()
    source = opener(folder)
    seconds = time.perf_counter() - start
    resident = _memory("Anonymous") - before
    indices = list(islice(UniformImages(len(source), _DEVICES, rank=0), _DRAWS))
    workers = [_memory_of_worker(source, indices, method) for method in ("fork", "spawn")]
    return Footprint(seconds, resident, *workers)


def _memory_of_worker(source: LabelledSource, indices: list[int], method: str) -> float:
    """Let one worker look up the images of ``indices``; returns its private memory after the last batch."""
    options: dict[str, Any] = {"num_workers": 1, "collate_fn": float, "multiprocessing_context": method}
    *_, last = DataLoader(_Walk(source), 128, sampler=indices, **options)
    return last


class _Walk(SharedArrays, Dataset):
    """A data set that looks up each batch's images without loading them; its items are the worker's private memory."""

    def __init__(self, source: LabelledSource) -> None:
        self.source, self.targets = source, source.labels

    def __getitems__(self, indices: Sequence[int]) -> float:
        looked_up = {self.source.name(index): self.targets[index] for index in indices}
        assert len(looked_up) == len(indices)
        return _memory("Private_Dirty")


def _memory(kind: str) -> float:
    """Return this process's memory of one ``kind`` in 10^6 bytes, as counted by Linux."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:")) * 1024 / 1e6
