"""The generated tables are what they claim to be, and every number of a case is one of a process."""

from pathlib import Path

import pytest

from facerec.data.readers.insightface import InsightFaceRecords
from facerec.data.readers.train_lists import read_train_list
from facerec.perf.index import cases, write_list, write_records
from facerec.perf.timing import QUICK


def test_the_generated_tables_open_with_their_images_and_identities(tmp_path):
    write_list(tmp_path, 250)
    write_records(tmp_path, 250)
    listed, records = read_train_list(tmp_path, "train.txt"), InsightFaceRecords(tmp_path)
    for source in (listed, records):
        assert len(source) == 250 and source.labels.tolist() == [number // 100 for number in range(250)]
    assert listed.name(249) == "person_000002/000000249.jpg"
    assert records.load(249).shape == (1, 1, 3)


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").is_file(), reason="needs Linux's account of memory")
def test_a_case_measures_every_size_and_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = [case for case in cases(QUICK) if case.name.startswith("list")]
    assert [case.unit for case in found] == ["s", "MB", "MB", "MB"]
    seconds, _, forked, spawned = (case.run().contenders for case in found)
    assert list(seconds) == ["1,000 images", "4,000 images"]
    assert set(forked) == set(spawned)
    assert all(spread.median > 0 for spread in [*forked.values(), *spawned.values()])
    assert list(tmp_path.iterdir()) == []
