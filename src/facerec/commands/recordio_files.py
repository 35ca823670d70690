"""List, extract, build and index InsightFace's .rec files, without MXNet.

    python scripts/recordio.py ls faces/train.rec              what it holds; --records: a line for each record
    python scripts/recordio.py extract faces/train.rec OUT     OUT/IDENTITY/KEY.jpg and the list OUT/train.txt
    python scripts/recordio.py build OUT NEW                   NEW/train.rec, .idx and property from OUT/IDENTITY/IMAGE
    python scripts/recordio.py build OUT NEW --list train.txt  ... from a list with PATH IDENTITY a line
    python scripts/recordio.py build faces/train.rec NEW       ... from an archive, or some of it: a list KEY IDENTITY
    python scripts/recordio.py index faces/train.rec           rebuild the .idx file

Images are copied byte for byte, never encoded again. An interrupted extract goes on where it was; records that are no
image are left out and named. build and index replace files only with --force, and only by whole ones. build decodes
every image and refuses what is damaged or of another size; it writes InsightFace's classic layout (identity records,
key 0 last), or with --flat the images alone, as DALI and newer programs expect; and property for the name train alone,
whose records that file describes. Verification sets (.bin) are handled by scripts/prepare_benchmark.py. The last line
on standard output is JSON.
"""

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from facerec.program import run

from rich.console import Console
from rich.table import Table

from facerec.console import log
from facerec.data.archives.extraction import LIST, extract
from facerec.data.archives.record_summary import RecordSummary, record_lines, summarise
from facerec.data.archives.recordio_writer import property_of, write_index, write_training_set
from facerec.data.encoded import EncodedLabelledSource
from facerec.data.readers.folders import read_identity_folders
from facerec.data.readers.insightface import InsightFaceRecords
from facerec.data.readers.recordio import RecordFile
from facerec.data.readers.train_lists import read_record_list, read_train_list
from facerec.errors import InputError

SHOWN = 10  # of the damaged images; the JSON line has them all
_NO_INDEX = Path(os.devnull)  # not a regular file, so that the records are walked through


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    try:
        print(json.dumps(options.run(options)))
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(options.interrupted, file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    takes = commands.add_parser("ls", help="what an archive holds")
    takes.add_argument("rec", type=Path)
    takes.add_argument("--records", action="store_true", help="also KEY LABELS BYTES FORMAT of each record")
    takes.set_defaults(run=_ls, interrupted="interrupted: nothing was changed")

    takes = commands.add_parser("extract", help="the images as files")
    takes.add_argument("rec", type=Path)
    takes.add_argument("out", type=Path, help="an empty folder, or one that an interrupted extract left")
    takes.set_defaults(run=_extract, interrupted="interrupted: give the same command again to go on")

    takes = commands.add_parser("build", help="an archive from image files")
    takes.add_argument("source", type=Path, help="a folder of IDENTITY/IMAGE or of --list's paths, or a .rec file")
    takes.add_argument("out", type=Path, help="the folder of the archive")
    takes.add_argument("--list", type=Path, help="the images to take, PATH IDENTITY or KEY IDENTITY a line")
    takes.add_argument("--name", default="train", help="of the files (default: train)")
    takes.add_argument("--flat", action="store_true", help="images alone, in the order given")
    takes.add_argument("--force", action="store_true", help="replace an archive that is there")
    takes.set_defaults(run=_build, interrupted="interrupted: nothing was written")

    takes = commands.add_parser("index", help="rebuild a missing or damaged .idx")
    takes.add_argument("rec", type=Path)
    takes.add_argument("--force", action="store_true", help="replace an index that is there")
    takes.set_defaults(run=_index, interrupted="interrupted: nothing was written")
    return parser


def _ls(options: argparse.Namespace) -> dict[str, Any]:
    source = _open_records(options.rec)
    if options.records:
        for line in record_lines(source.records):
            print(line)
    summary = summarise(source)
    _show(options.rec, summary)
    return asdict(summary)


def _show(path: Path, summary: RecordSummary) -> None:
    least, median, most = summary.images_per_identity
    looked_at = "" if summary.looked_at == summary.images else f" of {summary.looked_at:,} looked at"
    table = Table(str(path), "")
    for what, found in [
        ("records", f"{summary.records:,}"),
        ("images", f"{summary.images:,}"),
        ("identities", f"{summary.identities:,}"),
        ("images an identity", f"{least:,} to {most:,}, median {median:g}"),
        ("dialect", f"{summary.dialect}, labels an image: {summary.labels_per_image}"),
        ("index", "read from the .idx file" if summary.has_index else "none: found by walking through the records"),
        *((header, f"{count:,} images{looked_at}") for header, count in summary.headers.items()),
    ]:
        table.add_row(what, found)
    Console(stderr=True, soft_wrap=True, markup=False, highlight=False).print(table)


def _extract(options: argparse.Namespace) -> dict[str, Any]:
    extracted = extract(_open_records(options.rec), options.out)
    for sentence in extracted.damaged[:SHOWN]:
        log(sentence)
    log(
        f"{extracted.images} images of {extracted.identities} identities in {options.out}, {extracted.written} new, "
        f"{len(extracted.damaged)} damaged ones left out"
    )
    return {**extracted._asdict(), "folder": str(options.out), "list": str(options.out / LIST)}


def _build(options: argparse.Namespace) -> dict[str, Any]:
    path = options.out / f"{options.name}.rec"
    for file in (path, path.with_suffix(".idx"), property_of(path)):
        if file and file.exists() and not options.force:
            raise InputError(f"{file} is there already: add --force to replace the archive, or choose another folder")
    written = write_training_set(_open(options.source, options.list), options.out, options.name, flat=options.flat)
    log(f"{path}: {written.images} images of {written.identities} identities, {written.height}x{written.width}")
    return {**written._asdict(), "file": str(path), "dialect": "flat" if options.flat else "classic"}


def _open(path: Path, listed: Path | None) -> EncodedLabelledSource:
    if path.is_file() or (path.suffix == ".rec" and not path.is_dir()):
        records = _open_records(path)
        return records if listed is None else read_record_list(records, path.parent, listed)
    if listed is None:
        return read_identity_folders(path)
    images = read_train_list(path, listed)
    images.refuse_missing()
    return images


def _open_records(path: Path) -> InsightFaceRecords:
    _refuse_other_files(path)
    return InsightFaceRecords(path.parent, path.stem)


def _refuse_other_files(path: Path) -> None:
    if path.suffix != ".rec" or path.is_dir():
        raise InputError(
            f"{path} is not a .rec file: give one such as train.rec, or a .bin file to scripts/prepare_benchmark.py"
        )


def _index(options: argparse.Namespace) -> dict[str, Any]:
    _refuse_other_files(options.rec)
    path = options.rec.with_suffix(".idx")
    if path.exists() and not options.force:
        raise InputError(f"{path} is there already: add --force to replace it")
    records = RecordFile(options.rec, _NO_INDEX)
    write_index(records, path)
    log(f"{path}: {len(records)} records")
    return {"records": len(records), "file": str(path)}


if __name__ == "__main__":
    run(main)
