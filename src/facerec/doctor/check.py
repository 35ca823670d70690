"""The whole check of a data set: open every part, measure all images, judge the measurements."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from facerec.data.datamodule import FaceDataModule
from facerec.data.source import Benchmark, LabelledSource
from facerec.doctor.benchmarks import judge_folds
from facerec.doctor.colours import judge_colours
from facerec.doctor.duplicates import find_duplicates, judge_duplicates
from facerec.doctor.faces import Embedder
from facerec.doctor.findings import TRAIN, DataReport, Finding, Wrong, benchmark_part, report, unless_refused
from facerec.doctor.geometry import count_sizes, judge_geometry
from facerec.doctor.lookalikes import judge_faces
from facerec.doctor.names import judge_counts, judge_name_overlap, judge_names
from facerec.doctor.overlap import judge_image_overlap, judge_pairs
from facerec.doctor.subcentres import SubCentres
from facerec.doctor.survey import Part, survey


def check_data(
    module: FaceDataModule, embedder: Embedder | None = None, subcentres: SubCentres | None = None
) -> DataReport:
    """Check the training set and all benchmarks of ``module``.

    Every image is decoded, in worker processes, with a progress bar on standard error. A defective part, line of a
    list, identity folder or image does not keep the others from being checked. An image that is in several parts, such
    as cfp_ff and cfp_fp, is decoded for each and reported as unreadable once.

    Args:
        module: the data module; `setup` need not have been called.
        embedder: a trained network to compare faces; if None, checks that need one are left out.
        subcentres: a network that was trained on this training set with several centres for each identity, to find
            images that are far from the dominant one; raises `InputError` if it was trained on other images.
    """
    problems: list[str] = []
    wrong = [Wrong(TRAIN), *(Wrong(benchmark_part(name)) for name in module.benchmarks)]
    train = unless_refused(partial(module.open_train, wrong[0]), problems)
    opened = [
        unless_refused(partial(module.open_benchmark, name, its_wrong), problems)
        for name, its_wrong in zip(module.benchmarks, wrong[1:], strict=True)
    ]
    benchmarks = [benchmark for benchmark in opened if benchmark is not None]
    rows = subcentres.rows(module, train) if subcentres is not None and train is not None else None
    parts = survey(train, [(b.name, b.images) for b in benchmarks], module.num_workers or 0)
    unreadable = _unreadable(parts)
    found = [*_broken(problems, unreadable), *(finding for each in wrong for finding in each.findings())]
    found += _judge(module, parts, train, benchmarks)
    if embedder is not None:
        found += judge_faces(parts, benchmarks, embedder, module.num_workers or 0)
    cleaned = None
    if subcentres is not None and rows is not None:
        cleaned, far = subcentres.clean(parts[0], rows, module.num_workers or 0)
        found += far
    counts = np.bincount(train.labels).tolist() if train is not None else []
    return DataReport(
        images=0 if train is None else len(train),
        identities=0 if train is None else train.num_identities,
        images_per_identity=(min(counts), max(counts)) if counts else None,
        pairs={benchmark.name: len(benchmark) for benchmark in benchmarks},
        image_sizes=count_sizes(parts),
        unreadable=unreadable,
        problems=problems,
        findings=sorted(found, key=lambda finding: finding.severity != "error"),
        cleaned=cleaned,
    )


def _unreadable(parts: Sequence[Part]) -> list[dict[str, str | int]]:
    found: dict[tuple[str, str], dict[str, str | int]] = {}
    for part in parts:
        for index, reason in part.reasons.items():
            image, listed = part.source.name(index), part.source.listed_in(index)
            entry: dict[str, str | int] = {"image": image, "reason": reason}
            if listed:
                entry |= {"reason": f"{reason} (line {listed[1]} of {listed[0]})", "line": listed[1]}
            found.setdefault((image, reason), entry)
    return list(found.values())


def _broken(problems: list[str], unreadable: list[dict[str, str | int]]) -> list[Finding]:
    unopened = "these parts could not be opened, so nothing in them was checked: fix each as described"
    sentence = "training would stop at each of these images: download them again or remove them from the list"
    return [
        *report("unopened_parts", "all data", unopened, [{"problem": each} for each in problems], severity="error"),
        *report("unreadable_images", "all data", sentence, unreadable, severity="error"),
    ]


def _judge(
    module: FaceDataModule, parts: list[Part], train: LabelledSource | None, benchmarks: list[Benchmark]
) -> list[Finding]:
    """Run all checks that need no trained network."""
    duplicates = find_duplicates(parts)
    found = [
        *judge_colours(parts),
        *judge_duplicates(duplicates),
        *judge_geometry(parts, (module.image_size[0], module.image_size[1])),
        *judge_image_overlap(duplicates),
    ]
    found += [finding for benchmark in benchmarks for finding in judge_folds(benchmark)]
    if train is not None:
        found += judge_counts(train)
        found += judge_names(train)
        found += [finding for benchmark in benchmarks for finding in judge_name_overlap(train, benchmark)]
    with_pairs = zip(parts[train is not None :], benchmarks, strict=True)
    return found + [finding for part, benchmark in with_pairs for finding in judge_pairs(part, benchmark)]
