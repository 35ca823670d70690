"""The file of scores: it keeps who is who, and an older one reads as before."""

import dataclasses

import numpy as np
import pytest
import torch
from says import refuses, says

from facerec.data.readers.bin import EncodedImages
from facerec.data.source import Benchmark
from facerec.errors import InputError
from facerec.runs.scores import load_scores, save_scores
from facerec.verification.verify import verify

NAMES = [f"Ann Lee {number}.jpg" for number in range(15)]
LEFT, RIGHT = np.arange(20) % 5, 5 + np.arange(20) % 10
IS_SAME = np.arange(20) % 2 == 0


def benchmark(name, people=tuple("ABCDEFGHIJKLMNO")):
    return Benchmark(name, EncodedImages([b""] * 15, NAMES), LEFT, RIGHT, IS_SAME, people)


@pytest.fixture
def result():
    embeddings = torch.randn(2, 20, 4, generator=torch.Generator().manual_seed(0))
    return verify(embeddings[0], embeddings[1], IS_SAME)


@pytest.fixture
def path(tmp_path, result):
    save_scores(tmp_path / "scores.npz", {"lfw": result, "cfp": result}, [benchmark("lfw"), benchmark("cfp", None)])
    return tmp_path / "scores.npz"


def test_everything_of_every_pair_comes_back(path, result):
    kept = load_scores(path)
    assert list(kept) == ["lfw", "cfp"] and [file.name for file in path.parent.iterdir()] == ["scores.npz"]
    lfw = kept["lfw"]
    assert lfw.scores.dtype == np.float32 and lfw.scores == pytest.approx(result.scores, rel=1e-6)
    for key in ("is_same", "correct", "folds", "thresholds", "centres"):
        assert np.array_equal(getattr(lfw, key), getattr(result, key))
    shown = [(str(lfw.images[left]), str(lfw.people[right])) for left, right in zip(lfw.left, lfw.right, strict=True)]
    assert shown[7] == ("Ann Lee 2.jpg", "M")
    people = lfw.people_of_pairs()
    assert people.known and people.num_people == 15 and people.one[0] == people.one[5] != people.one[1]


def test_a_source_without_names_has_people_as_far_as_pairs_connect_them(path):
    kept = load_scores(path)["cfp"]
    people = kept.people_of_pairs()
    assert kept.people is None and not people.known
    assert all((people.one == people.other)[kept.is_same])


def test_a_file_of_an_older_version_reads_and_does_not_say_who_is_in_the_pairs(tmp_path, result):
    np.savez_compressed(tmp_path / "scores.npz", **{"a/lfw/scores": result.scores, "a/lfw/is_same": result.is_same})
    kept = load_scores(tmp_path / "scores.npz")["a/lfw"]
    assert np.array_equal(kept.is_same, IS_SAME)
    assert (kept.correct, kept.people, kept.people_of_pairs()) == (None, None, None)


def test_arrays_that_do_not_fit_are_refused(path):
    arrays = dict(np.load(path)) | {"lfw/folds": np.zeros(3, int)}
    np.savez_compressed(path, **arrays)
    with refuses(str(path), "lfw/folds", "run it again", error=InputError):
        load_scores(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("correct", np.full(20, np.nan)),
        ("left", np.arange(20.0)),
        ("right", np.full(20, 1000)),
        ("left", np.full(20, -1)),
        ("people", np.array(["M"])),
    ],
)
def test_arrays_of_another_type_or_of_other_images_are_refused(key, value, path):
    np.savez_compressed(path, **(dict(np.load(path)) | {f"lfw/{key}": value}))
    with refuses(str(path), "lfw/", "run it again", error=InputError):
        load_scores(path)


def test_damage_is_named(path):
    whole = path.read_bytes()
    refused = 0
    for place in range(0, len(whole), 41):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        try:
            load_scores(path)
        except InputError as error:
            refused += says(str(error), "scores.npz", "remove", "results.json", "resume=auto")
    assert refused > len(whole) // 41 // 3


def test_nothing_is_pickled(path):
    assert all(value.dtype != object for value in np.load(path, allow_pickle=False).values())
    assert dataclasses.is_dataclass(load_scores(path)["lfw"])
