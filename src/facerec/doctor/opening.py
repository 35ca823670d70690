"""The training set and the benchmarks, opened without the lines of their lists, or the identity folders, at which
training would stop."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from facerec.data.datamodule import FaceDataModule
from facerec.data.modules import FolderData, InsightFaceData
from facerec.data.readers.folders import read_identity_folders, read_pairs
from facerec.data.readers.insightface import InsightFaceRecords
from facerec.data.readers.list_rows import read_list
from facerec.data.readers.listing import looked_for
from facerec.data.readers.train_lists import ListedImages, locate_images, read_record_list
from facerec.data.source import Benchmark, LabelledSource
from facerec.doctor.findings import LISTED, TRAIN, Finding
from facerec.errors import InputError
from facerec.files import OUTPUTS

WRONG = {"line": "wrong_lines", "folder": "wrong_folders"}  # names of findings


@dataclass
class Wrong:
    """What is wrong with a ``part``'s list or folders: how many lines or folders, and of the first of them the number
    or the name, and a sentence."""

    part: str
    kind: Literal["line", "folder"] = "line"
    count: int = 0
    details: list[dict[str, int | str]] = field(default_factory=list)

    def __call__(self, place: int | str, sentence: str) -> None:
        self.count += 1
        if self.count <= LISTED:
            self.details.append({self.kind: place, "problem": sentence})


def wrong_of_train(module: FaceDataModule) -> Wrong:
    """Nothing yet."""
    return Wrong(TRAIN, "folder" if isinstance(module, FolderData) and module.train_list is None else "line")


def open_train(module: FaceDataModule, wrong: Wrong) -> LabelledSource:
    """As the module opens it; what it refuses without the ``wrong`` folders, or lines of the list, and with the images
    that are missing, so that each is reported. `InputError` where nothing is left."""
    try:
        return module.open_train()
    except InputError:
        if isinstance(module, FolderData):
            if module.train_list is None:
                return read_identity_folders(Path(module.root) / module.train_folder, wrong)
            return _listed_images(module, module.train_list, wrong)
        if isinstance(module, InsightFaceData) and module.train_list is not None:
            records = InsightFaceRecords(module.root, cache=OUTPUTS / "cache")
            return read_record_list(records, module.root, module.train_list, wrong)
        raise


def _listed_images(module: FolderData, train_list: str, wrong: Wrong) -> ListedImages:
    rows = read_list(module.root, train_list, wrong)
    try:
        return locate_images(rows, module.root, module.train_folder)
    except InputError:
        for folder in (Path(module.root), Path(module.root) / module.train_folder):
            images = ListedImages(folder, rows)
            if len(images.missing()) < len(looked_for(len(images))):
                return images
        raise


def open_benchmark(module: FaceDataModule, name: str, wrong: Wrong) -> Benchmark:
    """As the module opens it; a pair list that it refuses without its ``wrong`` lines. `InputError` where nothing is
    left."""
    try:
        return module.open_benchmark(name)
    except InputError:
        is_listed = isinstance(module, FolderData | InsightFaceData)
        if is_listed and (Path(module.root) / name / f"{name}_pair.txt").is_file():
            return read_pairs(module.root, name, wrong)
        raise


def judge_opening(found: Sequence[Wrong]) -> list[Finding]:
    """The wrong lines and folders of all parts."""
    return [
        Finding(
            name=WRONG[wrong.kind],
            severity="error",
            part=wrong.part,
            count=wrong.count,
            sentence=f"training stops at the first of these {wrong.kind}s; all others were looked at: do what is said "
            "of each",
            details=wrong.details,
        )
        for wrong in found
        if wrong.count
    ]
