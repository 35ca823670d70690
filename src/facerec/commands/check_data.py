"""Check a data set before a long run: facerec check_data data=folder data.root=faces

The command reads every list and decodes every image. It finds what cannot be opened or read; lines of lists and
identity folders at which training would stop, such as an image that is listed twice; duplicate images, also compressed,
resized, flipped or cropped, in one identity or two; swapped red and blue; other sizes (WIDTHxHEIGHT), wide borders,
images of one colour; identities with one image, class labels without images, similar names; and what the training set
has in common with each benchmark.
Of photographs with masks (data=fundus, data=dofe) it finds missing masks, masks of another size, format or with other
values, without a disc or a cup, in parts, cups that leave the disc, files of 16 bits or with transparency, images that
are in two domains or twice in one, masks of several images, and domains without images.
With subcentre_checkpoint=, the checkpoint of a run with head=subcentre_arcface on the same images, it also finds images
far from the main centre of their identity, and OUT/cleaned.txt is the training list without them.
A table goes to stderr; the last line on stdout is a JSON object: images, identities, images_per_identity, pairs (with
masks: images, domains), image_sizes, unreadable, problems, findings. Exit status 1 when a finding is an error, else 0.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from facerec.config.build import build_images
from facerec.config.compose import compose
from facerec.config.settings import command, run_settings, setting
from facerec.console import terminal
from facerec.data.datamodule import FaceDataModule
from facerec.data.fundus.segmentation_datamodule import SegmentationDataModule
from facerec.data.image_datamodule import ImageDataModule
from facerec.doctor.check import check_data
from facerec.doctor.faces import load_embedder
from facerec.doctor.findings import WRONG, DataReport, Finding, Report, write_examples
from facerec.doctor.mask_summary import domain_table
from facerec.doctor.masked_data import MaskReport, check_masked_data
from facerec.doctor.subcentres import SubCentres, load_subcentres
from facerec.errors import InputError
from facerec.files import check_output_folder, in_home, write_json
from facerec.process import prepare_process

CLEANED = "cleaned.txt"
PAPERS_ANGLE = 75.0  # degrees
SHOWN = 10  # unreadable images, and wrong lines per list; the JSON line and report.json have all of them
SAID_ONE_BY_ONE = (*WRONG.values(), "unusable_masks", "masks_of_other_sizes")


@dataclass
class Settings:
    """Settings:"""

    interrupted = "interrupted: no report was written"

    checkpoint: Path | None = setting("a trained network, to find wrong labels and people with two identities", None)
    trust: bool = setting("also build classes that are not facerec's: only if you trust the checkpoint", False)
    out: Path | None = setting("folder for report.json with every image concerned, and report.png with examples", None)
    subcentre_checkpoint: Path | None = setting(
        "one trained with head=subcentre_arcface on these images, to leave out those far from their main centre", None
    )
    subcentre_angle: float | None = setting(
        "degrees from the main centre at which an image is left out; the paper's 75 by default", None, least=0, most=180
    )
    overrides: tuple[str, ...] = run_settings("as for train: data=..., data.root=... and other settings of the data")


def check(settings: Settings) -> int:
    """Show, print and write the report; returns the exit status."""
    prepare_process()
    if settings.out:
        check_output_folder(settings.out, f"out={settings.out}")
    cfg = compose(list(settings.overrides))
    refuse_useless(settings, cfg)
    report = examined(build_images(cfg), settings)
    show(report, Console(stderr=True, soft_wrap=True, markup=False, highlight=False))
    print(json.dumps(report.summary()), flush=True)
    if settings.out:  # after printing, so that a full disk does not lose the report
        write_json(settings.out / "report.json", report.full())
        write_examples(report.findings, settings.out / "report.png")
        if isinstance(report, DataReport) and report.cleaned is not None:
            print(report.cleaned.write(settings.out / CLEANED), file=sys.stderr)
    return 0 if report.is_sound else 1


def examined(module: ImageDataModule, settings: Settings) -> Report:
    """Check faces, or photographs with masks; raise `InputError` for settings that only faces have."""
    if isinstance(module, SegmentationDataModule):
        for key in ("checkpoint", "subcentre_checkpoint"):
            if getattr(settings, key) is not None:
                raise InputError(
                    f"{key}={getattr(settings, key)} compares faces, and these images have none: leave it out"
                )
        return check_masked_data(module)
    assert isinstance(module, FaceDataModule)
    embedder = load_embedder(settings.checkpoint, settings.trust) if settings.checkpoint else None
    return check_data(module, embedder, centres_of(settings))


def refuse_useless(settings: Settings, cfg: DictConfig) -> None:
    """Raise `InputError` for settings without effect, and for a list that would replace the one that is read."""
    if settings.subcentre_checkpoint is None:
        if settings.subcentre_angle is not None:
            raise InputError(
                f"subcentre_angle={settings.subcentre_angle:g} has no effect without subcentre_checkpoint=: add it"
            )
        return
    if settings.out is None:
        raise InputError("subcentre_checkpoint= writes a training list, and no folder is given for it: add out=FOLDER")
    listed, written = cfg.data.get("train_list"), (settings.out / CLEANED).resolve()
    if listed and written in (Path(in_home(listed)).resolve(), Path(in_home(cfg.data.root), listed).resolve()):
        raise InputError(f"out={settings.out} would replace the training list {listed}: choose another folder")


def centres_of(settings: Settings) -> SubCentres | None:
    if settings.subcentre_checkpoint is None:
        return None
    limit = PAPERS_ANGLE if settings.subcentre_angle is None else settings.subcentre_angle
    return load_subcentres(settings.subcentre_checkpoint, limit, settings.trust)


def show(report: Report, console: Console) -> None:
    """Show the counts, then the findings."""
    if isinstance(report, MaskReport):
        terminal(100).print(domain_table(report.domains))
    table = Table("quantity", "value")
    for what, found in overview(report):
        table.add_row(what, found)
    console.print(table)
    if report.findings:
        table = Table("", "finding", "part", "count")
        for finding in report.findings:
            table.add_row(finding.severity, finding.name.replace("_", " "), finding.part, f"{finding.count:,}")
        console.print(table)
    show_sentences(report.findings, console)
    for sentence in report.problems:
        console.print(sentence)
    for finding in report.findings:
        if finding.name in SAID_ONE_BY_ONE:
            some = [entry["problem"] for entry in finding.details[:SHOWN]]
            show_some(some, finding.count, f"{finding.name.replace('_', ' ')} of the {finding.part}", console)
    some = [str(entry["reason"]) for entry in report.unreadable[:SHOWN]]
    show_some(some, len(report.unreadable), "unreadable images", console)


def show_sentences(findings: Sequence[Finding], console: Console) -> None:
    """Print the sentence of each finding, once for all parts with the same sentence."""
    parts: dict[tuple[str, str], list[str]] = defaultdict(list)
    for finding in findings:
        parts[finding.name, finding.sentence].append(finding.part)
    for (name, sentence), where in parts.items():
        console.print(f"{name.replace('_', ' ')} ({', '.join(where)}): {sentence}")


def show_some(sentences: list[str], count: int, what: str, console: Console) -> None:
    for sentence in sentences:
        console.print(sentence)
    if count > len(sentences):
        console.print(f"... and {count - len(sentences):,} more {what}")


def overview(report: Report) -> list[tuple[str, str]]:
    severities = [finding.severity for finding in report.findings]
    return [
        *(face_counts(report) if isinstance(report, DataReport) else []),
        *((f"images of {size}", f"{images:,}") for size, images in report.image_sizes.items()),
        ("unreadable images", f"{len(report.unreadable):,}"),
        ("problems", f"{len(report.problems):,}"),
        ("errors and warnings", f"{severities.count('error')} and {severities.count('warning')}"),
    ]


def face_counts(report: DataReport) -> list[tuple[str, str]]:
    smallest, largest = report.images_per_identity or (0, 0)
    return [
        ("training images", f"{report.images:,}"),
        ("identities", f"{report.identities:,}"),
        ("images per identity", f"{smallest:,} to {largest:,}"),
        *((f"pairs of {name}", f"{pairs:,}") for name, pairs in report.pairs.items()),
    ]


main = command(Settings, check)
