"""InsightFace's verification sets (``lfw.bin``): one pickle of 2P encoded images and P answers."""

import hashlib
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from facerec.data.decode import OneSize, decode_rgb
from facerec.data.readers.safe_pickle import load_plain_pickle
from facerec.data.source import Benchmark, EncodedSource, digest
from facerec.errors import InputError
from facerec.files import replacing


class EncodedImages(EncodedSource):
    """Encoded images in memory, such as JPEG files; each is decoded when it is loaded."""

    def __init__(self, encoded: Sequence[bytes], names: Sequence[str]):
        self._encoded, self._names = list(encoded), list(names)

    def __len__(self) -> int:
        return len(self._encoded)

    def load(self, index: int) -> np.ndarray:
        return decode_rgb(self.encoded(index), self._names[index])

    def encoded(self, index: int) -> bytes:
        return self._encoded[index]

    def name(self, index: int) -> str:
        return self._names[index]

    def fingerprint(self) -> str:
        contents = (hashlib.sha256(encoded).hexdigest() for encoded in self._encoded)
        return digest(f"{name} {content}" for name, content in zip(self._names, contents, strict=True))

    def state(self) -> str:
        return ""  # images in memory do not change


def open_bin(path: str | Path) -> Benchmark:
    """Read a verification set without running anything that its pickle names.

    Pair i consists of images 2i and 2i + 1. Images that are equal byte for byte are one image, named like ``lfw.bin
    image 12`` by the first index. Raises `InputError` for a damaged or hostile file, or another format.
    """
    path = Path(path)
    encoded, is_same = _check_structure(path, load_plain_pickle(path))
    number: dict[bytes, int] = {}
    pairs = np.array([number.setdefault(image, len(number)) for image in encoded], np.int64).reshape(-1, 2)
    _, first_indices = np.unique(pairs, return_index=True)
    images = EncodedImages(list(number), [f"{path.name} image {index}" for index in first_indices])
    return Benchmark(path.stem, images, pairs[:, 0].copy(), pairs[:, 1].copy(), is_same)


def write_bin(benchmark: Benchmark, path: str | Path) -> None:
    """Write ``benchmark`` as InsightFace reads it: a tuple of 2P unchanged encoded images, ``bytes``, and P bools.

    Raises `InputError` for synthetic or damaged images, and for several sizes, which InsightFace cannot load; its
    programs evaluate 112x112.
    """
    path, images = Path(path), benchmark.images
    if not isinstance(images, EncodedSource):
        raise InputError(f"the images of benchmark {benchmark.name} are synthetic: {path} can only hold image files")
    size = OneSize("align all images to one size before an archive is made")
    encoded = []
    for index in tqdm(range(len(images)), f"reading {benchmark.name}", unit=" images", delay=2):
        encoded.append(images.encoded(index))
        size.check(encoded[-1], images.full_name(index))
    pairs = np.stack([benchmark.left, benchmark.right], axis=1).ravel().tolist()
    # Protocol 4 is the newest that Python 3.4 to 3.7 read, which MXNet's users run; 2 would hold text, not bytes.
    content = ([encoded[index] for index in pairs], [bool(answer) for answer in benchmark.is_same])
    with replacing(path) as partial, partial.open("wb") as file:
        pickle.dump(content, file, protocol=4)


def _check_structure(path: Path, content: Any) -> tuple[list[bytes], np.ndarray]:
    if not isinstance(content, list | tuple) or len(content) != 2 or not all(map(_is_sequence, content)):
        raise _wrong(path, "does not hold a list of images and a list of answers")
    images, answers = content
    if len(images) != 2 * len(answers) or not len(answers):
        raise _wrong(path, f"holds {len(images)} images and {len(answers)} answers, not two images for each answer")
    encoded = [_to_bytes(image) for image in images]
    if None in encoded:
        index = encoded.index(None)
        found = "pixels" if isinstance(images[index], np.ndarray) else type(images[index]).__name__
        raise _wrong(path, f"holds {found} instead of the encoded image {index}")
    for index, answer in enumerate(answers):
        if not isinstance(answer, int | np.bool_ | np.integer) or answer not in (0, 1):
            raise _wrong(path, f"holds {type(answer).__name__} instead of true or false as answer {index}")
    return [image for image in encoded if image is not None], np.array(list(answers), bool)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim == 1)


def _to_bytes(image: Any) -> bytes | None:
    """Return the encoded image; some builders store the result of `cv2.imencode`, a row or a column of uint8."""
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.size == max(image.shape, default=0):
        return image.tobytes()
    return image if isinstance(image, bytes) else None


def _wrong(path: Path, problem: str) -> InputError:
    remedy = "write 2P encoded images, each bytes such as a JPEG file, and P answers true or false, or fetch it again"
    return InputError(f"{path} {problem}, so it is not InsightFace's verification set: {remedy}")
