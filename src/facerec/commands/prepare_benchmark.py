"""Convert a verification set to the layout that training reads, or to a .bin file.

    facerec prepare_benchmark lfw      images=ALIGNED_LFW pairs=pairs.txt root=data
    facerec prepare_benchmark cfp_ff   images=CFP/Images protocol=CFP/Protocol root=data
    facerec prepare_benchmark cfp_fp   images=CFP/Images protocol=CFP/Protocol root=data
    facerec prepare_benchmark calfw    images=calfw/aligned pairs=pairs_CALFW.txt root=data
    facerec prepare_benchmark cplfw    images=cplfw/aligned pairs=pairs_CPLFW.txt root=data
    facerec prepare_benchmark agedb_30 images=03_Protocol_Images pairs=04_FINAL_protocol_30_years.mat root=data
    facerec prepare_benchmark list     images=OWN pairs=own.txt name=own root=data
    facerec prepare_benchmark bin lfw.bin root=data
    facerec prepare_benchmark to-bin root=data name=lfw out=lfw.bin

The layout is a list ROOT/NAME/NAME_pair.txt and images in ROOT/NAME/NAME. Images keep their paths and their bytes; the
result has those that the lists name (and the rest of CFP's, if they exist). link=hard shares the files with images=,
which takes no space, but a program that changes a file in place changes both; files that cannot be linked, as between
two disks, are copied. With link=symbolic, images= must stay where it is. link=copy makes independent files. If images=
is ROOT/NAME/NAME itself, or if cfp_ff already has the images of cfp_fp, only the list is written. An image with another
suffix than in the list, as after alignment (.png instead of .jpg), is found too. `list` reads lines LEFT RIGHT FLAG;
with deal=true, it deals them in turn into ten folds, each with pairs of one person and of two, in whatever order they
are listed. Every image of a pair must exist, and the benchmark must not; otherwise nothing is written. Images must
already be aligned: see facerec align_faces. The last line on standard output is JSON.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from facerec.config.settings import command, setting, subcommands
from facerec.console import log
from facerec.data.official.agedb import read_agedb_pairs
from facerec.data.official.cfp import cfp_images, read_cfp_pairs
from facerec.data.official.cross import read_cross_pairs
from facerec.data.official.layout import Prepared, unpack_bin, write_benchmark
from facerec.data.official.lfw import read_lfw_pairs
from facerec.data.official.pair_lists import Pair, read_plain_pairs
from facerec.data.readers.bin import write_bin
from facerec.data.readers.folders import read_pairs
from facerec.errors import InputError


@dataclass
class PairsSettings:
    """lfw, calfw, cplfw, agedb_30, list:"""

    interrupted = "interrupted: nothing was written"

    images: Path = setting("the folder to which the lists' paths are relative")
    pairs: Path = setting("the official list of pairs")
    root: Path = setting("the folder of all data", written="folder")
    link: Literal["hard", "symbolic", "copy"] = setting("how images are transferred", "hard")
    name: str | None = setting("name of the benchmark; by default the first word, except for list", None)


@dataclass
class ListSettings(PairsSettings):
    """list, also:"""

    deal: bool = setting("deal the pairs into ten folds with both kinds, instead of keeping their order", False)


@dataclass
class CfpSettings:
    """cfp_ff, cfp_fp:"""

    interrupted = PairsSettings.interrupted

    images: Path = setting("the folder to which the lists' paths are relative")
    protocol: Path = setting("CFP's Protocol folder")
    root: Path = setting("the folder of all data", written="folder")
    link: Literal["hard", "symbolic", "copy"] = setting("how images are transferred", "hard")
    name: str | None = setting("name of the benchmark; by default the first word", None)


@dataclass
class BinSettings:
    """bin:"""

    interrupted = PairsSettings.interrupted

    bin: Path = setting("a verification set in InsightFace's format", word=True)
    root: Path = setting("the folder of all data", written="folder")
    name: str | None = setting("name of the benchmark; by default the file's", None)


@dataclass
class ToBinSettings:
    """to-bin:"""

    interrupted = PairsSettings.interrupted

    root: Path = setting("the folder of all data")
    name: str = setting("name of the benchmark")
    out: Path = setting("the .bin file to write", written=True)


def _from_pairs(form: str, settings: PairsSettings) -> dict[str, Any]:
    return _written(settings, settings.name or form, _read_pairs(form, settings.pairs))


def _from_list(settings: ListSettings) -> dict[str, Any]:
    if settings.name is None:
        raise InputError("no name given: add name=...")
    return _written(settings, settings.name, read_plain_pairs(settings.pairs, settings.deal))


def _written(settings: PairsSettings, name: str, pairs: list[Pair]) -> dict[str, Any]:
    return _said(write_benchmark(settings.root, name, pairs, settings.images, link=settings.link))


def _from_cfp(form: str, settings: CfpSettings) -> dict[str, Any]:
    pairs = read_cfp_pairs(settings.protocol, form.removeprefix("cfp_").upper())
    others, name = cfp_images(settings.protocol), settings.name or form
    shared = "cfp_ff" if name == "cfp_fp" else None
    return _said(
        write_benchmark(settings.root, name, pairs, settings.images, link=settings.link, others=others, shared=shared)
    )


def _from_bin(settings: BinSettings) -> dict[str, Any]:
    return _said(unpack_bin(settings.bin, settings.root, settings.name))


def _said(prepared: Prepared) -> dict[str, Any]:
    log(
        f"{prepared.benchmark}: {prepared.pairs} pairs, {prepared.images} images in {prepared.folder} "
        f"({prepared.linked} linked, {prepared.copied} copied)"
    )
    return prepared._asdict()


def _read_pairs(form: str, file: Path) -> list[Pair]:
    if form == "lfw":
        return read_lfw_pairs(file)
    if form == "agedb_30" and file.suffix == ".mat":
        return read_agedb_pairs(file)
    return read_cross_pairs(file) if form in ("calfw", "cplfw") else read_plain_pairs(file)


def _to_bin(settings: ToBinSettings) -> dict[str, Any]:
    if settings.out.exists():
        raise InputError(f"{settings.out} already exists: remove it or choose another out=FILE")
    benchmark = read_pairs(settings.root, settings.name)
    write_bin(benchmark, settings.out)
    log(f"{settings.out}: {len(benchmark)} pairs, {2 * len(benchmark)} images")
    return {"benchmark": settings.name, "pairs": len(benchmark), "file": str(settings.out)}


main = subcommands(
    {form: command(PairsSettings, partial(_from_pairs, form)) for form in ("lfw", "calfw", "cplfw", "agedb_30")}
    | {"list": command(ListSettings, _from_list)}
    | {form: command(CfpSettings, partial(_from_cfp, form)) for form in ("cfp_ff", "cfp_fp")}
    | {"bin": command(BinSettings, _from_bin), "to-bin": command(ToBinSettings, _to_bin)}
)
