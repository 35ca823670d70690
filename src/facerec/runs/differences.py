"""What runs differ in: their settings, data, protocol and commit."""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from facerec.errors import InputError, suggestion
from facerec.runs.run_names import HOW, repeats_root
from facerec.runs.run_results import RunResults
from facerec.training.older_settings import default_of, with_names_of_today, with_settings_of_today, written


class Run(NamedTuple):
    """A finished run."""

    folder: Path
    results: RunResults

    def facts(self, setting: str) -> dict[str, str]:
        """Return everything that may not differ between the runs of a comparison, without the ``setting`` itself.

        Keys of nodes that only repeat a root value, as ``backbone.width`` does, do not count beside that one.
        """
        config = with_names_of_today(self.results.config)
        facts = {key: value for key, value in _leaves(config, "") if not repeats_root(key, value, config)}
        facts |= {"protocol": self.results.protocol, "commit": _commit(self.results)}
        facts |= {f"fingerprint.{key}": value for key, value in _fingerprints(self.results.data)}
        return {key: value for key, value in facts.items() if not _is_in(key, setting)}


def read_runs(folders: Iterable[Path]) -> list[Run]:
    """Read the finished runs in ``folders``, with the settings that older versions among them did not write."""
    found = [(folder, RunResults.read(folder)) for folder in folders]
    configs = with_settings_of_today([results.config for _, results in found])
    return [
        Run(folder, replace(results, config=config)) for (folder, results), config in zip(found, configs, strict=True)
    ]


def setting_of(config: dict[str, Any], setting: str) -> Any:
    """Return the value of ``setting``, or what it is by default if an older version did not write it."""
    value: Any = config
    for key in setting.split("."):
        if not isinstance(value, dict) or key not in value:
            return default_of(config, setting)
        value = value[key]
    return value


def value_of(run: Run, setting: str) -> str:
    """Return the value of ``setting`` as JSON; raise `InputError` if the run has no such setting."""
    config = run.results.config
    value = setting_of(config, setting)
    if value is None and setting.partition(".")[0] not in config:
        known = suggestion(setting, [*config, *(key for key, _ in _leaves(config, ""))])
        raise InputError(f"the run in {run.folder} has no setting {setting}: {known}")
    return json.dumps(written(value), sort_keys=True)


def _leaves(node: Any, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield dotted keys and values of all settings but `HOW`."""
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        elif key not in HOW:
            yield f"{prefix}{key}", _as_json(value)


def _as_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _fingerprints(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "train", str(data["train"]["fingerprint"])
    for name, benchmark in (data.get("benchmarks") or {}).items():
        yield name, str(benchmark.get("fingerprint") if isinstance(benchmark, dict) else benchmark)


def _commit(results: RunResults) -> str:
    return f"{results.git_commit}{' with changes' if results.git_dirty else ''}"


def is_allowed(key: str, allow: Collection[str]) -> bool:
    """Return whether ``allow`` names the setting ``key`` or a node around it."""
    return any(_is_in(key, allowed) for allowed in allow)


def _is_in(key: str, setting: str) -> bool:
    return key == setting or key.startswith(f"{setting}.")


def other_differences(runs: Sequence[Run], setting: str) -> dict[str, list[str]]:
    """Return the keys, other than ``setting``, in which runs differ, with their values, "none" where one lacks it."""
    facts = [run.facts(setting) for run in runs]
    keys: dict[str, Run] = {}
    for run, each in zip(runs, facts, strict=True):
        keys |= {key: run for key in each if key not in keys}
    values = {
        key: list(dict.fromkeys(each[key] if key in each else _unwritten(run, key) for each in facts))
        for key, run in keys.items()
    }
    return {key: different for key, different in values.items() if len(different) > 1}


def _unwritten(other: Run, key: str) -> str:
    """Return the value of ``key`` in a run without it, which the ``other`` run has: a later version's default, or
    "none"."""
    default = default_of(other.results.config, key)
    return "none" if default is None and other.facts("")[key] != "null" else _as_json(default)
