"""What was measured on the benchmarks, for the metadata of an exported file: accuracies, thresholds and error rates."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from facerec.data.shared_people import Shared
from facerec.data.source import Benchmark
from facerec.errors import InputError
from facerec.verification.all_pairs import compare_all
from facerec.verification.error_rates import ErrorRates
from facerec.verification.verify import VerificationResult

_KEPT = ("num_pairs", "num_people", "accuracy", "accuracy_interval", "std")


def choose_benchmark(benchmarks: Sequence[Benchmark], wanted: str | None = None) -> Benchmark | str:
    """Return the benchmark whose images give the thresholds, or the reason why none does.

    It is the ``wanted`` one, or of those that tell whom their images show the one with the most pairs of two people.
    Raises `InputError` if the ``wanted`` one does not exist or does not tell.
    """
    told = [benchmark for benchmark in benchmarks if benchmark.people is not None]
    if wanted is not None:
        chosen = next((benchmark for benchmark in told if benchmark.name == wanted), None)
        if chosen is None:
            is_there = wanted in [benchmark.name for benchmark in benchmarks]
            problem = "does not tell whom its images show" if is_there else "is no benchmark of this run"
            names = ", ".join(benchmark.name for benchmark in told) or "none"
            raise InputError(f"thresholds={wanted} {problem}: take one of those that do ({names})")
        return chosen
    if not told:
        names = ", ".join(benchmark.name for benchmark in benchmarks)
        return f"of the benchmarks ({names}), none tells whom each image shows, as the paths NAME/IMAGE of a folder do"
    return max(told, key=_non_mated_pairs)


def _non_mated_pairs(benchmark: Benchmark) -> int:
    counts = np.unique(np.array(benchmark.people), return_counts=True)[1]
    return int(counts.sum() ** 2 - np.square(counts).sum())


def measured(
    results: Mapping[str, VerificationResult],
    embeddings: Mapping[str, np.ndarray],
    chosen: Benchmark | str,
    by: str,
    shared: Mapping[str, Shared | str],
) -> dict[str, str]:
    """Return the entries of the metadata.

    Args:
        results: by benchmark.
        embeddings: of all images ``(N, D)``, by benchmark.
        chosen: as `choose_benchmark` returns it.
        by: whose embeddings they are, the checkpoint's or the file's own.
        shared: what a benchmark shares with the training images, or why that is unknown.
    """
    summaries = {name: result.summary() for name, result in results.items()}
    accuracies = {
        name: {**{key: summary[key] for key in _KEPT}, **_shared(shared.get(name, "nobody looked"))}
        for name, summary in summaries.items()
    }
    return {
        "measured_with": by,
        "accuracy": json.dumps(accuracies),
        "thresholds": _thresholds(embeddings, chosen),
    }


def _shared(found: Shared | str) -> dict[str, int | str | None]:
    if isinstance(found, str):
        return {"shared_people": None, "shared_images": None, "shared_unknown": found}
    return {"shared_people": found.people, "shared_images": found.images}


def _thresholds(embeddings: Mapping[str, np.ndarray], chosen: Benchmark | str) -> str:
    if isinstance(chosen, str):
        return _without(chosen)
    try:
        pairs = compare_all(embeddings[chosen.name], chosen.people or ())
    except ValueError as error:
        return _without(f"images of benchmark {chosen.name} cannot be compared: {error}")
    described = {"name": chosen.name, "fingerprint": chosen.fingerprint()}
    counts = {"images": len(chosen.images), "people": pairs.num_people}
    return ErrorRates.of(pairs, described | counts).to_json()


def _without(reason: str) -> str:
    return json.dumps({"reason": reason})


def read_rates(metadata: Mapping[str, Any]) -> ErrorRates | str:
    """Return the error rates in the metadata of a file, or the reason why there are none."""
    text = metadata.get("thresholds")
    if text is None:
        return "the file holds no error rates, as those of older versions"
    try:
        reason = json.loads(text).get("reason")
        return ErrorRates.from_json(text) if reason is None else str(reason)
    except (ValueError, AttributeError, RecursionError) as error:
        return f"the error rates in the file are damaged: {error}"
