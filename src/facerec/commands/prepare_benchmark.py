"""Bring a verification set from its official form into the layout that training reads, or write it as a .bin.

    python scripts/prepare_benchmark.py lfw      --images ALIGNED_LFW --pairs pairs.txt --root data
    python scripts/prepare_benchmark.py cfp_ff   --images CFP/Images --protocol CFP/Protocol --root data
    python scripts/prepare_benchmark.py cfp_fp   --images CFP/Images --protocol CFP/Protocol --root data
    python scripts/prepare_benchmark.py calfw    --images calfw/aligned --pairs pairs_CALFW.txt --root data
    python scripts/prepare_benchmark.py cplfw    --images cplfw/aligned --pairs pairs_CPLFW.txt --root data
    python scripts/prepare_benchmark.py agedb_30 --images 03_Protocol_Images --pairs 04_FINAL_protocol_30_years.mat ...
    python scripts/prepare_benchmark.py list     --images OWN --pairs own.txt --name own --root data
    python scripts/prepare_benchmark.py bin lfw.bin --root data
    python scripts/prepare_benchmark.py to-bin --root data --name lfw --out lfw.bin

The layout is ROOT/NAME/NAME_pair.txt over images below ROOT/NAME/NAME. Images keep their paths and their bytes; those
that the lists name are put there (and CFP's others, if there). --link says how: hard (default) shares the file with
--images and costs no space, so a program that changes a file in place changes both; it copies where files cannot be
linked, as between two disks. symbolic needs --images to stay where it is. copy is independent of it. Where --images is
ROOT/NAME/NAME itself, or cfp_ff has the same images for cfp_fp, the list alone is written. A name with another suffix
than the list's, as alignment may leave it (.png for .jpg), is found too. `list` reads LEFT RIGHT FLAG lines. Every
image of a pair must be there, and the benchmark must not; otherwise nothing is written. Images are to be aligned
already: see scripts/align_faces.py. The last line on standard output is JSON.
"""

import argparse
import json
import sys
from pathlib import Path

from facerec.program import run

from facerec.console import log
from facerec.data.official.agedb import read_agedb_pairs
from facerec.data.official.cfp import cfp_images, read_cfp_pairs
from facerec.data.official.cross import read_cross_pairs
from facerec.data.official.image_files import LINKS
from facerec.data.official.layout import Prepared, unpack_bin, write_benchmark
from facerec.data.official.lfw import read_lfw_pairs
from facerec.data.official.pair_lists import Pair, read_plain_pairs
from facerec.data.readers.bin import write_bin
from facerec.data.readers.folders import read_pairs
from facerec.errors import InputError


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    try:
        summary = _to_bin(options) if options.form == "to-bin" else _prepare(options)._asdict()
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr)
        return 130
    print(json.dumps(summary))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    forms = parser.add_subparsers(dest="form", required=True, metavar="FORM")
    for form in ("lfw", "cfp_ff", "cfp_fp", "calfw", "cplfw", "agedb_30", "list"):
        takes = forms.add_parser(form)
        takes.add_argument("--images", required=True, type=Path, help="the folder that the lists' paths start from")
        if form.startswith("cfp"):
            takes.add_argument("--protocol", required=True, type=Path, help="CFP's Protocol folder")
        else:
            takes.add_argument("--pairs", required=True, type=Path, help="the official list of pairs")
        takes.add_argument("--link", choices=LINKS, default="hard", help="how images get there (default: hard)")
        takes.add_argument("--name", required=form == "list", default=form, help="of the benchmark")
        takes.add_argument("--root", required=True, type=Path, help="the folder of all data")
    takes = forms.add_parser("bin")
    takes.add_argument("bin", type=Path, help="a verification set of InsightFace")
    takes.add_argument("--name", help="of the benchmark (default: of the file)")
    takes.add_argument("--root", required=True, type=Path, help="the folder of all data")
    takes = forms.add_parser("to-bin")
    takes.add_argument("--root", required=True, type=Path, help="the folder of all data")
    takes.add_argument("--name", required=True, help="of the benchmark")
    takes.add_argument("--out", required=True, type=Path, help="the file to write")
    return parser


def _prepare(options: argparse.Namespace) -> Prepared:
    if options.form == "bin":
        prepared = unpack_bin(options.bin, options.root, options.name)
    else:
        is_cfp = options.form.startswith("cfp")
        prepared = write_benchmark(
            options.root,
            options.name,
            _read_pairs(options),
            options.images,
            link=options.link,
            others=cfp_images(options.protocol) if is_cfp else (),
            shared="cfp_ff" if options.name == "cfp_fp" else None,
        )
    log(
        f"{prepared.benchmark}: {prepared.pairs} pairs, {prepared.images} images in {prepared.folder} "
        f"({prepared.linked} linked, {prepared.copied} copied)"
    )
    return prepared


def _read_pairs(options: argparse.Namespace) -> list[Pair]:
    if options.form.startswith("cfp"):
        return read_cfp_pairs(options.protocol, options.form.removeprefix("cfp_").upper())
    if options.form == "lfw":
        return read_lfw_pairs(options.pairs)
    if options.form == "agedb_30" and options.pairs.suffix == ".mat":
        return read_agedb_pairs(options.pairs)
    return read_cross_pairs(options.pairs) if options.form in ("calfw", "cplfw") else read_plain_pairs(options.pairs)


def _to_bin(options: argparse.Namespace) -> dict[str, object]:
    if options.out.exists():
        raise InputError(f"{options.out} is there already: remove it or choose another --out")
    benchmark = read_pairs(options.root, options.name)
    write_bin(benchmark, options.out)
    log(f"{options.out}: {len(benchmark)} pairs, {2 * len(benchmark)} images")
    return {"benchmark": options.name, "pairs": len(benchmark), "file": str(options.out)}


if __name__ == "__main__":
    run(main)
