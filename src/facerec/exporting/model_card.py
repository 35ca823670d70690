"""The model card of an exported file, in Markdown: everything in it is in the file's metadata as well."""

import json
from collections.abc import Mapping
from typing import Any

from facerec.exporting.measured import read_rates
from facerec.files import markdown_cell
from facerec.verification.error_rates import ErrorRates
from facerec.verification.match_rates import DECISION

INTENDED_USE = (
    "to compare aligned photographs of faces (is it the same person?) and to search galleries, with the consent of the "
    "people who are shown, by somebody who has measured the error rates on photographs like their own"
)
NO_LICENCE = "not stated: ask whoever made the file before you use it, and mind the licence of the training images"
_LIMITS = (
    "There is no liveness check: a printed photograph or a screen is a face like any other.",
    "Embeddings of people are biometric data. In many countries a law says who may keep them, and for how long.",
    "Accuracies and thresholds hold for photographs like those of the benchmarks. Age, pose, light, blur, and who is "
    "in the training images change both error rates: measure them on photographs of your own with `facerec "
    "evaluate model=FILE data=folder data.root=PHOTOS data.benchmarks=[SET] all_pairs=true`.",
    "A false match rate is that of one comparison. A search compares with everybody in the gallery.",
    "Embeddings of different networks cannot be compared.",
)


def model_card(file: str, metadata: Mapping[str, str]) -> str:
    """Return the card of ``file``, named as a heading, with the ``metadata`` that is in it."""
    config = json.loads(metadata["config"])
    parts = [
        f"# {file}",
        f"A network for face recognition: {metadata['input']} to {metadata['output']}.",
        _table(["", ""], _facts(config, metadata)),
        f"## Intended use\n\nIntended {metadata['intended_use']}.\n\nLicence: {metadata['licence']}.",
        "## Input\n\n" + _input(metadata),
        "## Accuracy\n\n" + _accuracy(metadata),
        "## Which threshold?\n\n" + _thresholds(read_rates(metadata)),
        "## Limits\n\n" + "\n".join(f"- {limit}" for limit in _LIMITS),
    ]
    return "\n\n".join(parts) + "\n"


def _facts(config: Mapping[str, Any], metadata: Mapping[str, str]) -> list[list[str]]:
    cost = json.loads(metadata["cost"])
    backbone, operator, head = (_class_of(config.get(key)) for key in ("backbone", "operator", "head"))
    data = config.get("data") or {}
    root = str(data.get("root") or "").rstrip("/").rpartition("/")[2]
    return [
        ["network", f"{backbone}, {operator}" if operator else backbone],
        ["parameters", f"{cost['params_deployed']:,} and {cost['weight_map_elements']:,} cached elements"],
        ["multiply-adds per image", f"{cost['macs_core'] / 1e6:.1f} million"],
        ["trained with", f"{head}, {int(metadata['epoch']) + 1} epochs"],
        ["training images", f"{_class_of(data)} {root}".strip() + f", fingerprint {metadata['training_data']}"],
        ["checkpoint", f"{metadata['checkpoint']}"],
        ["commit", metadata["git_commit"]],
    ]


def _class_of(node: Any) -> str:
    target = str(node.get("_target_", "")) if isinstance(node, Mapping) else ""
    return target.rpartition(".")[2]


def _input(metadata: Mapping[str, str]) -> str:
    alignment = json.loads(metadata["alignment"])
    positions = zip(alignment["points"], alignment["positions"], strict=True)
    rows = [[name.replace("_", " "), f"{x:.2f}", f"{y:.2f}"] for name, (x, y) in positions]
    return (
        f"Colour order {metadata['colour_order']}, normalisation {metadata['normalisation']}. For the alignment, "
        f"{alignment['fit']}. Left is the viewer's. `facerec align_faces` and `facerec recognise` align so; how the "
        "training images were aligned, the file does not know.\n\n" + _table(["point", "x", "y"], rows)
    )


def _accuracy(metadata: Mapping[str, str]) -> str:
    rows = []
    for name, found in json.loads(metadata["accuracy"]).items():
        interval = found["accuracy_interval"]
        bounds = "n/a" if interval is None else f"{100 * interval[0]:.2f} to {100 * interval[1]:.2f}"
        people = "unknown" if found["num_people"] is None else f"{found['num_people']:,}"
        accuracy = f"{100 * found['accuracy']:.2f}"
        rows.append([name, f"{found['num_pairs']:,}", people, accuracy, bounds, _shared(found)])
    header = ["benchmark", "pairs", "people", "accuracy in percent", "95 % interval", "shared with training"]
    return (
        f"Protocol {metadata['protocol']}, measured with {metadata['measured_with']}. Accuracies of other protocols "
        "cannot be compared with these. By default, a run chooses its best epoch on the benchmarks, which makes them "
        "optimistic.\n\n" + _table(header, rows)
    )


def _shared(found: Mapping[str, Any]) -> str:
    if found["shared_images"] is None:
        return f"unknown: {found['shared_unknown']}"
    people = "an unknown number of" if found["shared_people"] is None else f"{found['shared_people']:,}"
    return f"{people} people, {found['shared_images']:,} images"


def _thresholds(rates: ErrorRates | str) -> str:
    if isinstance(rates, str):
        return f"None was measured: {rates}."
    on = rates.chosen_on
    rows = []
    for fmr, point in rates.at_fmr.items():
        interval = point["interval"]
        bounds = "n/a" if interval is None else f"{100 * interval[0]:.2f} to {100 * interval[1]:.2f}"
        thresholds = f"{point['cosine_threshold']:.4f}", f"{point['squared_distance_threshold']:.4f}"
        rows.append([fmr, *thresholds, f"{100 * point['fnmr']:.2f}", bounds, f"{point['false_matches']:,}"])
    header = ["FMR", "cosine", "squared distance", "FNMR in percent", "95 % interval", "false matches"]
    refused = "".join(f"\n- {reason}" for reason in rates.refused.values())
    return (
        f"A pair is {DECISION}. Chosen on {on['name']}: "
        f"{on['images']:,} images of {on['people']:,} people, {on['mated_pairs']:,} pairs of one person and "
        f"{on['non_mated_pairs']:,} of two.\n\n{_table(header, rows)}" + (f"\n{refused}" if refused else "")
    )


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(markdown_cell(cell) for cell in line)} |" for line in lines)
