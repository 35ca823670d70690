"""The training set and the benchmarks, opened without the lines of their lists at which training would stop."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from facerec.data.datamodule import FaceDataModule
from facerec.data.folders import read_pairs
from facerec.data.insightface import InsightFaceRecords
from facerec.data.listing import looked_for
from facerec.data.modules import FolderData, InsightFaceData
from facerec.data.source import Benchmark, LabelledSource
from facerec.data.train_lists import ListedImages, locate_images, read_record_list
from facerec.data.train_rows import read_list
from facerec.doctor.findings import LISTED, Finding
from facerec.errors import InputError
from facerec.runs import OUTPUTS

WRONG_LINES = "wrong_lines"


@dataclass
class WrongLines:
    """The wrong lines of a ``part``'s list: how many, and of the first of them the number and what is wrong."""

    part: str
    count: int = 0
    details: list[dict[str, int | str]] = field(default_factory=list)

    def __call__(self, number: int, sentence: str) -> None:
        self.count += 1
        if self.count <= LISTED:
            self.details.append({"line": number, "problem": sentence})


def open_train(module: FaceDataModule, wrong: WrongLines) -> LabelledSource:
    """As the module opens it; a list that it refuses without its ``wrong`` lines, and with the images that are
    missing, so that each is reported. `InputError` where nothing is left."""
    try:
        return module.open_train()
    except InputError:
        if isinstance(module, FolderData) and module.train_list is not None:
            return _listed_images(module, module.train_list, wrong)
        if isinstance(module, InsightFaceData) and module.train_list is not None:
            records = InsightFaceRecords(module.root, cache=OUTPUTS / "cache")
            return read_record_list(records, module.root, module.train_list, wrong)
        raise


def _listed_images(module: FolderData, train_list: str, wrong: WrongLines) -> ListedImages:
    rows = read_list(module.root, train_list, wrong)
    try:
        return locate_images(rows, module.root, module.train_folder)
    except InputError:
        for folder in (Path(module.root), Path(module.root) / module.train_folder):
            images = ListedImages(folder, rows)
            if len(images.missing()) < len(looked_for(len(images))):
                return images
        raise


def open_benchmark(module: FaceDataModule, name: str, wrong: WrongLines) -> Benchmark:
    """As the module opens it; a pair list that it refuses without its ``wrong`` lines. `InputError` where nothing is
    left."""
    try:
        return module.open_benchmark(name)
    except InputError:
        is_listed = isinstance(module, FolderData | InsightFaceData)
        if is_listed and (Path(module.root) / name / f"{name}_pair.txt").is_file():
            return read_pairs(module.root, name, wrong)
        raise


def judge_lines(lists: Sequence[WrongLines]) -> list[Finding]:
    """The wrong lines of the lists of all parts."""
    return [
        Finding(
            name=WRONG_LINES,
            severity="error",
            part=wrong.part,
            count=wrong.count,
            sentence="training refuses the list at the first of these lines; all others were looked at: do what is "
            "said of each",
            details=wrong.details,
        )
        for wrong in lists
        if wrong.count
    ]
