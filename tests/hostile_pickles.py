"""Pickles of verification sets that are larger or deeper than they look, and pickles that run programs."""

import os
import pickle
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recordio_writer import png


class Call:
    """Pickles as a call of ``function``."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def touching(marker: Path) -> Call:
    return Call(os.system, f"touch {marker}")


def _laughs() -> bytes:
    """Lists in lists of the same ten lists: 10^9 images."""
    found: Any = [png(0)]
    for _ in range(9):
        found = [found] * 10
    return pickle.dumps((found, [True]))


def _numbers(count: int) -> bytes:
    return pickle.dumps(([b"x"] * (2 * count), [True] * count))


_U1 = b"cnumpy\ndtype\nq\x04U\x02u1\x85R"
_EMPTY = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)Rq\x01"

SETS: dict[str, Callable[[], bytes]] = {
    "lists of the same lists": _laughs,
    "lists a million deep": lambda: b"\x80\x04" + b"]" * 10**6 + b"a" * (10**6 - 1) + b".",
    "tuples a million deep": lambda: b"\x80\x04)" + b"\x85" * 10**6 + b".",
    "a number of a million digits": lambda: b"I" + b"9" * 10**6 + b"\n.",
    "a number of a gigabyte": lambda: b"\x80\x02\x8b" + struct.pack("<i", 2**30) + b"1" * 100 + b".",
    "bytes that are not there": lambda: b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"x.",
    "a frame that is not there": lambda: b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"N.",
    "an array of 10^18 elements": lambda: _EMPTY + b"(K\x01\x8a\x08" + struct.pack("<q", 10**18) + b"\x85" + _U1
    + b"\x89U\x00tb.",
    "text of a gigabyte in an array": lambda: b"\x80\x02cnumpy\ndtype\nU\x0bS1073741824\x85R.",
    "an array of objects in itself": lambda: pickle.dumps((np.array([[1], [2]], object), [True])),
    "a million pairs without an image": lambda: _numbers(10**6),
    "a memo of a billion places": lambda: b"\x80\x02Nr" + struct.pack("<I", 2**31 - 1) + b".",
    "a dictionary of a million keys": lambda: pickle.dumps({str(n): n for n in range(10**6)}),
    "more answers than images": lambda: pickle.dumps(([png(0)], [True] * 10)),
    "answers that are text": lambda: pickle.dumps(([png(0), png(1)], ["yes"])),
    "a set": lambda: pickle.dumps({1, 2}),
}  # fmt: skip


def _saved(path: Path, **arrays: Any) -> None:
    with path.open("wb") as file:
        np.savez(file, allow_pickle=True, **arrays)


def _objects(call: Call) -> np.ndarray:
    found = np.empty(1, object)
    found[0] = call
    return found


def _zipped(path: Path, run: Path, call: Call, place: str) -> None:
    content = torch.load(run / "last.ckpt", weights_only=True)
    node = content
    *nodes, last = place.split("/")
    for key in nodes:
        node = node[key]
    node[last] = call
    torch.save(content, path)


def _pickled(path: Path, run: Path, call: Call) -> None:
    path.write_bytes(pickle.dumps(call))


def _legacy(path: Path, run: Path, call: Call) -> None:
    torch.save(call, path, _use_new_zipfile_serialization=False)


def _torch(path: Path, run: Path, call: Call) -> None:
    torch.save({"a": call}, path)


def _verification_set(path: Path, run: Path, call: Call) -> None:
    path.write_bytes(pickle.dumps(([call, call], [True])))


def _npy(path: Path, run: Path, call: Call) -> None:
    np.save(path, _objects(call), allow_pickle=True)


def _npz(name: str, **others: Any) -> Callable[[Path, Path, Call], None]:
    return lambda path, run, call: _saved(path, **others, **{name: _objects(call)})


# By what they are: the kind of `file_readers`, and how each is written, given its path, a run's folder and the call.
PROGRAMS: dict[str, tuple[str, Callable[[Path, Path, Call], object]]] = {
    **{
        f"a checkpoint's {place}": ("checkpoint to evaluate", partial(_zipped, place=place))
        for place in ("epoch", "config/data/seed", "state_dict/backbone.other", "callbacks/other", "loops")
    },
    "a checkpoint that is no zip file": ("checkpoint to resume", _legacy),
    "a checkpoint that is a pickle": ("checkpoint to evaluate", _pickled),
    "a checkpoint to start from": ("checkpoint to start from", _torch),
    "a classifier of poses": ("classifier of poses", _torch),
    "timm's weights": ("timm's weights, pth", _torch),
    "timm's weights that are no zip file": ("timm's weights, pth", _legacy),
    "a verification set": ("verification set", _verification_set),
    "scores": ("scores", _npz("lfw/scores")),
    "scores of masks": ("scores of masks", _npz("west/images")),
    "affinity maps": ("affinity maps", _npz("epochs")),
    "a teacher's embeddings": ("teacher's embeddings", _npz("embeddings", fingerprint=np.array("f"))),
    "a cache of statistics": ("cache of statistics", _npz("statistics")),
    "a cache of an index": ("cache of an index", _npz("keys")),
    "a cache of pixels": ("cache of pixels", _npy),
    "a cache of a teacher": ("cache of a teacher", _npy),
    "a gallery": ("gallery", _npz("people", kind=np.array("gallery"))),
    "embeddings of a folder": ("embeddings of a folder", _npz("paths", kind=np.array("file of embeddings"))),
    "an index of shards": ("index of shards", _npz("shard")),
}
