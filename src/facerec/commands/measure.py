"""Count parameters and multiply-adds of a network: facerec measure backbone=mbv2 operator=tvconv width=0.1

Accepts the settings of train and needs no data. Values separated by commas are compared, in one row each:
    facerec measure operator=depthwise,tvconv,involution width=0.1,0.5 speed=true
Prints a table on stderr and, last, one JSON object, or a list of them if several networks are compared.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from rich.progress import track

from facerec.config.build import build_backbone, size_of
from facerec.config.compose import compose
from facerec.config.settings import command, run_settings, setting
from facerec.console import terminal
from facerec.cost import measure_cost
from facerec.errors import InputError
from facerec.perf.runtime import measure_runtime
from facerec.process import prepare_process
from facerec.runs.table_formats import markdown, terminal_table, write_table


@dataclass
class Settings:
    """Settings:"""

    speed: bool = setting("also measure images per second and peak memory of 8 images on this CPU", False)
    markdown: Path | None = setting("Markdown file to write the table to", None, written=True)
    overrides: tuple[str, ...] = run_settings("as for train")


def measure_all(settings: Settings) -> dict[str, Any] | list[dict[str, Any]]:
    """Print the table and return what to print as JSON."""
    prepare_process()
    for argument in settings.overrides:
        if argument.partition("=")[0] == "sweep":
            raise InputError(f"{argument} cannot be measured: give the values with commas between them")
    cells = combinations(settings.overrides)
    console = terminal(160)
    several = track(cells, "networks", console=console, transient=True, disable=len(cells) == 1)
    measured = [measure(cell, settings.speed) for cell in several]
    rows = [{"": name, **_texts(numbers)} for name, numbers in zip(varied(cells), measured, strict=True)]
    if settings.markdown:
        write_table(markdown(rows), settings.markdown)
    if len(rows) == 1:
        rows = [{"": key, "value": text} for key, text in _texts(measured[0]).items()]
    console.print(terminal_table(rows, show_header=len(measured) > 1, box=None))
    return measured[0] if len(measured) == 1 else measured


def combinations(overrides: Sequence[str]) -> list[list[str]]:
    """Return every combination of values separated by commas; a list in brackets is one value."""
    choices = []
    for override in overrides:
        key, equals, value = override.partition("=")
        values = [value] if value.startswith("[") else value.split(",")
        choices.append([f"{key}{equals}{one}" for one in values])
    return [list(cell) for cell in product(*choices)]


def varied(cells: list[list[str]]) -> list[str]:
    """Return, per cell, the settings that not all cells have in common."""
    return [" ".join(s for s in cell if any(s not in other for other in cells)) for cell in cells]


def measure(overrides: list[str], speed: bool) -> dict[str, Any]:
    """Return settings, cost and, with ``speed``, runtime of one network."""
    cfg = compose(overrides)
    network = build_backbone(cfg)
    height, width = size_of(cfg.backbone) or (cfg.image_size, cfg.image_size)
    size = (int(height), int(width))
    ran = asdict(measure_runtime(network, size)) if speed else {}
    return {"settings": overrides, **asdict(measure_cost(network, size)), **ran}


def _texts(measured: dict[str, Any]) -> dict[str, str]:
    return {key: f"{value:,}" for key, value in measured.items() if key != "settings"}


main = command(Settings, measure_all)
