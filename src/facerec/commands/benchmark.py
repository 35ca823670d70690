"""Measure what the project claims of its speed: python scripts/benchmark.py

Every thing is measured beside its competitors in one process, in turns; ratios are held against their targets.
    sections=layer,network    only these; all: layer, network, memory, throughput, pipeline,
                              index, augmentation, verification, export
    threads=2                 of PyTorch; by default as many as it takes by itself
    quick=true                small sizes, to see that everything runs; targets are not held against those numbers
    markdown=FILE.md          the page whose tables are to be replaced, or a new one
    json=FILE.json            where to write the JSON as well
Prints tables on stderr and, last, one JSON object with the machine and every comparison.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from facerec.program import run

import torch
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from facerec.errors import InputError
from facerec.files import write_json
from facerec.perf import augmentation_speed as augmentation
from facerec.perf import export, index, layer, memory, pipeline, throughput
from facerec.perf import network_speed as network
from facerec.perf import verification_speed as verification
from facerec.perf.comparison import Case, Comparison
from facerec.perf.machine import describe_machine
from facerec.perf.tables import around_tables, markdown, show, write_markdown
from facerec.perf.timing import QUICK, Effort
from facerec.process import prepare_process

_MODULES = (layer, network, memory, throughput, pipeline, index, augmentation, verification, export)
SECTIONS = {module.__name__.rpartition(".")[2]: module for module in _MODULES}
_KEYS = ("sections", "threads", "quick", "markdown", "json")


def main(arguments: list[str]) -> int:
    if {"-h", "--help"} & set(arguments):
        print(__doc__)
        return 0
    prepare_process()
    try:
        report = benchmark(arguments, Console(stderr=True, width=None if sys.stderr.isatty() else 200))
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(report))
    return 0


def benchmark(arguments: list[str], console: Console) -> dict[str, Any]:
    """Measure, show and write what is asked for; the JSON."""
    settings = read_settings(arguments)
    if settings["markdown"]:
        around_tables(Path(settings["markdown"]))  # refuses a page now rather than after an hour
    if settings["threads"]:
        torch.set_num_threads(int(settings["threads"]))
    effort = QUICK if settings["quick"] == "true" else Effort()
    machine, command = describe_machine(), " ".join(["python scripts/benchmark.py", *arguments])
    comparisons: list[Comparison] = []
    for name in settings["sections"].split(","):
        section = run_cases(SECTIONS[name].cases(effort), effort, console)
        show(section, console)
        comparisons += section
    report = {"command": command, "machine": asdict(machine), "comparisons": [asdict(c) for c in comparisons]}
    if settings["json"]:
        write_json(Path(settings["json"]), report)
    if settings["markdown"]:
        write_markdown(markdown(comparisons, str(machine), command), Path(settings["markdown"]))
    return report


def read_settings(arguments: list[str]) -> dict[str, str]:
    """A value for every key; `InputError` for another key or a value that it cannot have."""
    settings = {"sections": ",".join(SECTIONS), "threads": "", "quick": "false", "markdown": "", "json": ""}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or key not in _KEYS:
            raise InputError(f"benchmark.py does not know {argument!r}: its settings are {', '.join(_KEYS)}")
        settings[key] = value
    for name in settings["sections"].split(","):
        if name not in SECTIONS:
            raise InputError(f"there is no section {name!r}: choose from {', '.join(SECTIONS)}")
    if settings["quick"] not in ("true", "false"):
        raise InputError(f"quick must be true or false, got {settings['quick']!r}")
    if settings["quick"] == "true" and Path(settings["markdown"] or "-").is_file():
        raise InputError(f"quick=true would write meaningless numbers over {settings['markdown']}: give a new file")
    for key in ("markdown", "json"):
        if settings[key] and not Path(settings[key]).absolute().parent.is_dir():
            raise InputError(f"{key}={settings[key]} has no folder: make it first")
    if settings["threads"] and not (settings["threads"].isdecimal() and int(settings["threads"])):
        raise InputError(f"threads must be a whole number of at least 1, got {settings['threads']!r}")
    return settings


def run_cases(cases: list[Case], effort: Effort, console: Console) -> list[Comparison]:
    """All of them, with a line that says which one is at work."""
    columns = (SpinnerColumn(), TextColumn("{task.completed}/{task.total} {task.description}"), TimeElapsedColumn())
    comparisons = []
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=len(cases))
        for case in cases:
            progress.update(bar, description=f"{case.section}: {case.name}")
            comparisons.append(case.run(counts=not effort.quick))
            progress.advance(bar)
    return comparisons


if __name__ == "__main__":
    run(main)
