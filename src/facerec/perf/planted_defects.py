"""Defects to plant in a copy of a data set, to measure whether the checks find them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from facerec.data.modules import FolderData

_FRACTION = 0.1  # of the images or identities that get a defect
HELD_OUT = 4  # images per person of the benchmark that its pairs use; the others are for `people_of_benchmark`

Planted = set[frozenset[str]]  # for each expected finding, the images or identities that it must name


@dataclass
class Copy:
    """A training list and a benchmark ``known`` in ``root``.

    ``rows`` maps each training image to its identity, ``people`` each person of the benchmark to the paths of their
    images in its folder.
    """

    root: Path
    rng: np.random.Generator
    rows: dict[str, str] = field(default_factory=dict)
    people: dict[str, list[str]] = field(default_factory=dict)

    def read(self, path: str) -> np.ndarray:
        return cv2.imread(str(self.root / path))  # pyright: ignore[reportReturnType]

    def write(self, path: str, image: np.ndarray, identity: str | None = None, quality: int = 95) -> str:
        """Write a BGR image as JPEG and, if it has an ``identity``, add it to the training list; returns ``path``."""
        encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        self.write_file(path, encoded.tobytes(), identity)
        return path

    def write_file(self, path: str, content: bytes, identity: str | None = None) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(content)
        if identity is not None:
            self.rows[path] = identity

    def identities(self) -> list[str]:
        return sorted(set(self.rows.values()))

    def of(self, identity: str) -> list[str]:
        return [path for path, name in self.rows.items() if name == identity]

    def some(self) -> list[str]:
        """Choose a tenth of the images at random."""
        return self.rng.choice(list(self.rows), max(1, int(_FRACTION * len(self.rows))), replace=False).tolist()

    def some_identities(self) -> list[str]:
        """Choose a tenth of the identities at random."""
        names = self.identities()
        return self.rng.choice(names, max(1, int(_FRACTION * len(names))), replace=False).tolist()

    def other(self, path: str) -> str:
        """Choose at random an identity other than the image's."""
        return str(self.rng.choice([name for name in self.identities() if name != self.rows[path]]))

    def module(self) -> FolderData:
        """Write the lists; returns the data module with which a training run would read the copy."""
        (self.root / "train.txt").write_text("".join(f"{path}\t{name}\n" for path, name in self.rows.items()))
        (self.root / "known/known_pair.txt").write_text("".join(self._pairs()))
        return FolderData(root=str(self.root), train_list="train.txt", benchmarks=["known"], num_workers=0)

    def _pairs(self) -> list[str]:
        """Pair each image with the next one of the same person, and with one of the next person."""
        used = [images[:HELD_OUT] for images in self.people.values()]
        same = [f"{a} {b} 1\n" for images in used for a, b in pairwise(images)]
        neighbours = zip(used, used[1:] + used[:1], strict=True)
        return same + [f"{a} {b} -1\n" for one, other in neighbours for a, b in zip(one, other, strict=False)]


Plant = Callable[[Copy], Planted]
Change = Callable[[np.ndarray], np.ndarray]


def _each(names: list[str]) -> Planted:
    return {frozenset([name]) for name in names}


def changed(change: Change) -> Plant:
    """Return a defect that changes images in place."""
    return lambda copy: _each([copy.write(path, change(copy.read(path))) for path in copy.some()])


def again(change: Change | None, across: bool = False, quality: int = 95) -> Plant:
    """Return a defect that adds images a second time, changed or, if ``change`` is None, as the same file; if
    ``across``, in another identity."""

    def plant(copy: Copy) -> Planted:
        planted = {path: path.replace(".jpg", "_again.jpg") for path in copy.some()}
        for path, name in planted.items():
            identity = copy.other(path) if across else copy.rows[path]
            if change is None:
                copy.write_file(name, (copy.root / path).read_bytes(), identity)
            else:
                copy.write(name, change(copy.read(path)), identity, quality)
        return {frozenset(pair) for pair in planted.items()}

    return plant


