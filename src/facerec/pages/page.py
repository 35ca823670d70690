"""One self-contained page about a sweep, opened from a disk: it loads nothing, and nothing from a run is executed."""

import base64
import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from facerec.pages.affinity_section import affinity_maps, are_kept
from facerec.pages.findings_section import findings
from facerec.pages.hardest_section import HardestSection
from facerec.pages.html_table import html_table
from facerec.pages.markup import Html, element, joined
from facerec.pages.peak_memory import peak_memory
from facerec.pages.provenance_section import differences, provenance
from facerec.pages.svg_plot import legend
from facerec.pages.sweep_plots import SweepPlots
from facerec.pages.texts import count, listed, say, sentence_case
from facerec.runs.report import cells, find_runs, rows_of_networks, said_once
from facerec.runs.sweep import SweepRun, cells_of, common_benchmarks, read_sweep
from facerec.runs.table_formats import Row, columns_of
from facerec.runs.training_overlap import shared_sentences

_LAST = "chosen on"  # of the columns


@dataclass(frozen=True)
class PageOptions:
    """What the page shows; see the settings of ``facerec report html``."""

    over: str = "operator"
    allow: Collection[str] = ()
    faces: bool = False
    trust: bool = False


def sweep_page(folders: Sequence[Path], options: PageOptions) -> Html:
    """Return the page about the finished runs in ``folders``, at any depth.

    Raises `InputError` if there are none, if results are damaged, or if a run has no setting ``options.over``.
    """
    runs = read_sweep(find_runs(folders, "Recognizer"), options.over)
    plots = SweepPlots(runs)
    sections = {
        "Findings": findings(runs, options.over, options.allow),
        "Runs": _table(runs),
        "Accuracy and cost": _costs(plots, folders),
        "Training": _training(plots),
        "ROC and DET": _errors(plots),
        "Affinity maps": _affinity(runs, options.trust),
        "Hardest pairs": _hardest(runs, options),
        "Settings": _settings(runs),
        "Provenance": provenance(runs),
    }
    return _document(", ".join(folder.absolute().name for folder in folders), _lead(runs), sections)


def _document(title: str, lead: str, sections: dict[str, list[Html]]) -> Html:
    links = [element("li", element("a", name, href=f"#{_anchor(name)}")) for name in sections]
    header = element("header", element("h1", title), element("p", lead, class_="lead"))
    parts = [element("section", element("h2", name), *parts, id=_anchor(name)) for name, parts in sections.items()]
    body = element("body", header, element("nav", element("ul", *links)), element("main", *parts), _script())
    head = element("head", *_head(title))
    return joined([Html("<!doctype html>\n"), element("html", head, body, lang="en"), Html("\n")])


def _head(title: str) -> list[Html]:
    return [
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy()),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{title} - facerec"),
        element("style", Html(_file("page.css"))),
    ]


def _policy() -> str:
    """Allow the script of the page and its images, and nothing else: no request, no other script."""
    digest = base64.b64encode(hashlib.sha256(_file("page.js").encode()).digest()).decode()
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def _script() -> Html:
    return element("script", Html(_file("page.js")))


