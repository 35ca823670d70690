import numpy as np
import pytest
from says import refuses
from scipy.io import savemat

from facerec.data.official.agedb import read_agedb_pairs
from facerec.errors import InputError


def cell(rows):
    """A MATLAB cell array."""
    array = np.empty((len(rows), len(rows[0])), object)
    for row, column in np.ndindex(array.shape):
        array[row, column] = rows[row][column]
    return array


def fold(number, answers=(1, -1)):
    """A fold of pairs of images such as ``7_Ann_1_30_f``; each image is a structure of a name and an age."""
    sides = [[{"name": f"{number}_{who}_{pair}", "age": 30} for pair in range(len(answers))] for who in ("Ann", "Eve")]
    return {"pairs": cell(sides), "answers": np.array([answers], float)}


@pytest.fixture
def read(tmp_path):
    def reading(splits, name="splits", **options):
        variables = {"before": np.arange(3), name: cell([[split] for split in splits]), "after": "text"}
        savemat(tmp_path / "protocol.mat", variables, **options)
        return read_agedb_pairs(tmp_path / "protocol.mat")

    return reading


@pytest.mark.parametrize("compressed", [False, True])
def test_each_cell_is_a_fold_of_pairs_and_answers(compressed, read):
    pairs = read([fold(number) for number in range(10)], do_compression=compressed)
    assert len(pairs) == 20
    assert pairs[6:8] == [("3_Ann_0.jpg", "3_Eve_0.jpg", True), ("3_Ann_1.jpg", "3_Eve_1.jpg", False)]


@pytest.mark.parametrize(
    ("splits", "facts"),
    [
        ([fold(0)] * 9, ("9 folds", "[2]")),
        ([fold(0)] * 9 + [fold(9, [1, -1, 1])], ("10 folds", "[2, 3]")),
        ([fold(0)] * 9 + [fold(9, [1, 1])], ("10 folds", "[2]")),
        ([fold(0, [1, 0])] * 10, ("splits", "(2, 2)", "[0")),
        ([{"pairs": 1.0, "answers": 2.0}] * 10, ("splits", "pairs", "answers")),
        ([1.0] * 10, ("splits", "pairs", "answers")),
    ],
)
def test_other_contents_are_refused(read, splits, facts):
    with refuses("protocol.mat", "AgeDB", "04_FINAL_", *facts, error=InputError):
        read(splits)


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.float32, np.float64])
def test_answers_are_numbers_of_any_type_and_names_are_any_text(kind, read):
    folds = [fold(number) for number in range(10)]
    for each in folds:
        each["answers"] = each["answers"].astype(kind)
        each["pairs"][0, 0]["name"] = "Zoë 李"
    assert read(folds)[0] == ("Zoë 李.jpg", "0_Eve_0.jpg", True)


def test_a_file_without_splits_is_refused(read):
    with refuses("protocol.mat", "AgeDB", "04_FINAL_", "0 folds", error=InputError):
        read([fold(0)], name="other")


def test_missing_and_other_files_are_refused(read, tmp_path):
    with refuses("none.mat", "No such file or directory", error=InputError):
        read_agedb_pairs(tmp_path / "none.mat")
    (tmp_path / "text.mat").write_text("a.jpg b.jpg 1\n" * 100)
    with refuses("text.mat", "AgeDB", "04_FINAL_protocol_30_years.mat", error=InputError):
        read_agedb_pairs(tmp_path / "text.mat")


def test_a_file_cut_off_anywhere_is_refused(read, tmp_path):
    read([fold(number) for number in range(10)])
    whole = (tmp_path / "protocol.mat").read_bytes()
    for size in range(0, len(whole) - 8, 97):
        (tmp_path / "protocol.mat").write_bytes(whole[:size])
        with refuses("protocol.mat", "AgeDB", error=InputError):
            read_agedb_pairs(tmp_path / "protocol.mat")
