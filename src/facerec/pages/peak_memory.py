"""The peak memory of the networks of a sweep, as far as it was measured."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from facerec.errors import InputError
from facerec.pages.markup import Html, element, joined
from facerec.pages.texts import count, say
from facerec.runs.paper_runs import network_names
from facerec.runs.speeds_file import SPEEDS, kept_speeds
from facerec.runs.sweep import SweepRun


def peak_memory(runs: Sequence[SweepRun], given: Sequence[Path]) -> tuple[dict[str, float], list[Html]]:
    """Return the peak memory in 10^6 bytes per cell, from the files of measured speeds in the folders ``given``, and
    sentences on where it was measured, and on what is not."""
    try:
        kept = [kept_speeds(folder / SPEEDS) for folder in given]
    except InputError as error:
        return {}, [say(f"Peak memory is not drawn: {error}.")]
    networks: dict[str, Any] = {}
    for content in reversed(kept):  # the first folder counts
        networks |= content.get("networks", {})
    named = {run.cell: name for run, name in zip(runs, network_names([run.results for run in runs]), strict=True)}
    found = {cell: float(networks[name]["peak_memory_mb"]) for cell, name in named.items() if name in networks}
    machines = ", ".join(dict.fromkeys(str(content["machine"]) for content in kept if "machine" in content))
    said = [say(f"Peak memory was measured on {machines}.")] if found else []
    if missing := len(named) - len(found):
        command = element("code", f"facerec plot_paper figure=9 {shlex.join(map(str, given))}")
        lacking = f"Peak memory of {count(missing, 'network')} is not measured. This command measures it: "
        said.append(say(joined([lacking, command])))
    return found, said
