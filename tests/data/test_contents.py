import os
from pathlib import Path

import numpy as np
import pytest
from recordio_writer import flat, png, write_records

from facerec.data import cache as contents
from facerec.data.modules import InsightFaceData
from facerec.data.readers import insightface
from facerec.data.readers.insightface import InsightFaceRecords


@pytest.fixture
def archive(tmp_path, monkeypatch):
    monkeypatch.setattr(contents, "_WORTH_CACHING", -1.0)
    return written(tmp_path / "data", [3.0, 5.0, 5.0])


def written(folder: Path, labels: list[float]) -> Path:
    folder.mkdir(exist_ok=True)
    write_records(folder / "train.rec", flat(labels, [png(number) for number in range(len(labels))]))
    return folder


def opened(archive: Path, cache: Path | None) -> tuple[list[int], list[str], str]:
    source = InsightFaceRecords(archive, cache=cache)
    for index in range(len(source)):
        assert source.load(index).ndim == 3
    return source.labels.tolist(), [source.name(index) for index in range(len(source))], source.fingerprint()


def test_the_second_opening_reads_what_the_first_left_and_nothing_of_the_archive(archive, tmp_path, monkeypatch):
    cache = tmp_path / "outputs" / "cache"
    first = opened(archive, cache)
    assert len(list(cache.glob("contents-*.npz"))) == 1 and sorted(os.listdir(archive)) == ["train.idx", "train.rec"]
    monkeypatch.setattr(insightface, "_read_contents", lambda _: pytest.fail("read again"))
    assert opened(archive, cache) == first


@pytest.mark.parametrize("folder", ["kept", None])
def test_a_data_module_keeps_it_in_the_folder_of_its_setting_or_nowhere(archive, tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    InsightFaceData(root=str(archive), benchmarks=[], index_cache=folder).open_train()
    assert [file.parent.name for file in tmp_path.rglob("contents-*.npz")] == ([folder] if folder else [])


@pytest.mark.parametrize("changed", ["archive", "index", "version", "damaged", "cut off", "empty"])
def test_what_changed_is_read_anew(archive, tmp_path, monkeypatch, changed):
    opened(archive, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").glob("*.npz")
    if changed == "archive":
        written(archive, [3.0, 3.0, 5.0, 5.0])
    elif changed == "index":
        (archive / "train.idx").unlink()
    elif changed == "version":
        monkeypatch.setattr(insightface, "VERSION", insightface.VERSION + 1)
    else:
        kept.write_bytes({"damaged": b"PK", "cut off": kept.read_bytes()[:300], "empty": b""}[changed])
    calls, read = [], insightface._read_contents
    monkeypatch.setattr(insightface, "_read_contents", lambda path: [calls.append(path), read(path)][1])
    assert opened(archive, tmp_path / "cache") == opened(archive, None)
    assert len(calls) == 2


def test_what_is_soon_read_is_not_kept(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(contents, "_WORTH_CACHING", 1000.0)
    opened(archive, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_folder_that_cannot_be_written_does_not_matter(archive, tmp_path):
    (tmp_path / "file").write_text("")
    labels, *_ = opened(archive, tmp_path / "file" / "cache")
    np.testing.assert_array_equal(labels, [0, 1, 1])
