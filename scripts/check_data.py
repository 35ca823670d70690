"""Reads every list and decodes every image of a configuration's data, and says what is wrong with it.

    python scripts/check_data.py data=folder data.root=faces data.train_list=train.txt data.benchmarks=[lfw]

The last line on standard output is JSON: images and identities of the training set, pairs of each benchmark, unreadable
images, problems with whole parts. Exit status 1 when anything is unreadable or a problem.
"""

import json
import sys
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from facerec.build import build_data, compose
from facerec.data.check import DataReport, check_data
from facerec.errors import InputError

SHOWN = 10  # of the unreadable images; the JSON line has them all


def main(arguments: list[str]) -> int:
    try:
        report = check_data(build_data(compose(arguments)))
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    _show(report, Console(stderr=True, soft_wrap=True, markup=False, highlight=False))
    print(json.dumps(asdict(report)))
    return 0 if report.is_sound else 1


def _show(report: DataReport, console: Console) -> None:
    table = Table("what", "found")
    for what, found in _rows(report):
        table.add_row(what, found)
    console.print(table)
    for sentence in [*report.problems, *(entry["reason"] for entry in report.unreadable[:SHOWN])]:
        console.print(sentence)
    if len(report.unreadable) > SHOWN:
        console.print(f"... and {len(report.unreadable) - SHOWN} more unreadable images")


def _rows(report: DataReport) -> list[tuple[str, str]]:
    smallest, largest = report.images_per_identity or (0, 0)
    return [
        ("training images", f"{report.images:,}"),
        ("identities", f"{report.identities:,}"),
        ("images an identity", f"{smallest:,} to {largest:,}"),
        *((f"pairs of {name}", f"{pairs:,}") for name, pairs in report.pairs.items()),
        *((f"images of {size}", f"{images:,}") for size, images in report.image_sizes.items()),
        ("unreadable images", f"{len(report.unreadable):,}"),
        ("problems", f"{len(report.problems):,}"),
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
