"""InsightFace's training sets (``train.rec``) in all dialects.

The classic builder (``face2rec2.py``) writes the images with keys 1, 2, ..., then one record without an image per
identity, which has the range of keys of its images, and finally key 0, which has the ranges of both. All other writers
(``im2rec``, the shuffling scripts, the newer ``insightface`` package) store images only, with or without a list of
labels. In every dialect the class label of an image is the first label of its own record.
"""

import hashlib
import warnings
from functools import partial
from pathlib import Path

import numpy as np

from facerec.data.cache import Contents, cached_contents
from facerec.data.decode import decode_rgb
from facerec.data.readers.recordio import RecordFile
from facerec.data.shared_arrays import SharedArrays
from facerec.data.source import EncodedLabelledSource, digest, refusing_unreadable
from facerec.errors import InputError

# Raise it when the index of an archive is read differently than before, which invalidates caches.
VERSION = 1
_EXACT_IN_FLOAT32 = 2**24


class InsightFaceRecords(SharedArrays, EncodedLabelledSource):
    """The training set ``<root>/<name>.rec``, in the order of the file.

    ``labels`` number the class labels that occur, in ascending order, from 0. A ``property`` file that disagrees causes
    a warning and is otherwise ignored. In the classic dialect the constructor reads a few records per identity and
    takes the other labels from the ranges; in other dialects, and if ranges and labels disagree, it reads the first 40
    bytes of every record. ``cache`` is the folder of `cached_contents`.
    """

    def __init__(self, root: str | Path, name: str = "train", cache: Path | None = None):
        root = Path(root)
        path = root / f"{name}.rec"
        files = path, path.with_suffix(".idx")
        contents = cached_contents(cache, files, f"insightface {VERSION}", partial(_read_contents, path))
        self.records = RecordFile.from_table(path, contents.keys, contents.offsets)
        self._positions = contents.positions
        self._classes, self.labels = _number_from_0(contents.classes.astype(np.int64))
        self.num_identities = len(self._classes)
        if name == "train":  # a folder has one such file, which describes train.rec
            _compare_with_property(root / "property", self.num_identities, len(self))

    def __len__(self) -> int:
        return len(self._positions)

    def load(self, index: int) -> np.ndarray:
        return decode_rgb(self.encoded(index), self.name(index))

    def encoded(self, index: int) -> bytes:
        return self.records.record(self._positions[index])[1]

    def name(self, index: int) -> str:
        """Return ``train.rec record 12``, with the key in the index, as for MXNet's ``read_idx``."""
        return f"{self.records.path.name} record {self.reference(index)}"

    def identity_name(self, label: int) -> str:
        """Return the class label as it is stored."""
        return str(self._classes[label])

    def missing_classes(self) -> np.ndarray:
        return np.setdiff1d(np.arange(self._classes[-1]), self._classes, assume_unique=True)

    def reference(self, index: int) -> str:
        """Return the key of the image's record."""
        return str(self.records.keys[self._positions[index]])

    @property
    def keys(self) -> np.ndarray:
        """Keys of all images' records, int64 ``(N,)``."""
        return self.records.keys[self._positions]

    def fingerprint(self) -> str:
        arrays = self.keys, self.labels
        return digest([self.records.path.name, *(hashlib.sha256(array.data).hexdigest() for array in arrays)])

    def state(self) -> str:
        file = self.records.path.stat()
        return digest([f"{file.st_size} {file.st_mtime_ns}"])


def _read_contents(path: Path) -> Contents:
    records = RecordFile(path)
    return Contents(records.keys, records.offsets, *_read_classes(records))


