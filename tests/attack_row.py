"""What an attack tries, how often, and how that ends: a row of the table in docs/reliability.md."""

import json
import os
import random
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

IS_WHOLE = os.environ.get("ATTACK") == "whole"  # as `make attack` has it; otherwise a few trials of each row
SEED = int(os.environ.get("ATTACK_SEED", "1"))

Case = TypeVar("Case")


@dataclass
class Row:
    """Trials of one kind.

    Attributes:
        title: what is tried.
        endings: how many of the trials ended in which way; in a failure, none.
        failures: which trials failed, and why.
        not_tried: why there is no trial, or None.
        commit: of the checkout in which it was tried.
    """

    title: str
    endings: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    not_tried: str | None = None
    commit: str = ""

    def trials(self, few: int, all: int) -> Iterator[random.Random]:
        """For each of ``all`` trials, or of ``few`` of them, what it draws from."""
        for number in range(all if IS_WHOLE else few):
            yield random.Random(f"{self.title} {SEED} {number}")

    def cases(self, cases: Sequence[Case], few: int) -> Sequence[Case]:
        """All ``cases``, or ``few`` that are drawn from them."""
        return cases if IS_WHOLE else random.Random(f"{self.title} {SEED}").sample(list(cases), min(few, len(cases)))

    @contextmanager
    def trial(self, case: object) -> Iterator["Trial"]:
        """A trial. An error in it is a failure of this row, and others are still tried."""
        trial = Trial()
        try:
            yield trial
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            self.failures.append(
                f"{case}: {type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
            )
        else:
            self.endings[trial.ending] += 1

    def refuse_failures(self) -> None:
        assert not self.failures, "\n".join([f"{self.title}:", *self.failures])
        assert self.endings or self.not_tried, f"{self.title}: nothing was tried"

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(vars(self)))

    @classmethod
    def read(cls, path: Path) -> "Row":
        content = json.loads(path.read_text())
        return cls(**{**content, "endings": Counter(content["endings"])})

    def line(self) -> str:
        """This row in Markdown."""
        ended = self.not_tried or ", ".join(f"{ending} {count}" for ending, count in self.endings.most_common())
        count = self.endings.total() + len(self.failures)
        return f"| {self.title} | {count} | {ended} | {len(self.failures)} | {SEED} | {self.commit} |"


@dataclass
class Trial:
    """One trial; ``ending`` is how it ended, in one or two words."""

    ending: str = "as it should"
