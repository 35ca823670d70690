"""What is known about a domain, for people and for programs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.table import Table

from facerec.data.fundus.masked_source import TEST, TRAIN
from facerec.doctor.findings import Finding
from facerec.doctor.geometry import count_sizes
from facerec.doctor.mask_survey import Domain


def summary_of(domain: Domain, findings: Sequence[Finding]) -> dict[str, object]:
    """Return plain values: the numbers of images for training and for tests, their sizes, and of the usable masks mean
    and standard deviation of the area of disc and cup, as shares of the mask, and of the vertical cup-to-disc ratio.

    ``findings`` are those of all domains, of which the names of the domain's own are kept.
    """
    masks = domain.masks[domain.masks["readable"]]
    return {
        "train": int(np.count_nonzero(domain.source.split == TRAIN)),
        "test": int(np.count_nonzero(domain.source.split == TEST)),
        "image_sizes": count_sizes([domain.part]),
        "disc_share": _mean_and_deviation(masks["share"][:, 1]),
        "cup_share": _mean_and_deviation(masks["share"][:, 0]),
        "cup_to_disc": _mean_and_deviation(masks["cup_to_disc"]),
        "findings": [finding.name for finding in findings if finding.part == domain.part.title],
    }


def domain_table(domains: dict[str, dict[str, Any]]) -> Table:
    """Tabulate the summaries: one row per domain."""
    title = "disc and cup in % of the area, vertical cup-to-disc ratio (cdr), ± standard deviation over images"
    table = Table("domain", title=title)
    for column in ("train", "test", "size", "disc", "cup", "cdr", "findings"):
        table.add_column(column, justify="right")
    for name, found in domains.items():
        table.add_row(
            name,
            f"{found['train']:,}",
            f"{found['test']:,}",
            _sizes(found["image_sizes"]),
            _with_deviation(found["disc_share"], 100, 1),
            _with_deviation(found["cup_share"], 100, 1),
            _with_deviation(found["cup_to_disc"], 1, 2),
            f"{len(found['findings'])}",
        )
    return table


def _sizes(sizes: dict[str, int]) -> str:
    most, *others = sizes or ["none"]
    return f"{most} (+{len(others)})" if others else most


def _mean_and_deviation(values: np.ndarray) -> list[float] | None:
    values = values.astype(np.float64)
    return [round(float(values.mean()), 4), round(float(values.std()), 4)] if len(values) else None


def _with_deviation(found: list[float] | None, factor: float, digits: int) -> str:
    return "n/a" if found is None else f"{factor * found[0]:.{digits}f} ± {factor * found[1]:.{digits}f}"
