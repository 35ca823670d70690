"""Draw a figure of the TVConv paper from finished runs: facerec plot_paper figure=4 outputs/figure4

    figure=1e   variance of the features within an image and across images, of checkpoints or of an untrained network:
                facerec plot_paper figure=1e outputs/NAME
                facerec plot_paper figure=1e backbone=timm backbone.name=resnet18 operator=none data=synthetic
    figure=4    accuracy against multiply-adds
    figure=5    the table of accuracies; out= ends in .md, .csv or .tex
    figure=6    affinity maps by layer and, of a run with callbacks=maps, of one layer over the epochs
    figure=7    accuracy against multiply-adds and against the values that are stored
    figure=8    accuracy against images per second; measured on this machine
    figure=9    accuracy against peak memory; measured on this machine
    figure=10   contours of cup and disc by several networks, of runs of task=segmentation
    figure=11   mean and standard deviation of the training images beside the maps of the first layer
    figure=12   the same beside the maps of several layers

Accuracy is that after the last epoch, the mean over benchmarks and seeds. What is there is drawn, and what is missing
is said. What figures 8 and 9 measured is kept in paper_speed.json beside the figure, and not measured again.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from matplotlib.figure import Figure

from facerec.commands.mask_figures import contours
from facerec.commands.paper_maps import data_and_maps, maps
from facerec.commands.paper_tradeoffs import accuracy_table, tradeoff
from facerec.commands.paper_variances import variances
from facerec.config.settings import command, run_settings, setting
from facerec.console import log
from facerec.errors import InputError
from facerec.files import OUTPUTS
from facerec.plots.network import refuse_no_figure, save_figure
from facerec.process import prepare_process
from facerec.runs.report import find_runs, show_table
from facerec.runs.table_formats import comma_separated, latex, markdown, write_table

_TABLES = {".md": markdown, ".csv": comma_separated, ".tex": latex}
_OF_NETWORKS = ("1e", "11", "12")  # which read images


@dataclass
class Settings:
    """Settings:"""

    figure: Literal["1e", "4", "5", "6", "7", "8", "9", "10", "11", "12"] = setting("of the paper")
    folders: tuple[Path, ...] = setting("that contain runs, or checkpoints", (), word=True)
    out: Path | None = setting("file to write; figureN.png in the first folder if not given", None, written=True)
    layer: str | None = setting("figure 6: the layer to follow over the epochs; the first if not given", None)
    images: int = setting("figure 1e: number of images of the first benchmark", 512, least=2)
    trust: bool = setting("also build classes that are not facerec's: only if you trust the runs", False)
    overrides: tuple[str, ...] = run_settings(
        "figures 1e, 11 and 12: as for train, by default the checkpoints'",
        *("backbone", "operator", "data", "width", "image_size", "embedding_dim"),
    )


def draw(settings: Settings) -> dict[str, Any] | None:
    """Draw the figure; returns the numbers of one that is measured here."""
    prepare_process()
    out, numbers = settings.out or _default_out(settings), None
    refuse_wrong_suffix = refuse_no_table if settings.figure == "5" else refuse_no_figure
    refuse_wrong_suffix(out)
    if settings.overrides and settings.figure not in _OF_NETWORKS:
        raise InputError(f"figure={settings.figure} is of finished runs: leave {settings.overrides[0]} out")
    if not settings.folders and settings.figure not in ("1e", "10"):
        raise InputError(f"figure={settings.figure} is drawn from runs: name a folder, such as outputs/NAME")
    if settings.figure == "5":
        rows = accuracy_table(settings.folders)
        show_table(rows, "accuracy in percent after the last epoch ± standard deviation over seeds")
        write_table(_TABLES[out.suffix](rows), out)
    else:
        figure, numbers = _drawn(settings, out)
        save_figure(figure, out)
    log(f"drawn: {out}")
    return numbers


def _drawn(settings: Settings, out: Path) -> tuple[Figure, dict[str, Any] | None]:
    folders, trust = settings.folders, settings.trust
    match settings.figure:
        case "1e":
            return variances(folders, settings.images, settings.overrides, trust)
        case "6":
            return maps(folders, settings.layer, trust), None
        case "10":
            return contours(find_runs(list(folders), "Segmenter"), trust), None
        case "11" | "12":
            return data_and_maps(folders, settings.overrides, trust, of_first_layer=settings.figure == "11"), None
    return tradeoff(settings.figure, folders, out.parent, trust)


def _default_out(settings: Settings) -> Path:
    folder = settings.folders[0] if settings.folders and settings.folders[0].is_dir() else OUTPUTS
    return folder / f"figure{settings.figure}{'.md' if settings.figure == '5' else '.png'}"


def refuse_no_table(path: Path) -> None:
    """Raise `InputError` if the suffix of ``path`` names no format of a table."""
    if path.suffix not in _TABLES:
        raise InputError(f"{path} has no suffix of a table: end its name in {', '.join(_TABLES)}")


main = command(Settings, draw)