def _read_classes(records: RecordFile) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of the images, ascending, and the stored class label of each."""
    is_classic, num_images, num_keys = _read_key_zero(records)
    found = _classes_by_identity(records, num_images, num_keys) if is_classic else None
    positions, classes = found or _classes_by_image(records, is_classic)
    is_class = (classes >= 0) & (classes <= _EXACT_IN_FLOAT32) & (classes == np.floor(classes))
    if not is_class.all():
        wrong = np.argmin(is_class)
        problem = f"{records.path} record {records.keys[positions[wrong]]} has the label {classes[wrong]}"
        raise InputError(f"{problem}: write the file again with integers from 0 to {_EXACT_IN_FLOAT32} as labels")
    return positions, classes


def _number_from_0(classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the class labels that occur, ascending, and each image's index into them, without sorting."""
    occurs = np.zeros(int(classes.max()) + 1, bool)
    occurs[classes] = True
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[classes]


def _read_key_zero(records: RecordFile) -> tuple[bool, int, int]:
    """Return whether the file is classic, and if so its numbers of images and of keys, as stored in float32."""
    position = np.flatnonzero(records.keys == 0)
    if not len(position):
        return False, 0, 0
    header, image = records.record(position[0])
    ranges = np.atleast_1d(header.label)
    # Any image may have a list of two labels, so the record must also have no image.
    if len(ranges) != 2 or image or not 1 < ranges[0] < ranges[1] < np.inf:
        return False, 0, 0
    return True, int(ranges[0]) - 1, int(ranges[1])


def _classes_by_identity(records: RecordFile, num_images: int, num_keys: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Return positions and classes by reading two images per identity; None if the ranges are not conclusive."""
    by_key = np.argsort(records.keys)
    # Above 2^24 the ranges are rounded. Below, they must be contiguous and not empty, from first to last image.
    if num_keys > _EXACT_IN_FLOAT32 or not np.array_equal(records.keys[by_key], np.arange(num_keys)):
        return None
    images, (ranges, _) = by_key[1 : num_images + 1], records.read_labels(by_key[num_images + 1 :])
    bounds = np.append(ranges[:, 0], num_images + 1)
    if bounds[0] != 1 or not np.array_equal(bounds[1:], ranges[:, 1]) or (np.diff(bounds) <= 0).any():
        return None
    begin, end = ranges.astype(np.int64).T
    first, last = records.read_labels(images[begin - 1])[0][:, 0], records.read_labels(images[end - 2])[0][:, 0]
    if (first != last).any():
        return None
    in_file_order = np.argsort(images)
    return images[in_file_order], np.repeat(first, end - begin)[in_file_order]


def _classes_by_image(records: RecordFile, is_classic: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return positions and classes by reading the label of every image."""
    labels, has_image = records.read_labels(np.arange(len(records)))
    is_unexpected = ~has_image & (np.isnan(labels[:, 1]) | (not is_classic))
    if is_unexpected.any() or not has_image.any():
        record, index = f"{records.path} record {records.keys[np.argmax(is_unexpected)]}", records.index_path
        of_another = f"delete {index} if it belongs to another file, or " if index.is_file() else ""
        raise InputError(f"{record} has no image, as in a file that was cut off: {of_another}fetch or write it again")
    _warn_of_left_out(records)
    return np.flatnonzero(has_image), labels[has_image, 0]


def _warn_of_left_out(records: RecordFile) -> None:
    gaps = records.gaps()
    if gaps:
        problem = f"{records.index_path} leaves out records of {records.path}, in {gaps} places"
        warnings.warn(f"{problem}, and they are not trained on: delete it to use them all", stacklevel=3)


def _compare_with_property(path: Path, num_identities: int, num_images: int) -> None:
    # Line 1 is "identities,height,width"; newer builders add the number of images in line 2.
    with refusing_unreadable(str(path), "allow reading it or remove it"):
        lines = [*path.read_text(errors="replace").splitlines(), "", ""] if path.is_file() else ["", ""]
    identities = lines[0].split(",")[0]
    for stated, found, what in ((identities, num_identities, "identities"), (lines[1], num_images, "images")):
        if stated.strip().isdecimal() and int(stated) != found:
            warnings.warn(
                f"{path} says {int(stated)} {what}, but the records have {found}, which is used", stacklevel=3
            )
