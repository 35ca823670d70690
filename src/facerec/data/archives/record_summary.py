"""Summary of a ``.rec`` file for inspection."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from facerec.data.decode import read_header
from facerec.data.readers.insightface import InsightFaceRecords
from facerec.data.readers.recordio import RecordFile
from facerec.errors import InputError

_LOOKED_AT = 10_000


@dataclass(frozen=True)
class RecordSummary:
    """Counts of a training set; ``dialect`` is "classic" with identity records, "flat" without.

    ``images_per_identity`` are minimum, median and maximum. ``headers`` counts images by format and height x width,
    such as ``JPEG 112x112``, or ``no image``, among ``looked_at`` evenly spaced ones.
    """

    records: int
    images: int
    identities: int
    images_per_identity: tuple[int, float, int]
    dialect: str
    labels_per_image: int
    has_index: bool
    looked_at: int
    headers: dict[str, int]


def summarise(source: InsightFaceRecords) -> RecordSummary:
    """Summarise ``source``, reading the headers of up to ten thousand images."""
    counts = np.bincount(source.labels)
    looked_at = np.unique(np.linspace(0, len(source) - 1, min(len(source), _LOOKED_AT)).astype(np.int64))
    indices = tqdm(looked_at.tolist(), "reading headers of images", unit=" images", delay=2)
    headers = Counter(_shown(source.encoded(index)) for index in indices)
    first = int(np.flatnonzero(source.records.keys == int(source.reference(0)))[0])
    return RecordSummary(
        records=len(source.records),
        images=len(source),
        identities=source.num_identities,
        images_per_identity=(int(counts.min()), float(np.median(counts)), int(counts.max())),
        dialect="classic" if len(source.records) > len(source) else "flat",
        labels_per_image=max(1, source.records.record(first)[0].flag),
        has_index=source.records.path.with_suffix(".idx").is_file(),
        looked_at=len(looked_at),
        headers=dict(headers.most_common()),
    )


def record_lines(records: RecordFile) -> Iterator[str]:
    """Yield a line per record, in the order of the file: key, labels, bytes, and format with height x width, separated
    by tabs. Labels are separated by commas; a record without an image has ``-`` instead of the format."""
    for position, key in enumerate(records.keys):
        header, image = records.record(position)
        labels = ",".join(f"{label:g}" if label % 1 else f"{label:.0f}" for label in np.atleast_1d(header.label))
        yield f"{key}\t{labels}\t{len(image)}\t{_shown(image) if image else '-'}"


def _shown(image: bytes) -> str:
    try:
        header = read_header(image, "")
    except InputError:
        return "no image"
    return f"{header.format} {header.height}x{header.width}"
