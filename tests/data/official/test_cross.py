import pytest
from says import refuses

from facerec.data.official.cross import read_cross_pairs
from facerec.errors import InputError

# Twenty pairs of one person, two of each fold, and then twenty of two people.
SAME = [(f"Ann_{number}.jpg", f"Ann_{100 + number}.jpg", number // 2 + 1) for number in range(20)]
DIFFERENT = [(f"Bob_{number}.jpg", f"Eve_{number}.jpg", 0) for number in range(20)]


def text(pairs, token=lambda token: token):
    return "".join(f"{left} {token(fold)}\n{right} {token(fold)}\n" for left, right, fold in pairs)


@pytest.fixture
def read(tmp_path):
    def reading(content: str):
        (tmp_path / "pairs_CALFW.txt").write_bytes(content.encode())
        return read_cross_pairs(tmp_path / "pairs_CALFW.txt")

    return reading


@pytest.mark.parametrize("token", [lambda token: token, lambda token: min(token, 1)], ids=["calfw", "cplfw"])
def test_a_fold_is_a_tenth_of_each_kind_in_the_order_of_the_list(read, token):
    pairs = read(text(SAME + DIFFERENT, token))
    assert len(pairs) == 40
    for fold in range(10):
        expected = [*SAME[2 * fold : 2 * fold + 2], *DIFFERENT[2 * fold : 2 * fold + 2]]
        assert pairs[4 * fold : 4 * fold + 4] == [(left, right, found > 0) for left, right, found in expected]


def test_the_folds_that_the_list_tells_count_not_its_order(read):
    pairs = read(text(DIFFERENT + SAME[::-1]))
    assert [left for left, *_ in pairs[:4]] == ["Ann_1.jpg", "Ann_0.jpg", "Bob_0.jpg", "Bob_1.jpg"]


def test_windows_line_ends_read_the_same(read):
    content = text(SAME + DIFFERENT)
    assert read(content.replace("\n", "\r\n")) == read(content)


def test_two_lines_of_a_pair_must_agree(read):
    content = text(SAME + DIFFERENT).replace("Ann_101.jpg 1", "Ann_101.jpg 0")
    with refuses("line 4", "CALFW.txt", "'Ann_101.jpg 0'", "line 3", error=InputError):
        read(content)


@pytest.mark.parametrize("line", ["Ann_0.jpg", "Ann_0.jpg Ann_100.jpg 1", "Ann_0.jpg -1", "Ann_0.jpg 11"])
def test_a_bad_line_is_named(read, line):
    with refuses("line 1", "CALFW.txt", f"'{line}'", "0 to 10", error=InputError):
        read(text(SAME + DIFFERENT).replace("Ann_0.jpg 1", line, 1))


@pytest.mark.parametrize(("content", "count"), [("", 0), ("Ann_0.jpg 1\n", 1)])
def test_half_a_pair_and_none_are_refused(read, content, count):
    with refuses("CALFW.txt", f"{count} lines", "fetch", error=InputError):
        read(content)


@pytest.mark.parametrize("pairs", [SAME[1:] + DIFFERENT, SAME + DIFFERENT[1:], SAME[1:] + DIFFERENT[1:], SAME])
def test_a_list_that_lacks_pairs_is_refused(read, pairs):
    with refuses("CALFW.txt", "one person", "10 equal", error=InputError):
        read(text(pairs))


def test_folds_of_unequal_size_are_refused(read):
    pairs = [(left, right, fold if fold != 3 else 4) for left, right, fold in SAME] + DIFFERENT
    with refuses("CALFW.txt", "{0: 20, 1: 2, ", "1 to 10", error=InputError):
        read(text(pairs))