def _file(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _anchor(name: str) -> str:
    return name.lower().replace(" ", "-")


def _lead(runs: Sequence[SweepRun]) -> Html:
    networks, seeds = cells_of(runs), {run.results.config["seed"] for run in runs}
    protocols = ", ".join(sorted({run.results.protocol for run in runs}))
    benchmarks = ", ".join(dict.fromkeys(name for run in runs for name in run.results.last["benchmarks"]))
    said = (
        f"{count(len(runs), 'run')} of {count(len(networks), 'network')}, {count(len(seeds), 'seed')}, verified on "
        f"{benchmarks} with protocol {protocols}. Written on "
    )
    return joined([said, element("span", f"{datetime.now():%Y-%m-%d}.", class_="date")])


def _table(runs: Sequence[SweepRun]) -> list[Html]:
    networks = rows_of_networks(cells([run.folder for run in runs]))
    # The epoch to read comes first for each network; the other one is chosen on the benchmarks.
    muted = [beside > 0 for rows in networks for beside in range(len(rows))]
    kept, once = said_once([row for rows in networks for row in rows])
    chosen = {row[_LAST] for rows in networks for row in rows if row[_LAST]}
    columns = [c for c in _columns(kept, runs) if c != _LAST or len(chosen) > 1]
    said = (
        f"Accuracy in percent, mean over seeds, [95 % interval].{_beside(chosen) if any(muted) else ''} A click on the "
        "name of a column sorts."
    )
    table = html_table([{c: row.get(c, "") for c in columns} for row in kept], muted=muted, as_is=_benchmarks(runs))
    shared = shared_sentences([run.folder for run in runs])
    return [say(said), *([say(f"{sentence_case(once)}.")] if once else []), table, *listed(shared)]


def _beside(chosen: Collection[str]) -> str:
    here = f"; here, it was chosen on {next(iter(chosen))}" if len(chosen) == 1 else ""
    return (
        f" Grey rows are the other epoch: a best one that was chosen on the benchmarks looks better than it is{here}."
    )


def _benchmarks(runs: Sequence[SweepRun]) -> list[str]:
    return list(dict.fromkeys(name for run in runs for name in run.results.best["benchmarks"]))


def _columns(rows: list[Row], runs: Sequence[SweepRun]) -> list[str]:
    """Return the columns: what a network is, all benchmarks, what it costs, and on what its best epoch was chosen."""
    names = _benchmarks(runs)
    others = [c for c in columns_of(rows) if c not in names and c != _LAST]
    costs = others.index("MACs (M)")
    return [*others[:costs], *names, *others[costs:], _LAST]


def _costs(plots: SweepPlots, folders: Sequence[Path]) -> list[Html]:
    memory, measured = peak_memory(plots.runs, folders)
    drawn = plots.costs(memory)
    if not drawn:
        return [say("There are no two networks with a benchmark in common to draw.", "none"), *measured]
    names = ", ".join(common_benchmarks(plots.runs))
    said = (
        f"Accuracy of the last epoch on {names}, mean over seeds and benchmarks. A dot is labelled with what tells its "
        f"network from others of the same colour. Images/s were measured during training, on the machine of the run."
    )
    return [say(said), *measured, legend(plots.groups), element("div", *drawn, class_="plots")]


def _training(plots: SweepPlots) -> list[Html]:
    drawn, problems = plots.training()
    if not drawn:
        return [say("No run has curves.", "none"), *listed(problems)]
    said = (
        "One line per run. The mouse on a line names it and highlights its network in all plots, on a name its group."
    )
    return [say(said), legend(plots.groups), element("div", *drawn, class_="plots"), *listed(problems)]


def _errors(plots: SweepPlots) -> list[Html]:
    drawn = plots.errors()
    problems = [f"{run.name}: {run.problem}" for run in plots.runs if run.problem]
    if not drawn:
        return [say("No run has scores of its last epoch.", "none"), *listed(problems)]
    said = "Of the last epoch, one line per run. Curves end at one false accept, since the pairs tell no more."
    grids = [element("div", *kind, class_="plots") for kind in zip(*drawn, strict=True)]
    return [say(said), legend(plots.groups), *grids, *listed(problems)]


def _affinity(runs: Sequence[SweepRun], trust: bool) -> list[Html]:
    tables, problems = affinity_maps(runs, trust)
    if not tables:
        return [say("No network has affinity maps that can be read.", "none"), *listed(problems)]
    said = (
        "What TVConv learned about each position, in layers from the first to the last, and the RMS of the weights "
        "that it generates there. Each map has its own colours, from its lowest value, dark, to its highest."
    )
    if any(map(are_kept, runs)):
        said += " Over the epochs, a map has the same colours in all rows, so that growth is seen."
    return [say(said), *tables, *listed(problems)]


def _hardest(runs: Sequence[SweepRun], options: PageOptions) -> list[Html]:
    parts = HardestSection(options.faces, options.trust).parts(runs)
    if not parts:
        return [say("No run has scores of its last epoch.", "none")]
    said = (
        "The pairs that most runs decide wrongly, the furthest from the threshold first: hard images, or wrong labels."
    )
    return [say(said if options.faces else f"{said} Their faces are shown with faces=true."), *parts]


def _settings(runs: Sequence[SweepRun]) -> list[Html]:
    table = differences(runs)
    if table is None:
        return [say("The runs differ in nothing but their seeds.", "none")]
    return [say("The settings in which the networks differ; seeds are left out."), table]
