"""Which groups of runs are better than the baseline, and how certain that is."""

from collections.abc import Collection, Mapping, Sequence

from facerec.pages.forest_plot import difference_scale, forest_plot
from facerec.pages.html_table import html_table
from facerec.pages.markup import Html, element
from facerec.pages.svg_plot import figure
from facerec.pages.texts import count, folded, listed, say
from facerec.runs.comparable import compare_alike
from facerec.runs.comparing import Compared
from facerec.runs.comparison_table import comparison_rows
from facerec.runs.sweep import SweepRun, short_names
from facerec.runs.table_formats import Row
from facerec.verification.paired_comparison import is_decided

_MOST_VALUES = 4


def findings(runs: Sequence[SweepRun], over: str, allow: Collection[str]) -> list[Html]:
    """Return what is decided, a plot per benchmark and the table of comparisons, or why there are none."""
    found, problems, differences, *_ = compare_alike([run.folder for run in runs], over, allow)
    if not found:
        return [say("The runs cannot be compared.", "none"), *listed(problems)]
    said = (
        f"{_alike(over, differences)}, paired by seed and image pair: the difference in accuracy of the last epoch "
        "with its 95 % interval, on the right of 0 if the first one named is better. Full dots are decided at "
        f"p < 0.05, corrected for {count(len(found), 'comparison')} (Holm); hollow ones are not."
    )
    plots = element("div", *_plots(found), class_="plots")
    table = folded(
        "Accuracies, p values and how many seeds would decide", html_table(_rows(found), as_is=("p",)), len(found) < 9
    )
    return [*_decided(found), say(said), *_passed(differences), plots, table, *listed(problems)]


def _alike(over: str, differences: Mapping[str, Sequence[str]]) -> str:
    if not differences:
        return f"Runs that differ in {over} alone"
    others = next(iter(differences)) if len(differences) == 1 else f"{len(differences)} more settings"
    return f"Runs that differ in {over} and in {others} (allow=), to which a difference may be due as well"


def _passed(differences: Mapping[str, Sequence[str]]) -> list[Html]:
    """Return the other differences between the runs, with up to four values each."""
    items = []
    for key, values in differences.items():
        more = [f"and {len(values) - _MOST_VALUES} more"] if len(values) > _MOST_VALUES else []
        items.append(element("li", element("b", key), ": ", ", ".join([*values[:_MOST_VALUES], *more])))
    listing = element("ul", *items, class_="findings passed")
    return [folded(f"What else differs: {count(len(items), 'setting')}", listing, len(items) < 7)] if items else []


def _decided(found: Sequence[Compared]) -> list[Html]:
    decided = [compared for compared in found if is_decided(compared.p)]
    undecided = len(found) - len(decided)
    most, shown = max(c.found.seeds for c in found), sorted(decided, key=lambda c: -abs(c.found.difference))[:6]
    items = [_finding(compared) for compared in shown]
    if len(decided) > len(shown):
        items.append(element("li", f"{count(len(decided) - len(shown), 'smaller difference')} decided, see below."))
    if undecided:
        why = (
            "one seed decides nothing, since another seed gives another number"
            if most < 2
            else "the table says how many seeds would decide, where a number of them would"
        )
        items.append(element("li", f"{undecided} of {count(len(found), 'comparison')} undecided: {why}."))
    return [element("ul", *items, class_="findings")]


def _finding(compared: Compared) -> Html:
    sentence, _, facts = compared.sentence().partition(" (")
    return element("li", sentence, element("small", facts.rstrip(")")), class_="found")


def _short(found: Sequence[Compared]) -> dict[str, str]:
    names = list(dict.fromkeys(name for compared in found for name in (compared.first, compared.second)))
    return dict(zip(names, short_names(names), strict=True))


def _plots(found: Sequence[Compared]) -> list[Html]:
    short, scale = _short(found), difference_scale(found)
    by_benchmark = {
        name: [c for c in found if c.benchmark == name] for name in dict.fromkeys(c.benchmark for c in found)
    }
    return [figure(forest_plot(own, scale, short), element("b", name)) for name, own in by_benchmark.items()]


def _rows(found: Sequence[Compared]) -> list[Row]:
    """Return the rows of the table with the names of the page."""
    short, named = _short(found), {"second": "accuracy", "first": "baseline"}
    rows = [{named.get(key, key): text for key, text in row.items()} for row in comparison_rows(found)]
    return [row | {"compared": f"{short[c.second]} with {short[c.first]}"} for row, c in zip(rows, found, strict=True)]
