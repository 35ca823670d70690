"""Lists of groups, line by line."""

import numpy as np
import pytest
from image_files import write_text
from says import refuses

from facerec.data.readers.bin import EncodedImages
from facerec.data.readers.image_groups import read_groups
from facerec.data.source import Benchmark
from facerec.errors import InputError


def benchmark(name, *paths):
    pair = np.array([0])
    return Benchmark(name, EncodedImages([b""] * len(paths), paths), pair, pair + 1, np.array([True]))


BOTH = [benchmark("one", "a/1.png", "a/2.png", "b c/1.png"), benchmark("two", "d.png", "a/1.png")]


def test_each_benchmark_has_the_groups_of_its_own_images(tmp_path):
    write_text(tmp_path / "groups.txt", "# by age\na/1.png young\n\nb c/1.png\tvery old\nd.png  young\na/1.png young\n")
    found = read_groups(tmp_path / "groups.txt", BOTH)
    assert found == {"one": ["young", None, "very old"], "two": ["young", "young"]}


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("a/1.png young\ngone.png old\n", ("line 2", "groups.txt", "'gone.png'", "one, two", "pair list")),
        ("a\\1.png young\n", ("line 1", "/ between folders")),
        ("a/1.png\n", ("line 1", "'a/1.png'", "PATH GROUP")),
        ("b c/1.png old\n", ("line 1", "tab")),
        ("a/1.png young\na/1.png old\n", ("line 2", "'a/1.png'", "'old'", "'young'", "keep one")),
        ("# nothing\n", ("groups.txt", "no line", "PATH GROUP")),
    ],
)
def test_a_wrong_line_is_named(text, facts, tmp_path):
    write_text(tmp_path / "groups.txt", text)
    with refuses(*facts, error=InputError):
        read_groups(tmp_path / "groups.txt", BOTH)


def test_a_missing_file_is_named(tmp_path):
    with refuses("gone.txt", "No such file", "name", error=InputError):
        read_groups(tmp_path / "gone.txt", BOTH)
