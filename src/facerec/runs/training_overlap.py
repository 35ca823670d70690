"""What a benchmark shares with the training set of a network, and the network's accuracy without it."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from facerec.console import log
from facerec.data.datamodule import FaceDataModule
from facerec.data.held_out import split_identities
from facerec.data.shared_people import Shared, shared_with
from facerec.data.source import Benchmark
from facerec.errors import InputError
from facerec.files import RESULTS, SCORES
from facerec.runs.differences import read_runs
from facerec.runs.mean_accuracy import mean_interval_of_summaries
from facerec.runs.report import all_but_seed
from facerec.runs.run_names import run_names
from facerec.runs.run_results import RunResults
from facerec.runs.scores import load_scores
from facerec.verification.intervals import Interval, accuracy_variance, balanced_terms, wilson
from facerec.verification.verify import VerificationResult

_OLDER = "an older version wrote the results, which did not look"


def overlap(result: VerificationResult, shared: Shared) -> dict[str, Any]:
    """Return what a benchmark shares with the training set, and the accuracy without those pairs, for `json.dump`.

    That accuracy weighs both kinds of pairs alike, since other numbers of them are left than the thresholds were chosen
    for. It is None if one kind has no pair left; its 95 % interval, over pairs that share people, is that of an
    accuracy over folds.
    """
    left = ~shared.pairs
    found: dict[str, Any] = {"shared_people": shared.people, "shared_images": shared.images}
    found |= {"shared_unknown": shared.unknown} if shared.people is None else {}
    found |= {"unshared_pairs": int(left.sum()), "accuracy_unshared": None}
    if len(np.unique(result.is_same[left])) < 2:
        return found
    accuracy, terms = balanced_terms(result.correct[left], result.is_same[left])
    found["accuracy_unshared"] = accuracy
    if result.people is not None:
        people = result.people.of(left)
        variance = accuracy_variance(terms, people)
        found["accuracy_unshared_error"] = float(np.sqrt(variance))
        found["accuracy_unshared_interval"] = list(wilson(accuracy, variance, people.num_people))
        found["unshared_people"] = people.num_people
    return found


def found_in_training(data: FaceDataModule, trained_on: str | None) -> dict[str, Shared]:
    """Return what each opened benchmark of ``data`` shares with its training set, whose images are all read.

    Raises `InputError` if the training set has another fingerprint than ``trained_on``, that of the network's.
    """
    train = data.train_source
    if train is None:
        train = data.open_train()
        if data.held_out_identities:
            train, _ = split_identities(train, data.held_out_identities, data.held_out_seed)
    if trained_on not in (None, train.fingerprint()):
        raise InputError(
            f"shared=true would read other training images (fingerprint {train.fingerprint()}) than those of the "
            f"network ({trained_on}): leave the settings of data= as in training, apart from data.root"
        )
    return shared_with(train, data.opened_benchmarks)


def found_by_run(folder: Path, benchmarks: Iterable[Benchmark]) -> dict[str, Shared | str]:
    """Return what the run in ``folder`` found each benchmark to share, or why it does not tell."""
    if not (folder / RESULTS).is_file():
        return {benchmark.name: f"no {RESULTS} of a finished run is in {folder}" for benchmark in benchmarks}
    try:
        run = RunResults.read(folder)
        return {benchmark.name: _found_by(run, folder, benchmark) for benchmark in benchmarks}
    except InputError as error:
        return {benchmark.name: str(error).partition(":")[0] for benchmark in benchmarks}


def _found_by(run: RunResults, folder: Path, benchmark: Benchmark) -> Shared | str:
    name, kept = benchmark.name, (run.data.get("benchmarks") or {}).get(benchmark.name)
    summary = run.last["benchmarks"].get(name)
    if summary is None or not isinstance(kept, dict):
        return f"the run in {folder} did not verify {name}"
    if kept.get("fingerprint") != benchmark.fingerprint():
        return f"the run in {folder} verified other pairs of {name}"
    if "shared_images" not in summary or not (folder / SCORES).is_file():
        return _OLDER
    scores = load_scores(folder / SCORES).get(name)
    if scores is None or scores.shared is None or len(scores.shared) != len(benchmark):
        return _OLDER
    unknown = summary.get("shared_unknown", "")
    return Shared(summary["shared_people"], summary["shared_images"], scores.shared, unknown)


def say_overlap(network: str, found: Mapping[str, Mapping[str, Any] | str]) -> None:
    """Print a sentence per benchmark: what `overlap` returned for it, or why it is unknown."""
    for name, of in found.items():
        if isinstance(of, str):
            log(f"{_unknown(name, f'training set of {network}', of)}: add shared=true to read all training images")
        else:
            log(_sentence(name, f"training set of {network}", of, f"{network} {_without([of])}"))


def shared_sentences(runs: Iterable[Path]) -> list[str]:
    """Return a sentence per training set and benchmark of the runs' last epochs: what they share, or why it is unknown,
    and the accuracy without it of each network, a mean over seeds."""
    results = [run.results for run in read_runs(runs)]
    named = dict(zip(map(id, results), _names(results), strict=True))
    found: dict[tuple[str, str], dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for run in sorted(results, key=lambda run: run.started):
        for name, summary in run.last["benchmarks"].items():
            found[name, run.data["train"]["fingerprint"]][named[id(run)]].append(summary)
    number = len({*named.values()})
    return [_of_networks(name, f"training set {train}", networks, number) for (name, train), networks in found.items()]


def _names(results: list[RunResults]) -> list[str]:
    """Return the name of each run's network, which runs share that differ in the seed alone."""
    first = {all_but_seed(run): run.config for run in reversed(results)}
    names = dict(zip(first, run_names(list(first.values())), strict=True))
    return [names[all_but_seed(run)] for run in results]


