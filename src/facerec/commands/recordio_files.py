"""List, extract, build and index InsightFace's .rec files, without MXNet.

    facerec recordio ls faces/train.rec              show what it contains
    facerec recordio extract faces/train.rec OUT     write OUT/IDENTITY/KEY.jpg and the list OUT/train.txt
    facerec recordio build OUT NEW                   write NEW/train.rec, .idx and property from OUT/IDENTITY/IMAGE
    facerec recordio build OUT NEW list=train.txt    ... from a list with one PATH IDENTITY per line
    facerec recordio build faces/train.rec NEW       ... from an archive, or a part of it: a list KEY IDENTITY
    facerec recordio index faces/train.rec           rebuild the .idx file

Images are copied byte for byte and never encoded again. An interrupted extract continues where it stopped; damaged
records are left out and reported. build and index replace files only with force=true, and each file as a whole. build
decodes every image and refuses one that is damaged or has another size. It writes InsightFace's classic layout (with
identity records, key 0 last), or with flat=true only the images, as DALI and newer programs expect; the file property
is written only for name=train. Verification sets (.bin) are handled by facerec prepare_benchmark. The last line on
standard output is JSON.
"""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from facerec.config.settings import command, setting, subcommands
from facerec.console import log
from facerec.data.archives.extraction import LIST, extract
from facerec.data.archives.record_summary import RecordSummary, record_lines, summarise
from facerec.data.archives.recordio_writer import property_of, write_index, write_training_set
from facerec.data.readers.folders import read_identity_folders
from facerec.data.readers.insightface import InsightFaceRecords
from facerec.data.readers.recordio import RecordFile
from facerec.data.readers.train_lists import read_record_list, read_train_list
from facerec.data.source import EncodedLabelledSource, refuse_missing
from facerec.errors import InputError
from facerec.files import check_output_file

SHOWN = 10  # damaged images; the JSON line has all of them
_NO_INDEX = Path(os.devnull)  # not a regular file, so the index is built from the records


@dataclass
class LsSettings:
    """ls:"""

    interrupted = "interrupted: nothing was changed"

    rec: Path = setting("the archive", word=True)
    records: bool = setting("also print KEY LABELS BYTES FORMAT of each record", False)


@dataclass
class ExtractSettings:
    """extract:"""

    interrupted = "interrupted: run the same command again to continue"

    rec: Path = setting("the archive", word=True)
    out: Path = setting("an empty folder, or one from an interrupted extract", word=True, written="folder")


@dataclass
class BuildSettings:
    """build:"""

    interrupted = "interrupted: nothing was written"

    source: Path = setting("a folder with IDENTITY/IMAGE or with the list's paths, or a .rec file", word=True)
    out: Path = setting("the folder for the archive", word=True, written="folder")
    list: Path | None = setting("the images to use, one PATH IDENTITY or KEY IDENTITY per line", None)
    name: str = setting("name of the files", "train")
    flat: bool = setting("write only the images, in the given order", False)
    force: bool = setting("replace an existing archive", False)


@dataclass
class IndexSettings:
    """index:"""

    interrupted = "interrupted: nothing was written"

    rec: Path = setting("the archive", word=True)
    force: bool = setting("replace an existing index", False)


def _ls(settings: LsSettings) -> dict[str, Any]:
    source = _open_records(settings.rec)
    if settings.records:
        for line in record_lines(source.records):
            print(line)
    summary = summarise(source)
    _show(settings.rec, summary)
    return asdict(summary)


def _show(path: Path, summary: RecordSummary) -> None:
    least, median, most = summary.images_per_identity
    sampled = "" if summary.looked_at == summary.images else f" of a sample of {summary.looked_at:,}"
    table = Table(str(path), "")
    for what, found in [
        ("records", f"{summary.records:,}"),
        ("images", f"{summary.images:,}"),
        ("identities", f"{summary.identities:,}"),
        ("images per identity", f"{least:,} to {most:,}, median {median:g}"),
        ("dialect", f"{summary.dialect}, labels per image: {summary.labels_per_image}"),
        ("index", "read from the .idx file" if summary.has_index else "none: built from the records"),
        *((header, f"{count:,} images{sampled}") for header, count in summary.headers.items()),
    ]:
        table.add_row(what, found)
    Console(stderr=True, soft_wrap=True, markup=False, highlight=False).print(table)


def _extract(settings: ExtractSettings) -> dict[str, Any]:
    extracted = extract(_open_records(settings.rec), settings.out)
    for sentence in extracted.damaged[:SHOWN]:
        log(sentence)
    log(
        f"{extracted.images} images of {extracted.identities} identities in {settings.out}, {extracted.written} new, "
        f"{len(extracted.damaged)} damaged images left out"
    )
    return {**extracted._asdict(), "folder": str(settings.out), "list": str(settings.out / LIST)}


def _build(settings: BuildSettings) -> dict[str, Any]:
    path = settings.out / f"{settings.name}.rec"
    for file in (path, path.with_suffix(".idx"), property_of(path)):
        if file and file.exists() and not settings.force:
            raise InputError(f"{file} already exists: add force=true to replace the archive, or choose another folder")
    written = write_training_set(_open(settings.source, settings.list), settings.out, settings.name, flat=settings.flat)
    log(f"{path}: {written.images} images of {written.identities} identities, {written.height}x{written.width}")
    return {**written._asdict(), "file": str(path), "dialect": "flat" if settings.flat else "classic"}


def _open(path: Path, listed: Path | None) -> EncodedLabelledSource:
    if path.is_file() or (path.suffix == ".rec" and not path.is_dir()):
        records = _open_records(path)
        return records if listed is None else read_record_list(records, path.parent, listed)
    if listed is None:
        return read_identity_folders(path)
    images = read_train_list(path, listed)
    refuse_missing(images)
    return images


def _open_records(path: Path) -> InsightFaceRecords:
    _refuse_other_files(path)
    return InsightFaceRecords(path.parent, path.stem)


def _refuse_other_files(path: Path) -> None:
    if path.suffix != ".rec" or path.is_dir():
        raise InputError(
            f"{path} is not a .rec file: give one such as train.rec; for a .bin file use facerec prepare_benchmark"
        )


def _index(settings: IndexSettings) -> dict[str, Any]:
    _refuse_other_files(settings.rec)
    path = settings.rec.with_suffix(".idx")
    if path.exists() and not settings.force:
        raise InputError(f"{path} already exists: add force=true to replace it")
    check_output_file(path, str(path))
    records = RecordFile(settings.rec, _NO_INDEX)
    write_index(records, path)
    log(f"{path}: {len(records)} records")
    return {"records": len(records), "file": str(path)}


main = subcommands(
    {
        "ls": command(LsSettings, _ls),
        "extract": command(ExtractSettings, _extract),
        "build": command(BuildSettings, _build),
        "index": command(IndexSettings, _index),
    }
)