def swap_all(copy: Copy) -> Planted:
    """Swap red and blue in all training images; the finding names the training set."""
    for path in copy.rows:
        copy.write(path, copy.read(path)[..., ::-1])
    return _each(["training set"])


def truncate(copy: Copy) -> Planted:
    """Truncate files; at least one byte remains."""
    for path in (planted := copy.some()):
        content = (copy.root / path).read_bytes()
        copy.write_file(path, content[: int(copy.rng.integers(1, len(content) - 2))])
    return _each(planted)


def remove(copy: Copy) -> Planted:
    """Delete files that the list names."""
    for path in (planted := copy.some()):
        (copy.root / path).unlink()
    return _each(planted)


def relabel(copy: Copy) -> Planted:
    """Give one image in twenty the label of another identity."""
    for path in (planted := copy.some()[::2]):
        copy.rows[path] = copy.other(path)
    return _each(planted)


def rename_half(name: Callable[[str], str]) -> Plant:
    """Return a defect that renames the identity of every second image of some identities by ``name``."""

    def plant(copy: Copy) -> Planted:
        chosen = copy.some_identities()
        for identity in chosen:
            copy.rows |= dict.fromkeys(copy.of(identity)[::2], name(identity))
        return {frozenset([identity, name(identity)]) for identity in chosen}

    return plant


def leave_one(copy: Copy) -> Planted:
    """Remove all images but one of some identities from the list."""
    chosen = copy.some_identities()
    for identity in chosen:
        for path in copy.of(identity)[1:]:
            del copy.rows[path]
    return _each(chosen)


def images_of_benchmark(copy: Copy) -> Planted:
    """Add one image per person of the benchmark, compressed again, to the training set under another name."""
    planted = {images[0]: f"train/stranger{index}/0.jpg" for index, images in enumerate(copy.people.values())}
    for image, name in planted.items():
        copy.write(name, copy.read(f"known/known/{image}"), name.split("/")[1], quality=60)
    return {frozenset(pair) for pair in planted.items()}


def names_of_benchmark(copy: Copy) -> Planted:
    """Give identities the names of people of the benchmark, except for case and separators."""
    names = [person.upper().replace("_", "-") for person in copy.people]
    renamed = dict(zip(copy.some_identities(), names, strict=False))
    copy.rows = {path: renamed.get(identity, identity) for path, identity in copy.rows.items()}
    return _each(list(renamed.values()))


def people_of_benchmark(copy: Copy) -> Planted:
    """Add other images of people of the benchmark to the training set, under other names."""
    strangers = {f"stranger{index}": images[HELD_OUT:] for index, images in enumerate(copy.people.values())}
    for name, images in strangers.items():
        for image in images:
            copy.write(f"train/{name}/{Path(image).name}", copy.read(f"known/known/{image}"), name)
    return _each([name for name, images in strangers.items() if images])


def crop(pixels: int) -> Change:
    """Return a change that cuts off ``pixels`` at each edge."""
    return lambda image: np.ascontiguousarray(image[pixels:-pixels, pixels:-pixels])


def flip(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[:, ::-1])


def scale(factor: float) -> Change:
    return lambda image: cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def brighten(factor: float) -> Change:
    return lambda image: cv2.convertScaleAbs(image, alpha=factor)


def blacken_top(image: np.ndarray) -> np.ndarray:
    black = image.copy()
    black[: int(0.15 * len(image))] = 0
    return black


def frame_in_grey(image: np.ndarray) -> np.ndarray:
    width = int(0.15 * len(image))
    inside = cv2.resize(image, (image.shape[1] - 2 * width, len(image) - 2 * width), interpolation=cv2.INTER_AREA)
    return cv2.copyMakeBorder(inside, width, width, width, width, cv2.BORDER_CONSTANT, value=(127, 127, 127))
