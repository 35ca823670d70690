"""Measure what the project claims about speed, and about intervals: facerec benchmark

Contenders are measured in turns, in one process, and the ratios between them are compared with their targets.
Sections: layer, norm, generator, network, memory, throughput, heads, saving, pipeline, index, augmentation,
verification, export; coverage measures how often 95 % intervals contain the true value. With before=FOLDER, training
steps are measured beside those of the commit that is checked out there, and nothing else unless sections are given.
Prints tables on stderr and, last, one JSON object with the machine and every comparison.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from facerec.config.settings import command, measured_by, setting
from facerec.console import terminal
from facerec.errors import InputError
from facerec.files import write_json
from facerec.perf import augmentation_speed as augmentation
from facerec.perf import coverage, earlier, export, heads, index, layer, memory, norm, pipeline, saving, throughput
from facerec.perf import generator_speed as generator
from facerec.perf import network_speed as network
from facerec.perf import verification_speed as verification
from facerec.perf.comparison import Case, Comparison
from facerec.perf.machine import describe_machine
from facerec.perf.tables import around_tables, markdown, show, write_markdown
from facerec.perf.timing import QUICK, Effort
from facerec.process import prepare_process

_OF_TRAINING = (layer, norm, generator, network, memory, throughput, heads, saving)
_MODULES = (*_OF_TRAINING, pipeline, index, augmentation, verification, export, coverage)
SECTIONS = {module.__name__.rpartition(".")[2].removesuffix("_speed"): module for module in _MODULES}


@dataclass
class Settings:
    """Settings:"""

    sections: tuple[str, ...] = setting("to measure; all if none is given", ())
    threads: int | None = setting("of PyTorch; its own choice if not given", None, least=1)
    before: Path | None = setting("checkout of an earlier commit, to measure its steps beside today's", None)
    quick: bool = setting("use small sizes and no targets, to see that everything runs", False)
    markdown: Path | None = setting("page whose tables are replaced, or a new one", None, written=True)
    json: Path | None = setting("file to write the JSON to", None, written=True)


def benchmark(settings: Settings) -> dict[str, Any]:
    """Measure, print and write the chosen sections; return the JSON."""
    prepare_process()
    refuse_early(settings)
    console = terminal(200)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    effort = QUICK if settings.quick else Effort()
    chosen = sections(settings, effort)
    machine, command = describe_machine(), measured_by("facerec benchmark", settings)
    comparisons: list[Comparison] = []
    for cases in chosen:
        section = run_cases(cases(), effort, console)
        show(section, console)
        comparisons += section
    report = {"command": command, "machine": asdict(machine), "comparisons": [asdict(c) for c in comparisons]}
    if settings.json:
        write_json(settings.json, report)
    if settings.markdown:
        write_markdown(markdown(comparisons, str(machine), command), settings.markdown)
    return report


def sections(settings: Settings, effort: Effort) -> list[Callable[[], list[Case]]]:
    """Return what gives the cases of each section: of all, unless some are asked for, or an earlier commit is."""
    names = settings.sections or (() if settings.before else SECTIONS)
    chosen = [partial(SECTIONS[name].cases, effort) for name in names]
    return chosen + ([partial(earlier.cases, effort, settings.before)] if settings.before else [])


def refuse_early(settings: Settings) -> None:
    """Raise `InputError` for wrong settings before an hour of measurements."""
    for name in settings.sections:
        if name not in SECTIONS:
            raise InputError(f"unknown section {name!r}: choose from {', '.join(SECTIONS)}")
    if settings.before:
        earlier.commit_in(settings.before)
    if settings.quick and settings.markdown and settings.markdown.is_file():
        raise InputError(f"quick=true would overwrite real results in {settings.markdown}: give a new file")
    for key, path in (("markdown", settings.markdown), ("json", settings.json)):
        if path and not path.absolute().parent.is_dir():
            raise InputError(f"{key}={path} is in a folder that does not exist: create it first")
    if settings.markdown:
        around_tables(settings.markdown)


def run_cases(cases: list[Case], effort: Effort, console: Console) -> list[Comparison]:
    """Run the cases and show the current one."""
    columns = (SpinnerColumn(), TextColumn("{task.completed}/{task.total} {task.description}"), TimeElapsedColumn())
    comparisons = []
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=len(cases))
        for case in cases:
            progress.update(bar, description=f"{case.section}: {case.name}")
            comparisons.append(case.run(counts=not effort.quick))
            progress.advance(bar)
    return comparisons


main = command(Settings, benchmark)