def _of_networks(name: str, train: str, networks: Mapping[str, list[dict[str, Any]]], number: int) -> str:
    """Return the sentence about these of a ``number`` of networks; if they are all, without their names."""
    known = {network: [s for s in found if "shared_images" in s] for network, found in networks.items()}
    known = {network: found for network, found in known.items() if found}
    if not known:
        return _unknown(name, f"{train}{_listed(networks, number)}", _OLDER)
    without = "; ".join(f"{network} {_without(found)}" for network, found in known.items())
    return _sentence(name, f"{train}{_listed(known, number)}", next(iter(known.values()))[-1], without)


def _listed(networks: Collection[str], number: int) -> str:
    return "" if len(networks) == number else f" ({'; '.join(networks)})"


def _unknown(name: str, train: str, why: str) -> str:
    return f"{name}: it is unknown what it shares with the {train}, since {why}"


def _sentence(name: str, train: str, of: Mapping[str, Any], without: str) -> str:
    people, images = of["shared_people"], of["shared_images"]
    why = of.get("shared_unknown") or "names are missing"
    counted = f"an unknown number of people ({why})" if people is None else f"{people} people"
    shares = f"{name} shares {counted} and {images} images with the {train}"
    if not people and not images:
        return shares
    pairs = f"the {of['unshared_pairs']} pairs without them, both kinds weighted alike"
    return f"{shares}, which makes accuracies optimistic; in percent, on {pairs}: {without}"


def _without(found: list[Any]) -> str:
    """Return the mean accuracy without shared pairs over runs that differ in the seed, with its interval."""
    values = [of["accuracy_unshared"] for of in found]
    if None in values:
        return "n/a, since one kind has no pair left"
    keys = ("accuracy_unshared", "accuracy_unshared_error", "unshared_people")
    bounds: Interval | None = mean_interval_of_summaries(found, *keys)
    shown = "n/a" if bounds is None else f"{100 * bounds.low:.2f}, {100 * bounds.high:.2f}"
    return f"{100 * mean(values):.2f} [{shown}]"
