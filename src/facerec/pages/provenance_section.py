"""Where each run of a sweep comes from, and in which settings the runs differ."""

from collections.abc import Iterator, Sequence
from typing import Any

from facerec.pages.html_table import html_table
from facerec.pages.markup import Html, element
from facerec.pages.texts import sentence_case
from facerec.runs.run_names import varied_settings
from facerec.runs.run_results import RunResults
from facerec.runs.sweep import SweepRun, cells_of


def differences(runs: Sequence[SweepRun]) -> Html | None:
    """Return a table of the settings in which the cells of a sweep differ, or None if they do not."""
    cells = cells_of(runs)
    varied = varied_settings([own[0].results.config for own in cells.values()])
    if not varied[0]:
        return None
    rows = [{"run": cell, **settings} for cell, settings in zip(cells, varied, strict=True)]
    return html_table(rows, tuple(rows[0]), as_is=tuple(varied[0]))


def provenance(runs: Sequence[SweepRun]) -> list[Html]:
    """Return, per run, what is needed to reproduce it, folded away."""
    return [_run(run) for run in runs]


def _run(run: SweepRun) -> Html:
    results = run.results
    commit = (results.git_commit or "no commit")[:7]
    facts = [part for key, value in _facts(run) for part in (element("dt", key), element("dd", value))]
    summary = element("summary", run.name, element("small", f"{results.started[:16].replace('T', ' ')}, {commit}"))
    return element("details", summary, element("dl", *facts))


def _facts(run: SweepRun) -> Iterator[tuple[str, str]]:
    results = run.results
    yield "Command", element("code", results.command or "not kept")
    yield "Folder", element("code", str(run.folder))
    yield "Started", results.started
    yield "Commit", (results.git_commit or "none") + (" with changes" if results.git_dirty else "")
    yield "Protocol", results.protocol
    yield "Seed", str(results.config["seed"])
    yield "Configuration", str(results.config_fingerprint or "no fingerprint kept")
    yield from ((sentence_case(key), str(value)) for key, value in (results.environment or {}).items())
    yield from _data(results)


def _data(results: RunResults) -> Iterator[tuple[str, str]]:
    train = results.data["train"]
    known = [f"{train[key]:,} {key}" for key in ("images", "identities") if isinstance(train.get(key), int)]
    yield "Training set", ", ".join([*known, str(train["fingerprint"])])
    benchmarks: dict[str, Any] = results.data.get("benchmarks") or {}
    for name, kept in benchmarks.items():
        facts = kept if isinstance(kept, dict) else {"fingerprint": kept}
        pairs = [f"{facts['pairs']:,} pairs"] if isinstance(facts.get("pairs"), int) else []
        yield name, ", ".join([*pairs, str(facts.get("fingerprint", "no fingerprint kept"))])
