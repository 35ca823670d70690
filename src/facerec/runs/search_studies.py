"""The trials of a hyper-parameter search in an SQLite file: Optuna's studies, one per compared value."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from facerec.errors import InputError

# The median rule spares the first trials, which it has too little to compare with, and the first epochs.
_SPARED_TRIALS, _SPARED_EPOCHS = 5, 1 / 3
_FIXED_BY, _REASON = "settings", "reason"
FINISHED, PRUNED, FAILED, UNFINISHED = "finished", "pruned", "failed", "unfinished"
_STATES = {TrialState.COMPLETE: FINISHED, TrialState.PRUNED: PRUNED, TrialState.FAIL: FAILED}


@dataclass(frozen=True)
class TrialRecord:
    """A trial as it is stored.

    Attributes:
        number: of its study, from 1.
        state: finished, pruned, failed or unfinished.
        accuracy: of a finished trial on held-out identities, a fraction.
        settings: the chosen value per key.
        epochs: accuracy per verified epoch (from 0).
        reason: why a trial failed.
    """

    number: int
    state: str
    accuracy: float | None
    settings: dict[str, Any]
    epochs: dict[int, float]
    reason: str | None


class Study:
    """The trials of one compared value.

    Which settings a trial gets follows from the ``seed``, the trial's number and the results before it alone, so that a
    search which was stopped and continued tries the same settings as one that was not.

    Args:
        study: Optuna's.
        searched: the distribution per key.
        seed: of the sampler.
        epochs: of every trial.
        pruning: stop a trial that is worse than the median of the finished ones at the same epoch.
    """

    def __init__(
        self, study: optuna.Study, searched: Mapping[str, BaseDistribution], seed: int, epochs: int, pruning: bool
    ) -> None:
        self._study, self._searched, self._seed = study, searched, seed
        spared = max(1, round(epochs * _SPARED_EPOCHS))
        study.pruner = optuna.pruners.MedianPruner(_SPARED_TRIALS, spared) if pruning else optuna.pruners.NopPruner()

    def records(self) -> list[TrialRecord]:
        """Return all trials, in their order."""
        return [_record(trial) for trial in self._study.get_trials(deepcopy=False)]

    def ended(self) -> int:
        """Return the number of trials that are finished, pruned or failed."""
        return sum(record.state != UNFINISHED for record in self.records())

    def best(self) -> TrialRecord | None:
        """Return the finished trial of the highest accuracy, the first of several."""
        finished = [record for record in self.records() if record.state == FINISHED]
        return max(finished, key=lambda record: record.accuracy or 0.0, default=None)

    def next_trial(self) -> "Trial":
        """Return the trial that was interrupted, with its settings, or a new one."""
        number = self.ended()
        state = np.random.SeedSequence([self._seed, number]).generate_state(1)
        self._study.sampler = optuna.samplers.TPESampler(seed=int(state[0]))
        interrupted = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        trial = optuna.Trial(self._study, interrupted[0]._trial_id) if interrupted else self._study.ask()
        return Trial(self._study, trial, {key: _suggested(trial, key, one) for key, one in self._searched.items()})


class Trial:
    """A trial that runs. ``settings`` are its values per key, and ``number`` counts from 1."""

    def __init__(self, study: optuna.Study, trial: optuna.Trial, settings: dict[str, Any]) -> None:
        self._study, self._trial, self.settings = study, trial, settings
        self.number = trial.number + 1

    def report(self, epoch: int, accuracy: float) -> bool:
        """Store the accuracy of an epoch (from 0), and return whether the trial should be pruned."""
        if epoch not in self.record().epochs:  # the last one before an interruption is trained again
            self._trial.report(accuracy, epoch)
        return self._trial.should_prune()

    def finish(self, accuracy: float) -> None:
        self._study.tell(self._trial, accuracy)

    def prune(self) -> None:
        self._study.tell(self._trial, state=TrialState.PRUNED)

    def fail(self, reason: str) -> None:
        self._trial.set_user_attr(_REASON, reason)
        self._study.tell(self._trial, state=TrialState.FAIL)

    def record(self) -> TrialRecord:
        return _record(self._study.get_trials(deepcopy=False)[self._trial.number])


def range_of(low: float, high: float, log: bool, integer: bool) -> BaseDistribution:
    """Return the distribution of a range."""
    return IntDistribution(int(low), int(high), log) if integer else FloatDistribution(low, high, log)


def choice_of(values: tuple[str, ...]) -> BaseDistribution:
    """Return the distribution of values without an order."""
    return CategoricalDistribution(values)


def opened(file: Path, settings: Mapping[str, Mapping[str, str]]) -> dict[str, optuna.Study]:
    """Return the study per name of ``settings``, new or with the trials it had, from the SQLite file.

    Raises `InputError` if the file is no search's, or if a study there was begun with other settings.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        storage = optuna.storages.RDBStorage(URL.create("sqlite", database=str(file)).render_as_string())
        studies = {
            name: optuna.create_study(study_name=name, storage=storage, direction="maximize", load_if_exists=True)
            for name in settings
        }
        for study in studies.values():
            study.get_trials(deepcopy=False)
    except (SQLAlchemyError, StorageInternalError, RuntimeError, TypeError, ValueError, LookupError) as error:
        why = [*str(error.__cause__ or error).splitlines(), type(error).__name__][0]
        raise InputError(f"{file} holds no search that can be read ({why}): name another folder with out=") from error
    for name, study in studies.items():
        _refuse_other(study, settings[name], file)
        study.set_user_attr(_FIXED_BY, dict(settings[name]))
    return studies


def _refuse_other(study: optuna.Study, settings: Mapping[str, str], file: Path) -> None:
    begun = study.user_attrs.get(_FIXED_BY, settings)  # none if it was killed before it was stored
    for key in sorted(begun.keys() | settings.keys()):
        theirs, ours = begun.get(key, "nothing"), settings.get(key, "nothing")
        if theirs != ours:
            raise InputError(
                f"the search in {file} was begun with {key}={theirs}, and this one has {ours}: give the same settings "
                "to continue it, or another folder with out="
            )


def _suggested(trial: optuna.Trial, key: str, distribution: BaseDistribution) -> Any:
    match distribution:
        case IntDistribution():
            return trial.suggest_int(key, distribution.low, distribution.high, log=distribution.log)
        case FloatDistribution():
            return trial.suggest_float(key, distribution.low, distribution.high, log=distribution.log)
        case CategoricalDistribution():
            return trial.suggest_categorical(key, distribution.choices)
    raise TypeError(type(distribution))


def _record(trial: FrozenTrial) -> TrialRecord:
    state = _STATES.get(trial.state, UNFINISHED)
    return TrialRecord(
        trial.number + 1,
        state,
        trial.value if state == FINISHED else None,
        trial.params,
        dict(trial.intermediate_values),
        trial.user_attrs.get(_REASON),
    )
