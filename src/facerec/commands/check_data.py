"""Says what is wrong with your faces before a long run: python scripts/check_data.py data=folder data.root=faces

Takes the overrides of train.py that choose the data, and beside them
    checkpoint=FILE           a trained network, to find wrong labels, people with two identities, people of a benchmark
    out=FOLDER                where to write report.json, with every image concerned, and report.png, with some of them
Every list is read and every image decoded. Looked for are: what cannot be opened or read; lines of lists at which
training would stop, such as an image that is listed twice, and such folders of identities; pictures that are there
twice, also compressed or resized, in one identity or two; swapped red and blue; other sizes (WIDTHxHEIGHT), wide
borders, images of one colour; identities with one image, class numbers without images, names that are alike; and what
the training set shares with each benchmark.
Prints a table on stderr and, last, one JSON object: images, identities, images_per_identity, pairs, image_sizes,
unreadable, problems, findings. Exit status 1 when a finding is an error, 0 when all are warnings or there is none.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from facerec.program import run

from rich.console import Console
from rich.table import Table

from facerec.config.build import build_data, build_trained
from facerec.config.compose import compose
from facerec.config.settings import take_own
from facerec.doctor.check import check_data
from facerec.doctor.faces import Embedder
from facerec.doctor.findings import DataReport, Finding, write_pictures
from facerec.doctor.opening import WRONG
from facerec.errors import InputError
from facerec.files import check_output_folder, write_json
from facerec.process import prepare_process

SHOWN = 10  # of the unreadable images, which the JSON line has all, and of a list's wrong lines, as report.json
_OWN_KEYS = {"checkpoint": "", "out": ""}


def main(arguments: list[str]) -> int:
    if {"-h", "--help"} & set(arguments):
        print(__doc__)
        return 0
    prepare_process()
    try:
        own, overrides = take_own(arguments, _OWN_KEYS)
        report = check(own, overrides)
        if own["out"]:
            write(report, Path(own["out"]))
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: the report is not complete", file=sys.stderr)
        return 130
    return 0 if report.is_sound else 1


def embedder_of(checkpoint: str) -> Embedder:
    """The network of a checkpoint, at the image size that it was trained at."""
    backbone, cfg, _ = build_trained(checkpoint)
    return Embedder(backbone, (cfg.data.image_size[0], cfg.data.image_size[1]))


def check(own: dict[str, str], overrides: list[str]) -> DataReport:
    """The report, shown and printed."""
    if own["out"]:
        check_output_folder(Path(own["out"]), f"out={own['out']}")
    module = build_data(compose(overrides))
    embedder = embedder_of(own["checkpoint"]) if own["checkpoint"] else None
    report = check_data(module, embedder)
    show(report, Console(stderr=True, soft_wrap=True, markup=False, highlight=False))
    print(json.dumps(report.summary()), flush=True)
    return report


def write(report: DataReport, out: Path) -> None:
    """After the report was printed, which a full disk must not cost."""
    write_json(out / "report.json", report.full())
    write_pictures(report.findings, out / "report.png")


def show(report: DataReport, console: Console) -> None:
    """What there is, then what is wrong with it."""
    table = Table("what", "found")
    for what, found in overview(report):
        table.add_row(what, found)
    console.print(table)
    if report.findings:
        console.print(findings_table(report))
    show_sentences(report.findings, console)
    for sentence in report.problems:
        console.print(sentence)
    for finding in report.findings:
        if finding.name in WRONG.values():
            some = [entry["problem"] for entry in finding.details[:SHOWN]]
            show_some(some, finding.count, f"{finding.name.replace('_', ' ')} of the {finding.part}", console)
    some = [str(entry["reason"]) for entry in report.unreadable[:SHOWN]]
    show_some(some, len(report.unreadable), "unreadable images", console)


def show_sentences(findings: Sequence[Finding], console: Console) -> None:
    """What each finding means, once for all parts of which the same is said."""
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


def findings_table(report: DataReport) -> Table:
    table = Table("", "finding", "where", "how many")
    for finding in report.findings:
        table.add_row(finding.severity, finding.name.replace("_", " "), finding.part, f"{finding.count:,}")
    return table


def overview(report: DataReport) -> list[tuple[str, str]]:
    smallest, largest = report.images_per_identity or (0, 0)
    severities = [finding.severity for finding in report.findings]
    return [
        ("training images", f"{report.images:,}"),
        ("identities", f"{report.identities:,}"),
        ("images an identity", f"{smallest:,} to {largest:,}"),
        *((f"pairs of {name}", f"{pairs:,}") for name, pairs in report.pairs.items()),
        *((f"images of {size}", f"{images:,}") for size, images in report.image_sizes.items()),
        ("unreadable images", f"{len(report.unreadable):,}"),
        ("problems", f"{len(report.problems):,}"),
        ("errors and warnings", f"{severities.count('error')} and {severities.count('warning')}"),
    ]


if __name__ == "__main__":
    run(main)
