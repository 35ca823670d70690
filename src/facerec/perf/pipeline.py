"""Speed of loading batches from files, in images per second on one core."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import Compose, Resize, ToTensor

from facerec.data.archives.recordio_writer import pack as pack_record
from facerec.data.archives.recordio_writer import writing_records
from facerec.data.cache import pack
from facerec.data.loading import ImageDataset, PackedDataset, image_loader, normalise
from facerec.data.readers.folders import read_identity_folders
from facerec.data.readers.insightface import InsightFaceRecords
from facerec.data.source import LabelledSource
from facerec.data.synthetic.synthetic_faces import SyntheticFaces
from facerec.perf.comparison import Case, Goal, Rounds
from facerec.perf.timing import Effort, alternate, per_second, threads

FOLDER, RECORDS, CACHE, CACHE_FLOAT = "folder", ".rec", "cache", "cache, normalised"
TORCHVISION = "ImageFolder + ToTensor"
_BATCH, _DRAWN_SIDE = 128, 112


def cases(effort: Effort) -> list[Case]:
    """Return the cases: synthetic faces in JPEG files of 112 x 112, at full size and reduced to 96 x 96."""
    people, images = (2, 4) if effort.quick else (32, 32)
    drawn = f"{people * images:,} JPEGs of {_DRAWN_SIDE} x {_DRAWN_SIDE}, batch {_BATCH}, one process, one thread"
    found = []
    for side, files, cache in ((_DRAWN_SIDE, 2, 20), (96, None, None)):
        goals = (Goal(FOLDER, TORCHVISION, files), Goal(RECORDS, TORCHVISION), Goal(CACHE, TORCHVISION, cache))
        measure = partial(_measure, side, people, images, effort)
        found.append(Case("pipeline", f"{drawn}, to {side} x {side}", "images/s", measure, goals))
    return found


def _measure(side: int, people: int, images: int, effort: Effort) -> Rounds:
    with TemporaryDirectory() as folder, threads(1):
        draw(Path(folder), people, images)
        return per_second(alternate(contenders(Path(folder), side), effort), people * images)


def draw(folder: Path, people: int, images: int) -> None:
    """Write the same images as ``folder/images/LABEL/INDEX.jpg`` and as ``folder/train.rec`` with its .idx."""
    faces = SyntheticFaces(people, images, image_size=_DRAWN_SIDE)
    with writing_records(folder / "train.rec") as records:
        for index, label in enumerate(faces.labels):
            bgr = faces.load(index)[:, :, ::-1]
            data = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, 95))[1].tobytes()
            path = folder / "images" / f"{label:04}" / f"{index:06}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            records.write(index, pack_record(float(label), index, data))


def contenders(folder: Path, side: int) -> dict[str, Callable[[], object]]:
    """Return a function per contender that loads one epoch in random order.

    Ours yield uint8 batches; the normalised contender yields the network's float input.
    """
    labelled = read_identity_folders(folder / "images")
    packed = pack(_dataset(labelled, side), folder / "cache")
    theirs = ImageFolder(str(folder / "images"), Compose([Resize((side, side)), ToTensor()]))
    return {
        FOLDER: partial(_epoch, _loader(_dataset(labelled, side))),
        RECORDS: partial(_epoch, _loader(_dataset(InsightFaceRecords(folder), side))),
        CACHE: partial(_epoch, _loader(packed)),
        CACHE_FLOAT: partial(_normalised_epoch, _loader(packed)),
        TORCHVISION: partial(_epoch, DataLoader(theirs, _BATCH, shuffle=True)),
    }


def _dataset(source: LabelledSource, side: int) -> ImageDataset:
    return ImageDataset(source, source.labels, (side, side))


def _loader(dataset: ImageDataset | PackedDataset) -> DataLoader:
    return image_loader(dataset, _BATCH, num_workers=0, shuffle=True)


def _epoch(loader: DataLoader) -> None:
    for _ in loader:
        pass


def _normalised_epoch(loader: DataLoader) -> None:
    for images, _ in loader:
        normalise(images)
