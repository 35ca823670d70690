import pytest
from says import refuses
from shared_data import FACES, needs_faces

from facerec.data.official.lfw import read_lfw_pairs
from facerec.errors import InputError

# Ten folds of two pairs of each kind, of the people of the fold.
FOLDS = [
    f"Ann_{fold}\t1\t2\nBob_{fold}\t3\t14\nAnn_{fold}\t1\tBob_{fold}\t3\nAnn_{fold}\t2\tEve_{fold}\t1\n"
    for fold in range(1, 11)
]
LIST = "10\t2\n" + "".join(FOLDS)


@pytest.fixture
def read(tmp_path):
    def reading(text: str | bytes):
        (tmp_path / "pairs.txt").write_bytes(text.encode() if isinstance(text, str) else text)
        return read_lfw_pairs(tmp_path / "pairs.txt")

    return reading


def test_each_fold_has_its_pairs_of_one_person_and_then_those_of_two(read):
    pairs = read(LIST)
    assert len(pairs) == 40
    assert pairs[4:8] == [
        ("Ann_2/Ann_2_0001.jpg", "Ann_2/Ann_2_0002.jpg", True),
        ("Bob_2/Bob_2_0003.jpg", "Bob_2/Bob_2_0014.jpg", True),
        ("Ann_2/Ann_2_0001.jpg", "Bob_2/Bob_2_0003.jpg", False),
        ("Ann_2/Ann_2_0002.jpg", "Eve_2/Eve_2_0001.jpg", False),
    ]


def test_line_ends_of_other_systems_and_spaces_for_tabs_read_the_same(read):
    expected = read(LIST)
    assert read(LIST.replace("\n", "\r\n")) == expected
    assert read(LIST.replace("\t", "  ")) == expected
    assert read(b"\xef\xbb\xbf" + LIST.encode()) == expected


def test_names_may_hold_spaces_and_any_letters_between_tabs(read):
    pairs = read(LIST.replace("Ann_1", "Åsa Nyström").replace("Bob_1\t", "Bob  1\t"))
    assert pairs[0][:2] == ("Åsa Nyström/Åsa Nyström_0001.jpg", "Åsa Nyström/Åsa Nyström_0002.jpg")
    assert pairs[2][1] == "Bob  1/Bob  1_0003.jpg"


def test_a_fold_that_lacks_a_pair_is_noticed_at_the_line_where_it_should_stand(read):
    with refuses(
        "line 7",
        "pairs.txt",
        r"'Ann_2\t1\tBob_2\t3'",
        "pair 2 of 2",
        "NAME NUMBER NUMBER",
        "fold 2",
        "View 2",
        error=InputError,
    ):
        read(LIST.replace("Bob_2\t3\t14\n", ""))


@pytest.mark.parametrize(
    "line", ["Ann_1\t1", "Ann_1\t1\ttwo", "Ann_1,1,2", "a.jpg b.jpg 1", "Ann_1\t-1\t2", "Ann_1\t1\t2\t3\t4"]
)
def test_a_line_of_another_form_is_named(read, line):
    with refuses("line 2", "pairs.txt", "pair 1 of 2", "NAME NUMBER NUMBER", error=InputError):
        read(LIST.replace("Ann_1\t1\t2", line))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("1100\n" + "".join(FOLDS), "'1100'"),  # View 1
        ("5\t2\n" + "".join(FOLDS), r"'5\t2'"),
        ("".join(FOLDS), r"'Ann_1\t1\t2'"),
        ("name,imagenum1,imagenum2,\nAnn,1,2,\n", "'name,imagenum1,imagenum2,'"),
    ],
)
def test_lists_other_than_view_2_are_refused(read, text, line):
    with refuses("line 1", "pairs.txt", line, "folds", "10", error=InputError):
        read(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [(LIST[: len(LIST) // 2].rpartition("\n")[0], 20), (LIST + FOLDS[0], 44)],
    ids=["cut off", "too long"],
)
def test_a_list_that_is_cut_off_or_too_long_is_refused(read, text, count):
    with refuses("pairs.txt", f"{count} pairs", "40", error=InputError):
        read(text)


def test_missing_empty_and_other_files_are_refused(read, tmp_path):
    with refuses("none.txt", "No such file or directory", error=InputError):
        read_lfw_pairs(tmp_path / "none.txt")
    with refuses("pairs.txt", "empty", "fetch", error=InputError):
        read("\n")
    with refuses("pairs.txt", "UTF-8", "byte 2", error=InputError):
        read("10\xe9".encode("latin-1"))


@needs_faces
def test_the_official_list_gives_the_pairs_of_the_one_layout():
    lines = [f"{left} {right} {1 if same else -1}" for left, right, same in read_lfw_pairs(FACES / "lfw/pairs.txt")]
    assert lines == (FACES / "lfw/lfw_pair.txt").read_text().splitlines()
