"""Writing benchmarks in the layout of training: ``ROOT/NAME/NAME_pair.txt`` with images in ``ROOT/NAME/NAME``."""

import filecmp
import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from facerec.data.decode import read_header
from facerec.data.official.image_files import find_images, find_those_there, place_images
from facerec.data.official.pair_lists import Pair
from facerec.data.readers.bin import open_bin
from facerec.data.source import EncodedSource
from facerec.errors import InputError
from facerec.files import remove_leftovers, replacing


class Prepared(NamedTuple):
    """The benchmark that was written: ``folder`` has the images; ``linked`` and ``copied`` count those placed there."""

    benchmark: str
    pairs: int
    images: int
    folder: str
    linked: int = 0
    copied: int = 0


def write_benchmark(
    root: str | Path,
    name: str,
    pairs: Sequence[Pair],
    images: str | Path,
    *,
    link: str = "hard",
    others: Sequence[str] = (),
    shared: str | None = None,
) -> Prepared:
    """Write ``pairs`` and the files in ``images`` that they name as a benchmark in ``root``.

    If ``images`` is already the benchmark's own folder, or the benchmark ``shared`` has the same files, only the list
    is written. All images are found before anything is written. Raises `InputError` for missing images, for a path that
    a pair list cannot contain, and for a benchmark that already exists.

    Args:
        link: one of `image_files.LINKS`.
        others: further images to place, as far as they exist in ``images``.
        shared: another benchmark of ``root``, whose images `read_pairs` uses if this one has none of its own.
    """
    root, images = Path(root), Path(images)
    found = find_images([image for pair in pairs for image in (pair.left, pair.right)], images)
    text = "".join(_pair_line(found[pair.left], found[pair.right], pair.is_same) for pair in pairs)
    paths = set(found.values()) | set(find_those_there(others, images).values())
    own = root / name / name
    _refuse_existing(root, name, may_hold_images=own.exists() and own.samefile(images))
    for folder in [own, *([root / shared / shared] if shared and not own.exists() else [])]:
        if _holds(folder, images, paths):
            with replacing(root / name / f"{name}_pair.txt") as partial:
                partial.write_text(text, encoding="utf-8", newline="\n")
            return Prepared(name, len(pairs), len(paths), str(folder))
    with _new_folder(root / name) as partial:
        copied = place_images(sorted(paths), images, partial / name, link)
        (partial / f"{name}_pair.txt").write_text(text, encoding="utf-8", newline="\n")
    return Prepared(name, len(pairs), len(paths), str(own), len(paths) - copied, copied)


def unpack_bin(path: str | Path, root: str | Path, name: str | None = None) -> Prepared:
    """Write InsightFace's verification set in ``path`` as a benchmark in ``root``, with each image's bytes unchanged.

    ``name`` defaults to the file's. Raises `InputError` like `write_benchmark`, and for a record that is not an image.
    """
    benchmark = open_bin(path)
    root, name, images = Path(root), name or benchmark.name, benchmark.images
    assert isinstance(images, EncodedSource)
    _refuse_existing(root, name, may_hold_images=False)
    files: list[str] = []
    with _new_folder(root / name) as partial:
        (partial / name).mkdir()
        for index in tqdm(range(len(images)), f"writing {name}", unit=" images", delay=2):
            data = images.encoded(index)
            files.append(f"{index:06d}{read_header(data, images.name(index)).suffix}")
            (partial / name / files[-1]).write_bytes(data)
        sides = zip(benchmark.left.tolist(), benchmark.right.tolist(), benchmark.is_same.tolist(), strict=True)
        text = "".join(_pair_line(files[left], files[right], is_same) for left, right, is_same in sides)
        (partial / f"{name}_pair.txt").write_text(text, encoding="utf-8", newline="\n")
    return Prepared(name, len(benchmark), len(images), str(root / name / name), copied=len(images))


def _refuse_existing(root: Path, name: str, may_hold_images: bool) -> None:
    if Path(name).name != name or name in ("", ".", ".."):
        raise InputError(f"{name!r} cannot be the name of a benchmark: give one without slashes")
    file = root / name / f"{name}_pair.txt"
    if file.exists():
        raise InputError(f"{file} is there already: remove {root / name} or choose another root= or name=")
    if not may_hold_images and (root / name).is_dir() and any((root / name).iterdir()):
        remedy = f"remove it, choose another root=FOLDER, or give its images as images={root / name / name}"
        raise InputError(f"{root / name} is there already: {remedy}")


def _holds(folder: Path, images: Path, paths: Collection[str]) -> bool:
    """Return whether the files at ``paths`` in both folders are the same."""
    if not folder.is_dir():
        return False
    if folder.samefile(images):
        return True
    files = (
        (folder / path, images / path) for path in tqdm(paths, f"comparing with {folder}", unit=" images", delay=2)
    )
    return all(ours.is_file() and filecmp.cmp(ours, theirs, shallow=False) for ours, theirs in files)


def _pair_line(left: str, right: str, is_same: bool) -> str:
    for path in (left, right):
        if path != path.strip() or path.startswith("#") or set(path) & set("\t\r\n"):
            problem = "cannot be in a pair list, where a first #, tabs, line breaks and outer spaces mean something"
            raise InputError(f"image {path!r} {problem}: rename it")
    separator = "\t" if any(character.isspace() for character in left + right) else " "
    return f"{left}{separator}{right}{separator}{1 if is_same else -1}\n"


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder next to ``folder``, which replaces it when complete and is removed after an error."""
    partial = folder.with_name(f".partial.{os.getpid()}.{folder.name}")
    try:
        remove_leftovers(folder)
        partial.mkdir(parents=True)
        yield partial
        os.replace(partial, folder)
    except OSError as error:
        problem = f"{folder} cannot be written ({error.strerror or error}, {error.filename})"
        raise InputError(f"{problem}: free space or choose another folder") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
