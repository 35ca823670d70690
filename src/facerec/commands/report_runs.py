"""Tabulate finished runs, or compare groups of them: facerec report outputs/NAME ...

    facerec report outputs/NAME ...                               a table of all runs
    facerec report compare outputs/NAME ... over=operator         is one operator better than another?
    facerec report forest A.json B.json ... out=FIGURE.png        comparisons, kept with json=, as a forest plot
    facerec report html outputs/NAME ...                          one page about all of it, for a browser

Includes every finished run in the folders, at any depth. In the table, runs that differ only in the seed share a row,
and the last epoch comes first: the best one was chosen on the benchmarks, unless the table says otherwise. Brackets
hold 95 % intervals over seeds and pairs, which respect that pairs share people; with one seed, over pairs alone.

compare pairs the runs by seed and image pair, for accuracy, TAR at a FAR or FNMR at an FMR (metric=, rate=). It
corrects p values for the number of comparisons (Holm) and says, where it cannot tell, how many seeds would. Runs that
differ in more than the setting under test are refused, unless allow= names what else may differ.

forest draws the differences and 95 % intervals of one or more comparisons; several have their files' names as titles.

html writes table, comparison, cost, curves, affinity maps, hardest pairs and provenance to one file that loads nothing
else. It compares runs that differ in the setting over= alone, separately for all values of the others.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facerec.commands.report_forest import comparisons_figure
from facerec.config.settings import command, measured_by, setting, subcommands
from facerec.console import log
from facerec.errors import InputError
from facerec.files import markdown_cell, replacing, write_json
from facerec.pages.page import PageOptions, sweep_page
from facerec.plots.network import refuse_no_figure, save_figure
from facerec.runs.comparable import compare_alike
from facerec.runs.comparison_file import comparison_content
from facerec.runs.comparison_table import comparison_rows
from facerec.runs.mask_metric import MASK_NUMBERS, MaskMetric
from facerec.runs.metric import METRIC_KINDS, Metric
from facerec.runs.report import find_runs, show_table
from facerec.runs.run_results import RunResults, learner_of
from facerec.runs.run_tables import RunTable, run_tables
from facerec.runs.table_formats import (
    comma_separated,
    latex_for_one_column,
    markdown,
    records,
    write_markdown,
    write_table,
)


@dataclass
class TableSettings:
    """Settings:"""

    folders: tuple[Path, ...] = setting("that contain runs", word=True)
    csv: Path | None = setting("CSV file to write the table to", None, written=True)
    markdown: Path | None = setting(
        "Markdown file to write the table to, or a page with the command, <!-- facerec report FOLDER -->",
        None,
        written=True,
    )
    latex: Path | None = setting("LaTeX file to write the table to, for one column of a paper", None, written=True)
    json: Path | None = setting("JSON file to write what is shown to, in numbers", None, written=True)


@dataclass
class CompareSettings(TableSettings):
    """compare, also:"""

    over: str = setting("the setting in which the groups differ, such as width", "operator")
    baseline: str | None = setting("the group to compare with, by a part of its name; depthwise or the first", None)
    checkpoint: Literal["last", "best"] = setting("the epoch to compare", "last")
    allow: tuple[str, ...] = setting("further settings that may differ, such as commit,fingerprint.train", ())
    metric: str | None = setting(
        "what to compare: accuracy, or tar or fnmr at a rate=; of masks mean_dice, cup_dice, cup_hd and so on", None
    )
    rate: float | None = setting("FAR of metric=tar, FMR of metric=fnmr, such as 0.01", None)


@dataclass
class ForestSettings:
    """forest:"""

    files: tuple[Path, ...] = setting("that compare wrote with json=", word=True)
    out: Path = setting("figure to write", Path("forest.png"), written=True)


@dataclass
class PageSettings:
    """html:"""

    folders: tuple[Path, ...] = setting("that contain runs", word=True)
    out: Path | None = setting("page to write; report.html in the first folder if not given", None, written=True)
    over: str = setting("the setting that gives a line its colour, and whose values are compared", "operator")
    allow: tuple[str, ...] = setting("further settings that may differ in a comparison, such as commit", ())
    faces: bool = setting("show the faces of the hardest pairs: only where the images may be passed on", False)
    trust: bool = setting("also build classes that are not facerec's: only if you trust the runs", False)


def report(settings: TableSettings) -> None:
    tables = run_tables(find_runs(list(settings.folders)))
    for table in tables:
        show_table(table.shown, table.title)
        for sentence in table.said:
            log(sentence)
    written = [getattr(settings, key) for key in ("csv", "markdown", "latex", "json")]
    if len(tables) > 1 and any(written):
        where = ", ".join(map(str, settings.folders))
        raise InputError(f"{where} has runs of {len(tables)} tasks, and a file has one table: name folders of one")
    _write(tables[0], settings, "facerec report")
    if settings.json is not None:
        write_json(settings.json, {"rows": records(tables[0].rows), "notes": tables[0].said})


def _write(table: RunTable, settings: TableSettings, command: str) -> None:
    """Write the tables; Markdown has the sentences below, and a place in a page by the command."""
    if settings.csv is not None:
        write_table(comma_separated(table.rows), settings.csv)
    if settings.latex is not None:
        write_table(latex_for_one_column(table.for_paper), settings.latex)
    if settings.markdown is not None:
        below = "".join(f"\n- {markdown_cell(sentence)}" for sentence in table.said)
        text = markdown(table.for_page) + below + ("\n" if below else "")
        write_markdown(text, settings.markdown, measured_by(command, settings))


def compare(settings: CompareSettings) -> None:
    """Compare all groups with the baseline and show one row and one sentence per comparison."""
    runs = find_runs(list(settings.folders))
    metric = _metric(settings, runs)
    asked = settings.over, settings.allow, settings.baseline, settings.checkpoint
    found, problems, differences, refused = compare_alike(runs, *asked, metric)
    if not found and not refused:
        raise InputError(problems[0])
    rows = [{_named(c, metric): text for c, text in row.items()} for row in comparison_rows(found, refused)]
    title = (
        f"{metric.label}{' in percent' if metric.factor == 100 else ''}, {settings.checkpoint} epoch, [95 % interval]; "
        f"p corrected for {len(found)} (Holm)"
    )
    for_paper = [{column: text for column, text in row.items() if column != "seeds needed"} for row in rows]
    table = RunTable(rows, rows, rows, for_paper, title, [each.sentence() for each in (*found, *refused)])
    show_table(table.shown, table.title)
    print("\n".join(table.said))
    for problem in problems:
        log(problem)
    for key, values in differences.items():
        log(f"the runs differ in {key} too: {', '.join(values)}")
    _write(table, settings, "facerec report compare")
    if settings.json is not None:
        asked = {"command": measured_by("facerec report compare", settings), "setting": settings.over}
        asked |= {"checkpoint": settings.checkpoint, "rate": settings.rate, "differences": differences}
        write_json(settings.json, comparison_content(found, refused, metric, asked))


def _metric(settings: CompareSettings, runs: list[Path]) -> Metric | MaskMetric:
    """Return what is compared: of the task's numbers the one that was asked for, or the first."""
    learners = {learner_of(RunResults.read(run).config) for run in runs}
    known: dict[str, Metric | MaskMetric] = {}
    for learner in learners:
        known |= _METRICS[learner]
    kind = settings.metric or next(iter(known))
    if len(learners) > 1 or kind not in known:
        raise InputError(f"metric={kind} is none of these runs, of {len(learners)} tasks: they have {', '.join(known)}")
    metric = known[kind]
    if isinstance(metric, Metric):
        metric = metric._replace(rate=settings.rate)
        metric.refuse_wrong_rate()
    elif settings.rate is not None:
        raise InputError(f"rate={settings.rate:g} has no effect on {metric.label}: leave it out")
    return metric


_METRICS: dict[str, dict[str, Metric | MaskMetric]] = {
    "Recognizer": {kind: Metric(kind) for kind in METRIC_KINDS},
    "Segmenter": {kind: MaskMetric(kind) for kind in MASK_NUMBERS},
}


def _named(column: str, metric: Metric | MaskMetric) -> str:
    return metric.label if column == "accuracy" else column


def forest(settings: ForestSettings) -> None:
    """Draw the figure."""
    refuse_no_figure(settings.out)
    save_figure(comparisons_figure(settings.files), settings.out)
    log(f"drawn: {settings.out}")


def html(settings: PageSettings) -> None:
    """Write the page."""
    out = settings.out or settings.folders[0] / "report.html"
    options = PageOptions(settings.over, settings.allow, settings.faces, settings.trust)
    page = sweep_page(settings.folders, options)
    with replacing(out) as partial:
        partial.write_text(page, encoding="utf-8")
    log(f"written: {out}")


main = subcommands(
    {
        "compare": command(CompareSettings, compare),
        "forest": command(ForestSettings, forest),
        "html": command(PageSettings, html),
    },
    command(TableSettings, report),
)
