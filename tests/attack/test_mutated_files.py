"""Files of every kind with random changes: refused, or read as they were."""

import random
import shutil
from pathlib import Path

import pytest
from attack_row import IS_WHOLE, SEED, Row
from file_mutations import mutated
from file_readers import READERS, digest_of
from limited import Limited

from facerec.errors import InputError

MUTATIONS = 30  # of each file
CASES = [(name, number) for name in READERS for number in range(MUTATIONS)]
OF_A_RUN = ("best.ckpt", "last.ckpt", "results.json", "metrics.csv", "last_scores.npz")


def slow(name: str) -> bool:
    """Whether seconds go by until there is such a file."""
    return READERS[name].write is None or name.startswith(("exported", "timm", "search", "teacher"))


class Example:
    """A file of one kind, in a folder that is the same in each trial."""

    def __init__(self, name: str, folder: Path, whole: Path, run: Path | None) -> None:
        self.name, self.folder, self.whole, self.reader = name, folder, whole, READERS[name]
        folder.mkdir()
        for file in OF_A_RUN if run else ():
            shutil.copy2(run / file, folder)  # pyright: ignore[reportOptionalOperand]
        if self.reader.write is not None:
            self.reader.write(folder)
        shutil.copytree(folder, whole)

    def with_change(self, number: int) -> Path:
        """The changed file, in an otherwise whole folder."""
        shutil.rmtree(self.folder)
        shutil.copytree(self.whole, self.folder)
        (path,) = self.folder.glob(self.reader.file)
        path.write_bytes(mutated(path.read_bytes(), random.Random(f"{self.name} {SEED} {number}")))
        return path


@pytest.fixture
def example(request: pytest.FixtureRequest, tmp_path: Path):
    made: dict[str, tuple[Example, str]] = {}

    def of(name: str, limited: Limited) -> tuple[Example, str]:
        """The example of a kind, and a digest of what is read from it."""
        if name not in made:
            needs_run = READERS[name].write is None or name.startswith("exported")
            run = request.getfixturevalue("depthwise_run") if needs_run else None
            new = Example(name, tmp_path / f"{len(made)}", tmp_path / f"{len(made)}.whole", run)
            made[name] = new, limited(digest_of, name, new.folder)
        return made[name]

    return of


def test_random_changes_of_files(row: Row, example) -> None:
    """Random changes of files of every kind that is read."""
    limited = Limited()
    for name, number in row.cases(CASES if IS_WHOLE else [case for case in CASES if not slow(case[0])], few=12):
        with row.trial(f"{name}, change {number}") as trial:
            whole, before = example(name, limited)
            path = whole.with_change(number)
            try:
                found = limited(digest_of, name, whole.folder)
            except InputError as error:
                named = (path.stem, *whole.reader.named)
                assert any(name in str(error) for name in named), f"it does not name {path.name}: {error}"
                trial.ending = "refused in a sentence"
                continue
            if found == before:
                trial.ending = "the same content"
            else:
                if whole.reader.has_sum:
                    raise AssertionError("other content, which a checksum could have told")
                trial.ending = "other content, without a checksum to tell"
