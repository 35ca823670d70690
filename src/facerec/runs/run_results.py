"""The results file of a run, ``results.json``."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import mean
from typing import Any

from facerec.errors import InputError
from facerec.files import RESULTS, write_json


@dataclass(frozen=True, kw_only=True)
class RunResults:
    """The results of a run, with what is needed to reproduce it.

    Attributes:
        started: local time in ISO 8601.
        command: as typed.
        config_fingerprint: digest of ``config``.
        git_commit: of the code; None outside a checkout.
        git_dirty: whether the code differed from the commit.
        environment: versions, platform, device, threads.
        protocol: name of the verification protocol.
        config: the resolved settings that determine the result.
        data: fingerprints of the training set and of each benchmark.
        cost: parameters and multiply-adds.
        training_images_per_second: None where nothing was trained in this session.
        best_chosen_on: benchmarks on whose mean accuracy the best epoch was chosen.
        best: checkpoint, epoch (from 0) and, per benchmark, the summary of its verification.
        last: the same of the last epoch.
    """

    started: str
    command: str
    config_fingerprint: str
    git_commit: str | None
    git_dirty: bool
    environment: dict[str, Any]
    protocol: str
    config: dict[str, Any]
    data: dict[str, Any]
    cost: dict[str, Any]
    training_images_per_second: float | None
    best_chosen_on: list[str]
    best: dict[str, Any]
    last: dict[str, Any]

    def write(self, folder: Path) -> None:
        """Write the file in ``folder`` whole or not at all."""
        write_json(folder / RESULTS, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "RunResults":
        """Read the results of the run in ``folder``; fields that an older version did not write are None.

        Raises `InputError` if the file is damaged.
        """
        try:
            content = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
            if not isinstance(content, dict) or "last" not in content:
                raise ValueError("it contains no results")
        except ValueError as error:
            raise InputError(f"{folder / RESULTS} is damaged ({error}): remove the folder or run it again") from error
        values: dict[str, Any] = {field.name: content.get(field.name) for field in fields(cls)}
        return cls(**values)

    def objective(self) -> float:
        """Return the mean accuracy of the last epoch, which sweepers may maximise, on held-out identities if there are
        any, else over the benchmarks."""
        benchmarks = self.last["benchmarks"]
        return mean(benchmarks[name]["accuracy"] for name in self.best_chosen_on or benchmarks)
