"""Extraction of the images of a ``.rec`` file into folders, byte for byte."""

from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from facerec.data.decode import read_header
from facerec.data.readers.insightface import InsightFaceRecords
from facerec.errors import InputError
from facerec.files import replacing

LIST = "train.txt"
_MARK = ".extracted_from"
_LEFTOVER = ".partial.[0-9]*"  # the names of `replacing`'s temporary files


class Extracted(NamedTuple):
    """The result of `extract`. ``identities`` counts those with an image, ``written`` the images that no earlier,
    interrupted call wrote; ``damaged`` has one sentence per record without a valid image."""

    images: int
    identities: int
    written: int
    damaged: list[str]


def extract(source: InsightFaceRecords, folder: str | Path) -> Extracted:
    """Write every image to ``folder/IDENTITY/KEY.SUFFIX``, with the suffix of its format, and a list of all images,
    lines ``PATH IDENTITY`` in the order of the archive, to ``folder/train.txt``.

    Identities and keys are the archive's numbers, padded to the same number of digits, so that an archive built from
    the folders or the list has the same images in the same order. Images of an interrupted call are kept, and none is
    left half written. Records without a valid image are left out. Raises `InputError` if ``folder`` has other files.
    """
    folder = Path(folder)
    _claim(folder, f"{source.fingerprint()} {source.records.path.stat().st_size}\n", source.records.path)
    # The last identity has the largest number; the last image of the archive need not have the largest key.
    digits = len(source.identity_name(source.num_identities - 1)), len(str(source.records.keys.max()))
    written, damaged, identities = 0, [], set()
    with replacing(folder / LIST) as partial, partial.open("w", encoding="utf-8", newline="\n") as lines:
        for index in tqdm(range(len(source)), f"extracting {source.records.path.name}", unit=" images", delay=2):
            image = source.encoded(index)
            try:
                suffix = read_header(image, source.name(index)).suffix
            except InputError as error:
                damaged.append(str(error))
                continue
            identity = source.identity_name(int(source.labels[index])).zfill(digits[0])
            path = f"{identity}/{source.reference(index).zfill(digits[1])}{suffix}"
            written += _write_once(folder / path, image)
            lines.write(f"{path} {identity}\n")
            identities.add(identity)
    return Extracted(len(source) - len(damaged), len(identities), written, damaged)


def _claim(folder: Path, mark: str, archive: Path) -> None:
    """Check that ``folder`` is empty or has images of this archive, and remove temporary files of killed processes."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is not a folder: choose another one to extract into")
    try:
        _refuse_other_things(folder, mark, archive)
        with replacing(folder / _MARK) as partial:
            partial.write_text(mark, encoding="ascii")
        for leftover in [*folder.glob(_LEFTOVER), *folder.glob(f"*/{_LEFTOVER}")]:
            if leftover.is_file():
                leftover.unlink()
    except OSError as error:
        raise InputError(f"{folder} cannot be used ({error.strerror}): choose another folder") from error


def _refuse_other_things(folder: Path, mark: str, archive: Path) -> None:
    file = folder / _MARK
    if file.is_file():
        if file.read_text(encoding="ascii", errors="replace") != mark:
            raise InputError(f"{folder} holds the images of another archive than {archive}: choose an empty folder")
    elif folder.is_dir() and not all(path.match(f"{_LEFTOVER}.{_MARK}") for path in folder.iterdir()):
        raise InputError(f"{folder} is not empty and does not come from {archive}: choose an empty folder")


def _write_once(path: Path, image: bytes) -> bool:
    if path.is_file() and path.stat().st_size == len(image):
        return False
    with replacing(path) as partial:
        partial.write_bytes(image)
    return True
