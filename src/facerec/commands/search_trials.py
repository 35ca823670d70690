"""The trials of a search: the runs, and what was found."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError

from facerec.commands.one_run import trained
from facerec.commands.search_budget import Budget, planned
from facerec.config.compose import composed_in
from facerec.config.search_cells import Cell, identity
from facerec.config.search_space import Choices, Range, Space, as_value
from facerec.config.settings import as_typed
from facerec.console import log
from facerec.data.held_out import HELD_OUT
from facerec.errors import InputError
from facerec.files import LAST, write_json
from facerec.handlers import TERMINATED
from facerec.plots.network import save_figure
from facerec.plots.search_figure import Scale, TrialPoint, search_figure
from facerec.process import is_interrupt
from facerec.runs.folder import is_finished
from facerec.runs.provenance import code_and_environment
from facerec.runs.report import show_table
from facerec.runs.run_lock import alone_in
from facerec.runs.run_results import RunResults
from facerec.runs.search_studies import FAILED, FINISHED, PRUNED, Study, Trial, TrialRecord, choice_of, opened, range_of
from facerec.runs.table_formats import Row
from facerec.training.callbacks.not_a_number import Diverged
from facerec.training.callbacks.pruning import Pruned, ReportEpochs

_DATABASE, _SUMMARY, _FIGURE, _TRIAL = "search.db", "search.json", "search.png", "trial.json"
_OTHER_SEEDS = 3


def run_search(space: Space, cells: Mapping[str, Sequence[Cell]], out: Path, trials: int, pruning: bool) -> None:
    """Run the trials that ``out`` does not have yet, and print and write what was found."""
    budgets, images = planned(space, cells, trials)
    for value, budget in budgets.items():
        log(f"{space.label(value)}: {budget}")
    log(f"all: about {sum(budget.training_macs() for budget in budgets.values()):.1e} multiply-adds")
    if not (out / _DATABASE).is_file() and any(out.rglob(_TRIAL)):
        raise InputError(f"{out} has trials but no {_DATABASE}: put it back, or name another folder with out=")
    out.mkdir(parents=True, exist_ok=True)
    with alone_in(out, "give another folder with out="):
        search = _Search(space, cells, out, budgets, pruning, images)
        try:
            search.run()
        except StorageInternalError as error:
            raise InputError(
                f"{out / _DATABASE} cannot be written ({error.__cause__ or error}): free space, and give the same "
                "command again"
            ) from error
        except (KeyboardInterrupt, SystemExit) as ended:
            sentence = f"stopped: the same command continues the search in {out}"
            if is_interrupt(ended):
                raise KeyboardInterrupt(sentence) from None
            if ended.args == (TERMINATED,):
                log(sentence)
            raise
        search.publish()


class _Search:
    """The studies of a search and their folder."""

    def __init__(
        self,
        space: Space,
        cells: Mapping[str, Sequence[Cell]],
        out: Path,
        budgets: Mapping[str, Budget],
        pruning: bool,
        images: dict[str, str],
    ) -> None:
        self.space, self.out, self.budgets = space, out, budgets
        self.trials = budgets[space.compared[0]].trials
        of_all = images | {"pruning": str(pruning).lower()}
        settings = {space.label(value): identity(space, of_value[0]) | of_all for value, of_value in cells.items()}
        searched = {key: _distribution(variable) for key, variable in space.searched.items()}
        first = cells[space.compared[0]][0].cfg
        self.seed = first.seed
        studies = opened(out / _DATABASE, settings)
        self.studies = {
            value: Study(studies[space.label(value)], searched, self.seed, first.trainer.max_epochs, pruning)
            for value in space.compared
        }

    def run(self) -> None:
        """Run what is left, in turn for each compared value, so that they are compared from the first trials on."""
        self._write()
        for value, study in self.studies.items():
            if study.ended():
                log(f"{self.space.label(value)}: {study.ended()} trials are done already")
        for number in range(self.trials):
            for value, study in self.studies.items():
                if study.ended() <= number:
                    self._run(value, study)
                    self._write()

    def _run(self, value: str, study: Study) -> None:
        trial = study.next_trial()
        label, folder = self.space.label(value), self._folder(value, trial.number)
        chosen = {key: _typed(choice) for key, choice in trial.settings.items()}
        log(f"{label}, trial {trial.number} of {self.trials}: {' '.join(f'{k}={v}' for k, v in chosen.items())}")
        folder.mkdir(parents=True, exist_ok=True)
        try:
            trial.finish(_accuracy(folder, self.space.overrides(value, chosen), trial))
        except Pruned:
            trial.prune()
        except Diverged as error:
            trial.fail(str(error))
        except torch.OutOfMemoryError:
            trial.fail("the GPU has too little memory for these settings")
        except Exception as error:
            if not (folder / "run.json").is_file():  # it had not begun, and would end here again
                trial.fail(f"{type(error).__name__}: {error}")
            if isinstance(error, InputError):
                raise InputError(f"{label}, trial {trial.number} ended: {error}") from error
            raise
        write_json(folder / _TRIAL, asdict(trial.record()))
        log(f"{label}, trial {trial.number} of {self.trials}: {_said(trial.record(), study.best())}")

    def _folder(self, value: str, number: int) -> Path:
        of_value = self.out / self.space.label(value).replace("/", "_")[:150] if self.space.compare else self.out
        return of_value / f"trial_{number:03}"

    def publish(self) -> None:
        """Print the best trial per compared value and the command that trains the best of all; draw the figure."""
        scales = {key: _scale(variable) for key, variable in self.space.searched.items()}
        points = {self.space.label(v): [_point(one) for one in s.records()] for v, s in self.studies.items()}
        save_figure(search_figure(points, scales), self.out / _FIGURE)
        rows = [self._row(value, study, self.budgets[value]) for value, study in self.studies.items()]
        show_table(
            rows, "best trials, by the accuracy on held-out identities in percent; optimistic, since chosen by it"
        )
        log(f"written: {self.out / _SUMMARY} and {_FIGURE}")
        winner = self._winner()
        if winner is None:
            raise InputError(f"no trial finished: {self.out / _SUMMARY} has the reasons, give other ranges and out=")
        log("the best settings with other seeds:")
        print(winner)

    def _write(self) -> None:
        summary = {
            "fixed": list(self.space.fixed),
            "searched": {key: str(variable) for key, variable in self.space.searched.items()},
            "compare": self.space.compare,
            "trials": self.trials,
            "winner": self._winner(),
            **code_and_environment(),
            "searches": {self.space.label(v): self._summary(v, s, self.budgets[v]) for v, s in self.studies.items()},
        }
        write_json(self.out / _SUMMARY, summary)

    def _summary(self, value: str, study: Study, budget: Budget) -> dict[str, Any]:
        best = study.best()
        return {
            "best": None if best is None else best.number,
            "budget": asdict(budget) | {"training_macs": budget.training_macs()},
            "trials": [
                asdict(one) | {"folder": str(self._folder(value, one.number).relative_to(self.out))}
                for one in study.records()
            ],
        }

    def _row(self, value: str, study: Study, budget: Budget) -> Row:
        best, states = study.best(), [record.state for record in study.records()]
        return {
            **({self.space.compare: value} if self.space.compare else {}),
            "accuracy": "none" if best is None else f"{100 * (best.accuracy or 0):.2f}",
            "trial": "" if best is None else str(best.number),
            **{key: "" if best is None else _shown(best.settings[key]) for key in self.space.searched},
            **{state: str(states.count(state)) for state in (FINISHED, PRUNED, FAILED)},
            "MACs (M)": " to ".join(f"{macs / 1e6:.2f}" for macs in dict.fromkeys(budget.macs)),
        }

    def _winner(self) -> str | None:
        """Return the command that trains the best settings of all with other seeds, on all identities."""
        best = {value: found for value, study in self.studies.items() if (found := study.best()) is not None}
        if not best:
            return None
        value = max(best, key=lambda one: best[one].accuracy or 0)
        chosen = {key: _typed(choice) for key, choice in best[value].settings.items()}
        return winner_command(self.space, value, chosen, self.seed, f"{self.out.name}_best")


def winner_command(space: Space, value: str, chosen: dict[str, str], seed: int, name: str) -> str:
    """Return the command that trains these settings with three other seeds than ``seed``."""
    typed = [argument for argument in space.typed(value, chosen) if not argument.startswith("seed=")]
    seeds = ",".join(str(seed + number) for number in range(1, _OTHER_SEEDS + 1))
    return " ".join(["facerec train -m", *as_typed(typed), f"seed={seeds}", f"name={name}"])


def _accuracy(folder: Path, overrides: list[str], trial: Trial) -> float:
    """Train the run of a trial, or go on with it, and return its accuracy on held-out identities in the last epoch."""
    if is_finished(folder):  # the search was stopped before it noted that
        results = RunResults.read(folder)
    else:
        resume = ["resume=auto"] if (folder / LAST).is_file() else []
        results = trained(composed_in(folder, [*overrides, *resume]), folder, overrides, [ReportEpochs(trial.report)])
    assert results is not None  # there is one device
    return results.last["benchmarks"][HELD_OUT]["accuracy"]


def _said(record: TrialRecord, best: TrialRecord | None) -> str:
    ended = f"{100 * (record.accuracy or 0):.2f} %" if record.state == FINISHED else record.state
    why = f", {record.reason}" if record.reason else f" after {len(record.epochs)} epochs"
    so_far = "" if best is None else f"; the best is {100 * (best.accuracy or 0):.2f} % of trial {best.number}"
    return f"{ended}{why}{so_far}"


def _distribution(variable: Range | Choices) -> BaseDistribution:
    if isinstance(variable, Range):
        return range_of(variable.low, variable.high, variable.log, variable.integer)
    return choice_of(variable.values)


def _scale(variable: Range | Choices) -> Scale | tuple[str, ...]:
    return Scale(variable.low, variable.high, variable.log) if isinstance(variable, Range) else variable.values


def _typed(value: Any) -> str:
    return value if isinstance(value, str) else as_value(value)


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _point(record: TrialRecord) -> TrialPoint:
    last = record.epochs[max(record.epochs)] if record.epochs else math.nan
    accuracy = last if record.accuracy is None else record.accuracy
    return TrialPoint(record.number, 100 * accuracy, record.state == FINISHED, record.settings)
