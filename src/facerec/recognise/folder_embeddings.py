"""The embeddings of all photographs in a folder, in a file that an interrupted run continues."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from facerec.data import decode
from facerec.errors import InputError
from facerec.recognise.embedding_file import read_arrays, write_arrays
from facerec.recognise.face_finder import FaceFinder

_KIND = "file of embeddings"
_CHUNK = 8  # photographs per message between processes
_LEAST_SECONDS = 60.0  # between two writings of the file
_SHARE = 20  # at most a twentieth of the time goes into writing
_WANTED = {"paths": "U", "states": "U", "reasons": "U", "boxes": "f", "points": "f", "faces": "iu", "embeddings": "f"}


class _Found(NamedTuple):
    """A photograph: its face, or the reason why there is none."""

    path: str
    state: str
    reason: str = ""
    aligned: np.ndarray | None = None
    box: tuple[float, ...] = (math.nan,) * 4
    points: np.ndarray = np.full((5, 2), math.nan)
    faces: int = 0


@dataclass
class FolderEmbeddings:
    """One row per photograph; where ``reasons`` tells why there is no face, box, points and embedding are NaN.

    Attributes:
        made_by: what embedded the faces.
        paths: relative to the folder.
        states: size and time of each file.
        reasons: empty for a photograph with a face.
        boxes: left, top, width and height of the face.
        points: the five points ``(5, 2)`` of the face.
        faces: number of faces in the photograph, of which the largest is embedded.
        embeddings: float32 ``(D,)`` of length 1.
    """

    made_by: str
    paths: list[str] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    boxes: list[np.ndarray] = field(default_factory=list)
    points: list[np.ndarray] = field(default_factory=list)
    faces: list[int] = field(default_factory=list)
    embeddings: list[np.ndarray] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path, made_by: str) -> "FolderEmbeddings":
        """Read the file ``path``; `InputError` if it is damaged or made by something else than ``made_by``."""
        arrays = read_arrays(path, _KIND, _WANTED, made_by)
        del arrays["made_by"]
        lists = {name: array.tolist() if array.ndim == 1 else list(array) for name, array in arrays.items()}
        return cls(made_by, **lists)

    def write(self, path: Path) -> None:
        """Write the file whole or not at all."""
        width = max((len(row) for row in self.embeddings), default=0)
        rows = [row if len(row) else np.full(width, np.nan) for row in self.embeddings]
        arrays = {
            **{name: np.array(getattr(self, name), dtype=np.str_) for name in ("paths", "states", "reasons")},
            "boxes": np.array(self.boxes, np.float32).reshape(-1, 4),
            "points": np.array(self.points, np.float32).reshape(-1, 5, 2),
            "faces": np.array(self.faces, np.int64),
            "embeddings": np.array(rows, np.float32).reshape(len(rows), width),
        }
        write_arrays(path, _KIND, self.made_by, arrays)

    def only(self, states: dict[str, str]) -> "FolderEmbeddings":
        """Return the rows of photographs that are there, ``states`` by path, and have not changed."""
        kept = [row for row, path in enumerate(self.paths) if states.get(path) == self.states[row]]
        lists = {name: [getattr(self, name)[row] for row in kept] for name in _WANTED}
        return FolderEmbeddings(self.made_by, **lists)

    def add(self, found: _Found, embedding: np.ndarray) -> None:
        for name in ("paths", "states", "reasons"):
            getattr(self, name).append(getattr(found, name[:-1]))
        self.boxes.append(np.array(found.box))
        self.points.append(found.points)
        self.faces.append(found.faces)
        self.embeddings.append(embedding)

    def failures(self) -> dict[str, str]:
        """Return the reason for each photograph without a face."""
        return {path: reason for path, reason in zip(self.paths, self.reasons, strict=True) if reason}


def embed_folder(
    folder: Path,
    paths: list[str],
    finder: FaceFinder,
    embed: Callable[[np.ndarray], np.ndarray],
    out: Path,
    made_by: str,
    num_workers: int,
) -> FolderEmbeddings:
    """Embed the largest face of each photograph, and write the file ``out`` now and then and at the end.

    Args:
        folder: that contains the photographs.
        paths: relative to the folder.
        finder: finds and aligns a face.
        embed: maps aligned faces ``(B, H, W, 3)`` to embeddings ``(B, D)``.
        out: what it has of photographs that have not changed is kept.
        made_by: what embeds the faces.
        num_workers: processes that find and align.

    Raises:
        InputError: ``out`` is of something else, or cannot be written.
    """
    states = {path: _state(folder / path) for path in paths}
    done = FolderEmbeddings.read(out, made_by).only(states) if out.exists() else FolderEmbeddings(made_by)
    known = set(done.paths)
    todo = [(path, state) for path, state in states.items() if path not in known]
    if not todo and out.exists() and len(known) == len(paths):
        return done
    saved = _Saved(done, out)
    try:
        for found in _found(folder, todo, finder, num_workers):
            faces = [one.aligned for one in found if one.aligned is not None]
            rows = iter(embed(np.stack(faces)) if faces else ())
            for one in found:
                done.add(one, np.empty(0, np.float32) if one.aligned is None else next(rows))
            saved.now_and_then()
    finally:
        done.write(out)
    return done


class _Saved:
    """Writes the file now and then: seldom if writing takes long."""

    def __init__(self, done: FolderEmbeddings, out: Path) -> None:
        self.done, self.out, self.next = done, out, time.monotonic() + _LEAST_SECONDS

    def now_and_then(self) -> None:
        start = time.monotonic()
        if start < self.next:
            return
        self.done.write(self.out)
        end = time.monotonic()
        self.next = end + max(_LEAST_SECONDS, _SHARE * (end - start))


def _state(path: Path) -> str:
    try:
        found = path.stat()
    except OSError as error:
        return f"unreadable: {error.strerror}"
    return f"{found.st_size} {found.st_mtime_ns}"


def _found(folder: Path, todo: list[tuple[str, str]], finder: FaceFinder, num_workers: int) -> Iterator[list[_Found]]:
    """Yield what is found in the photographs, some at a time, in order, with a progress bar on standard error."""
    useful = min(num_workers, math.ceil(len(todo) / _CHUNK))
    processes = decode.loading_processes(useful if useful > 1 else 0)
    loader = DataLoader(_Photographs(folder, todo, finder), _CHUNK, collate_fn=list, **processes)
    with tqdm(total=len(todo), desc="embedding", unit=" photographs", file=sys.stderr, mininterval=0.5) as progress:
        for some in loader:
            yield some
            progress.update(len(some))


class _Photographs(Dataset[_Found]):
    """Item i is what is found in the i-th photograph."""

    def __init__(self, folder: Path, todo: list[tuple[str, str]], finder: FaceFinder) -> None:
        self.folder, self.todo, self.finder = folder, todo, finder

    def __len__(self) -> int:
        return len(self.todo)

    def __getitem__(self, index: int) -> _Found:
        path, state = self.todo[index]
        try:
            photograph = self.finder.look(self.folder / path)
            face, aligned = photograph.face(), self.finder.align(photograph)
        except InputError as error:
            return _Found(path, state, str(error))
        return _Found(path, state, "", aligned, face.box, face.points, len(photograph.faces))
