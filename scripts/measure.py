"""Count a network: python scripts/measure.py backbone=mbv2 operator=tvconv width=0.1

Takes the overrides of train.py; needs no data. Prints a table on stderr and, last, one JSON object.
"""

import json
import sys
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from facerec.build import build_backbone, compose
from facerec.cost import Cost, measure_cost
from facerec.errors import InputError


def main(overrides: list[str]) -> int:
    try:
        cfg = compose(overrides)
        cost = measure_cost(build_backbone(cfg), (cfg.image_size, cfg.image_size))
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    show(cost)
    print(json.dumps(asdict(cost)))
    return 0


def show(cost: Cost) -> None:
    """One line a number, for people."""
    table = Table(show_header=False, box=None)
    for name, value in asdict(cost).items():
        table.add_row(name, f"{value:,}")
    Console(stderr=True).print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
