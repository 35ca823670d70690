"""A gallery: the embeddings of people, each with a name, and the search in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facerec.errors import InputError
from facerec.recognise.embedding_file import read_arrays, write_arrays

_KIND = "gallery"
_WANTED = {"people": "U", "photos": "U", "embeddings": "f"}
_BLOCK = 1 << 22  # similarities at once


@dataclass(frozen=True)
class Match:
    """A person of a gallery, with the cosine of the most similar of the person's faces, and its photograph."""

    person: str
    cosine: float
    photo: str


@dataclass(frozen=True, eq=False)
class Gallery:
    """The faces of people.

    Attributes:
        made_by: names the network of all embeddings.
        people: the name of each face's person, text ``(N,)``.
        photos: the photograph of each face, text ``(N,)``.
        embeddings: float32 ``(N, D)`` of length 1.
    """

    made_by: str
    people: np.ndarray
    photos: np.ndarray
    embeddings: np.ndarray

    @classmethod
    def empty(cls, made_by: str) -> "Gallery":
        return cls(made_by, np.empty(0, "U1"), np.empty(0, "U1"), np.empty((0, 0), np.float32))

    @classmethod
    def read(cls, path: Path, made_by: str | None = None) -> "Gallery":
        """Read the file of a gallery; `InputError` if it is damaged or ``made_by`` another network, if one is given."""
        arrays = read_arrays(path, _KIND, _WANTED, made_by)
        if arrays["embeddings"].ndim != 2:
            raise InputError(f"gallery {path} is damaged: enrol its people again")
        return cls(str(arrays.pop("made_by")), **arrays)

    def write(self, path: Path) -> None:
        """Write the gallery whole or not at all."""
        arrays = {"people": self.people, "photos": self.photos, "embeddings": self.embeddings}
        write_arrays(path, _KIND, self.made_by, arrays)

    def __len__(self) -> int:
        return len(self.people)

    @property
    def names(self) -> list[str]:
        """The people, sorted."""
        return sorted(set(self.people.tolist()))

    def with_faces(self, person: str, photos: list[str], embeddings: np.ndarray) -> "Gallery":
        """Return the gallery with faces ``(M, D)`` of ``person``; of the same photographs, the earlier ones go."""
        self._refuse_other_length(embeddings)
        again = (self.people == person) & np.isin(self.photos, photos)
        kept = self._of(~again)
        rows = [kept.embeddings, embeddings] if len(kept) else [embeddings]
        return Gallery(
            self.made_by,
            np.concatenate([kept.people, np.full(len(photos), person)]),
            np.concatenate([kept.photos, np.array(photos)]),
            np.concatenate(rows).astype(np.float32),
        )

    def without(self, person: str) -> "Gallery":
        """Return the gallery without ``person``."""
        return self._of(self.people != person)

    def _of(self, kept: np.ndarray) -> "Gallery":
        return Gallery(self.made_by, self.people[kept], self.photos[kept], self.embeddings[kept])

    def search(self, embeddings: np.ndarray, top: int = 5) -> list[list[Match]]:
        """Return, for each of ``embeddings`` ``(Q, D)`` of length 1, the ``top`` people, the most similar one first.

        The search is exact. A person is as similar as the most similar of the person's faces.
        """
        self._refuse_other_length(embeddings)
        order = np.argsort(self.people, kind="stable")
        names, starts = np.unique(self.people[order], return_index=True)
        found: list[list[Match]] = []
        for cosines in self._blocks(embeddings, order):
            of_people = np.maximum.reduceat(cosines, starts, axis=1)
            for row, best in zip(cosines, of_people, strict=True):
                first = np.argsort(-best, kind="stable")[:top].tolist()
                found.append([self._match(row, order, starts, int(number), names) for number in first])
        return found

    def _refuse_other_length(self, embeddings: np.ndarray) -> None:
        if len(self) and self.embeddings.shape[1] != embeddings.shape[1]:
            lengths = f"{self.embeddings.shape[1]} elements, not {embeddings.shape[1]}"
            raise InputError(f"the gallery's embeddings have {lengths}: it is damaged, so enrol its people again")

    def _blocks(self, embeddings: np.ndarray, order: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the cosines of some rows of ``embeddings`` at a time with all faces in ``order``."""
        faces, rows = self.embeddings[order], max(1, _BLOCK // max(1, len(self)))
        for start in range(0, len(embeddings) if len(self) else 0, rows):
            yield np.clip(embeddings[start : start + rows] @ faces.T, -1, 1)

    def _match(
        self, cosines: np.ndarray, order: np.ndarray, starts: np.ndarray, number: int, names: np.ndarray
    ) -> Match:
        end = starts[number + 1] if number + 1 < len(starts) else len(order)
        best = starts[number] + int(np.argmax(cosines[starts[number] : end]))
        return Match(str(names[number]), float(cosines[best]), str(self.photos[order[best]]))
