"""Files of every kind with random changes: refused, or read as they were."""

import random

from attack_row import IS_WHOLE, SEED, Row
from file_mutations import mutated
from file_readers import READERS, Examples, digest_of, is_slow
from limited import Limited

from facerec.errors import InputError

MUTATIONS = 30  # of each file
CASES = [(name, number) for name in READERS for number in range(MUTATIONS)]


def test_random_changes_of_files(row: Row, examples: Examples) -> None:
    """Random changes of files of every kind that is read."""
    limited, before = Limited(), dict[str, str]()
    for name, number in row.cases(CASES if IS_WHOLE else [case for case in CASES if not is_slow(case[0])], few=12):
        with row.trial(f"{name}, change {number}") as trial:
            whole = examples.of(name)
            path = whole.renewed()
            if name not in before:
                before[name], path = limited(digest_of, name, whole.folder), whole.renewed()
            path.write_bytes(mutated(path.read_bytes(), random.Random(f"{name} {SEED} {number}")))
            try:
                found = limited(digest_of, name, whole.folder)
            except InputError as error:
                named = (path.stem, *whole.reader.named)
                assert any(name in str(error) for name in named), f"it does not name {path.name}: {error}"
                trial.ending = "refused in a sentence"
                continue
            if found != before[name] and whole.reader.has_sum:
                raise AssertionError("other content, which a checksum could have told")
            trial.ending = "the same content" if found == before[name] else "other content, without a checksum to tell"
