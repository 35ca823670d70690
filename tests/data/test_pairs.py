import numpy as np
import pytest
from image_files import BLUE, plain, write_benchmark, write_text
from says import every, refuses, says
from shared_data import FACES, needs_faces

from facerec.data.readers.folders import FolderImages, read_pairs
from facerec.errors import InputError


def pairs_of(benchmark) -> list[tuple[str, str, bool]]:
    names = benchmark.images.name
    rows = zip(benchmark.left, benchmark.right, benchmark.is_same, strict=True)
    return [(names(left), names(right), bool(same)) for left, right, same in rows]


def test_a_pair_list_gives_its_pairs_in_order_over_distinct_images(tmp_path):
    write_benchmark(tmp_path, "lfw")
    benchmark = read_pairs(tmp_path, "lfw")
    assert benchmark.name == "lfw" and len(benchmark) == 2
    assert pairs_of(benchmark) == [("r2.png", "r1.png", True), ("r1.png", "b.png", False)]
    assert len(benchmark.images) == 3
    assert benchmark.left.dtype == benchmark.right.dtype == np.int64 and benchmark.is_same.dtype == bool
    np.testing.assert_array_equal(benchmark.images.load(benchmark.right[1]), plain(BLUE))


@pytest.mark.parametrize("line", ["r1.png b.png", "r1.png b.png 0", "r1.png b.png same", "a b.png r1.png 1"])
def test_the_bad_line_of_a_pair_list_is_numbered(tmp_path, line):
    write_benchmark(tmp_path, "lfw")
    write_text(tmp_path / "lfw/lfw_pair.txt", f"r1.png r2.png 1\n\n{line}\n")
    with refuses("line 3", "lfw_pair.txt", f"'{line}'", "LEFT RIGHT FLAG", error=InputError):
        read_pairs(tmp_path, "lfw")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_pair_list_may_be_written_by_any_editor(tmp_path, end):
    write_benchmark(tmp_path, "lfw")
    lines = ["\ufeff# two pairs", "", "r2.png\tr1.png\t1 ", "  # padded", "  r1.png  b.png \t -1"]
    (tmp_path / "lfw/lfw_pair.txt").write_bytes(end.join(lines).encode())
    assert pairs_of(read_pairs(tmp_path, "lfw")) == [("r2.png", "r1.png", True), ("r1.png", "b.png", False)]


def test_paths_hold_spaces_between_tabs_and_other_white_space_anywhere(tmp_path):
    write_benchmark(tmp_path, "lfw")
    text = "a 1.png \t b\u00a01.png\u00a0\t1\na\u30001.png b.png -1\n"
    write_text(tmp_path / "lfw/lfw_pair.txt", text)
    expected = [("a 1.png", "b\u00a01.png\u00a0", True), ("a\u30001.png", "b.png", False)]
    assert pairs_of(read_pairs(tmp_path, "lfw")) == expected


def test_wrong_lines_are_left_out_where_that_is_wanted(tmp_path):
    write_benchmark(tmp_path, "lfw")
    write_text(tmp_path / "lfw/lfw_pair.txt", "r1.png r2.png 1\nr1.png\n\nr1.png b.png -1\nr2.png b.png 0\n")
    wrong: list[tuple[int, str]] = []
    benchmark = read_pairs(tmp_path, "lfw", lambda number, sentence: wrong.append((number, sentence)))
    assert pairs_of(benchmark) == [("r1.png", "r2.png", True), ("r1.png", "b.png", False)]
    assert [number for number, _ in wrong] == [2, 5]
    assert every(says(sentence, f"line {number}", "LEFT RIGHT FLAG") for number, sentence in wrong)


def test_an_empty_pair_list_is_refused(tmp_path):
    write_text(tmp_path / "lfw/lfw_pair.txt", "\n")
    with refuses("lfw_pair.txt", "LEFT RIGHT FLAG", error=InputError):
        read_pairs(tmp_path, "lfw")


def test_a_missing_pair_list_is_named(tmp_path):
    with refuses("lfw_pair.txt", "No such file or directory", "check", error=InputError):
        read_pairs(tmp_path, "lfw")


def test_a_benchmark_without_its_images_is_refused(tmp_path):
    write_text(tmp_path / "lfw/lfw_pair.txt", "a.png b.png 1\n")
    with refuses("benchmark lfw", "lfw/lfw", "put them there", error=InputError):
        read_pairs(tmp_path, "lfw")


def test_cfp_fp_is_a_list_over_the_images_of_cfp_ff(tmp_path):
    write_benchmark(tmp_path, "cfp_ff")
    write_text(tmp_path / "cfp_fp/cfp_fp_pair.txt", "b.png r1.png -1\n")
    benchmark = read_pairs(tmp_path, "cfp_fp")
    assert benchmark.name == "cfp_fp" and pairs_of(benchmark) == [("b.png", "r1.png", False)]
    np.testing.assert_array_equal(benchmark.images.load(benchmark.left[0]), plain(BLUE))


def test_cfp_fp_uses_its_own_images_where_it_has_them(tmp_path):
    write_benchmark(tmp_path, "cfp_fp")
    assert read_pairs(tmp_path, "cfp_fp").images.load(0).shape == (12, 12, 3)


def test_the_fingerprint_of_a_benchmark_changes_with_every_answer_and_order(tmp_path):
    write_benchmark(tmp_path, "lfw")
    prints = set()
    for text in ["r1.png b.png 1\nr2.png b.png 1", "r2.png b.png 1\nr1.png b.png 1", "r1.png b.png 1\nr2.png b.png -1"]:
        write_text(tmp_path / "lfw/lfw_pair.txt", text)
        prints.add(read_pairs(tmp_path, "lfw").fingerprint())
    assert len(prints) == 3


@needs_faces
@pytest.mark.parametrize(
    ("name", "pairs", "images"), [("cfp_ff", 7_000, 5_000), ("cfp_fp", 7_000, 7_000), ("lfw", 6_000, 12_000)]
)
def test_the_real_benchmarks_open(name, pairs, images):
    benchmark = read_pairs(FACES, name)
    assert len(benchmark) == pairs and len(benchmark.images) <= images
    assert benchmark.is_same.reshape(10, -1).mean(axis=1).tolist() == [0.5] * 10
    assert isinstance(benchmark.images, FolderImages) and benchmark.images.load(0).shape == (112, 112, 3)
