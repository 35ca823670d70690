"""Defects to plant in a copy of some faces, to see whether they are found."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from facerec.data.modules import FolderData
from facerec.files import replacing

_SHARE = 0.1  # of the images or identities that get a defect
HELD_OUT = 4  # images of each person of the benchmark that its pairs use; the others are for `people_of_benchmark`

Planted = set[frozenset[str]]  # the images or identities that a finding must name, together


@dataclass
class Copy:
    """A training list and a benchmark ``known`` in ``root``; ``rows`` give the identity of each training image, and
    ``people`` the images of each person of the benchmark, below its folder."""

    root: Path
    rng: np.random.Generator
    rows: dict[str, str] = field(default_factory=dict)
    people: dict[str, list[str]] = field(default_factory=dict)

    def read(self, path: str) -> np.ndarray:
        return cv2.imread(str(self.root / path))  # pyright: ignore[reportReturnType]

    def write(self, path: str, image: np.ndarray, identity: str | None = None, quality: int = 95) -> str:
        """Write a BGR image as JPEG, in the training list where it has an ``identity``; its path."""
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
        return [path for path, who in self.rows.items() if who == identity]

    def some(self) -> list[str]:
        """A tenth of the images, by chance."""
        return self.rng.choice(list(self.rows), max(1, int(_SHARE * len(self.rows))), replace=False).tolist()

    def some_identities(self) -> list[str]:
        """A tenth of the identities, by chance."""
        names = self.identities()
        return self.rng.choice(names, max(1, int(_SHARE * len(names))), replace=False).tolist()

    def other(self, path: str) -> str:
        """An identity that the image does not have, by chance."""
        return str(self.rng.choice([who for who in self.identities() if who != self.rows[path]]))

    def module(self) -> FolderData:
        """The copy as a training run would read it."""
        with replacing(self.root / "train.txt") as partial:
            partial.write_text("".join(f"{path}\t{who}\n" for path, who in self.rows.items()), encoding="utf-8")
        with replacing(self.root / "known/known_pair.txt") as partial:
            partial.write_text("".join(self._pairs()), encoding="utf-8")
        return FolderData(root=str(self.root), train_list="train.txt", benchmarks=["known"], num_workers=0)

    def _pairs(self) -> list[str]:
        """Each image with the next of its person, and with one of the next person."""
        used = [images[:HELD_OUT] for images in self.people.values()]
        same = [f"{a} {b} 1\n" for images in used for a, b in pairwise(images)]
        turned = zip(used, used[1:] + used[:1], strict=True)
        return same + [f"{a} {b} -1\n" for here, there in turned for a, b in zip(here, there, strict=False)]


Plant = Callable[[Copy], Planted]
Change = Callable[[np.ndarray], np.ndarray]


def _each(names: list[str]) -> Planted:
    return {frozenset([name]) for name in names}


def changed(change: Change) -> Plant:
    """Images that are changed where they are."""
    return lambda copy: _each([copy.write(path, change(copy.read(path))) for path in copy.some()])


def again(change: Change | None, across: bool = False, quality: int = 95) -> Plant:
    """Images that are there a second time, changed, or as the same file; ``across``: in another identity."""

    def plant(copy: Copy) -> Planted:
        planted = {path: path.replace(".jpg", "_again.jpg") for path in copy.some()}
        for path, name in planted.items():
            who = copy.other(path) if across else copy.rows[path]
            if change is None:
                copy.write_file(name, (copy.root / path).read_bytes(), who)
            else:
                copy.write(name, change(copy.read(path)), who, quality)
        return {frozenset(pair) for pair in planted.items()}

    return plant


def swap_all(copy: Copy) -> Planted:
    """Red and blue in all training images; the finding names the part."""
    for path in copy.rows:
        copy.write(path, copy.read(path)[..., ::-1])
    return _each(["training set"])


def truncate(copy: Copy) -> Planted:
    """Files that end too early, the first bytes at least being there."""
    for path in (planted := copy.some()):
        content = (copy.root / path).read_bytes()
        copy.write_file(path, content[: int(copy.rng.integers(1, len(content) - 2))])
    return _each(planted)


def remove(copy: Copy) -> Planted:
    """Files of the list that are not there."""
    for path in (planted := copy.some()):
        (copy.root / path).unlink()
    return _each(planted)


def relabel(copy: Copy) -> Planted:
    """One image in twenty with another identity's label."""
    for path in (planted := copy.some()[::2]):
        copy.rows[path] = copy.other(path)
    return _each(planted)


def rename_half(name: Callable[[str], str]) -> Plant:
    """Every second image of some identities under another ``name``."""

    def plant(copy: Copy) -> Planted:
        chosen = copy.some_identities()
        for who in chosen:
            copy.rows |= dict.fromkeys(copy.of(who)[::2], name(who))
        return {frozenset([who, name(who)]) for who in chosen}

    return plant


def leave_one(copy: Copy) -> Planted:
    """Identities that have lost all images but one."""
    chosen = copy.some_identities()
    for who in chosen:
        for path in copy.of(who)[1:]:
            del copy.rows[path]
    return _each(chosen)


def images_of_benchmark(copy: Copy) -> Planted:
    """An image of each person of the benchmark, compressed again, in the training set under another name."""
    planted = {images[0]: f"train/stranger{number}/0.jpg" for number, images in enumerate(copy.people.values())}
    for image, name in planted.items():
        copy.write(name, copy.read(f"known/known/{image}"), name.split("/")[1], quality=60)
    return {frozenset(pair) for pair in planted.items()}


def names_of_benchmark(copy: Copy) -> Planted:
    """Identities that are called like people of the benchmark, but for capitals and separators."""
    names = [who.upper().replace("_", "-") for who in copy.people]
    renamed = dict(zip(copy.some_identities(), names, strict=False))
    copy.rows = {path: renamed.get(who, who) for path, who in copy.rows.items()}
    return _each(list(renamed.values()))


def people_of_benchmark(copy: Copy) -> Planted:
    """Other images of people of the benchmark in the training set, under other names."""
    strangers = {f"stranger{number}": images[HELD_OUT:] for number, images in enumerate(copy.people.values())}
    for who, images in strangers.items():
        for image in images:
            copy.write(f"train/{who}/{Path(image).name}", copy.read(f"known/known/{image}"), who)
    return _each([who for who, images in strangers.items() if images])


def crop(pixels: int) -> Change:
    """Fewer pixels at each edge."""
    return lambda image: np.ascontiguousarray(image[pixels:-pixels, pixels:-pixels])


def mirror(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[:, ::-1])


def scale(share: float) -> Change:
    return lambda image: cv2.resize(image, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)


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
