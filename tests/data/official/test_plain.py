import pytest

from facerec.data.official.pair_lists import read_plain_pairs
from facerec.errors import InputError

PAIRS = [(f"ann/{number}.jpg", f"eve/{number}.jpg", number % 2 == 0) for number in range(20)]


def text(separator=" ", two="-1", pairs=PAIRS):
    return "".join(f"{left}{separator}{right}{separator}{1 if same else two}\n" for left, right, same in pairs)


@pytest.fixture
def read(tmp_path):
    def reading(content: str):
        (tmp_path / "own.txt").write_bytes(content.encode())
        return read_plain_pairs(tmp_path / "own.txt")

    return reading


@pytest.mark.parametrize("separator", [" ", "   ", "\t", ",", ", "])
@pytest.mark.parametrize("two", ["-1", "0"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_pairs_stand_in_the_order_of_the_list(read, separator, two, end):
    assert read(text(separator, two).replace("\n", end)) == PAIRS


def test_paths_may_hold_spaces_and_any_letters_between_tabs(read):
    pairs = [(left.replace("ann", "Åsa Ny"), right, same) for left, right, same in PAIRS]
    assert read(text("\t", pairs=pairs)) == pairs


def test_flags_of_both_kinds_for_two_people_are_refused(read):
    with pytest.raises(
        InputError, match=r"^line 22 of .*own\.txt is 'a b 0', and a line above marks two people with -1"
    ):
        read(text() + "a b 1\na b 0\n")


@pytest.mark.parametrize("line", ["a.jpg b.jpg", "a.jpg b.jpg 2", "a.jpg b.jpg same", "my a.jpg b.jpg 1", "a.jpg,,1"])
def test_a_bad_line_is_named(read, line):
    with pytest.raises(
        InputError, match=rf"^line 2 of .*own\.txt is '{line}', not a pair: write LEFT RIGHT FLAG with F"
    ):
        read(f"a.jpg b.jpg 1\n{line}\n")


def test_a_list_that_is_sorted_by_flag_has_no_folds(read):
    with pytest.raises(
        InputError, match=r"^pairs 1 to 2 of .*own\.txt, fold 1 of 10, are all of one kind: list the pa"
    ):
        read(text(pairs=sorted(PAIRS, key=lambda pair: pair[2])))


@pytest.mark.parametrize(("count", "change"), [(21, "remove 1 or add 9"), (28, "remove 8 or add 2")])
def test_pairs_that_make_no_folds_of_one_size_are_refused(read, count, change):
    with pytest.raises(
        InputError, match=rf"own\.txt lists {count} pairs, and 10 folds of one size need .* 10: {change}$"
    ):
        read(text(pairs=(2 * PAIRS)[:count]))


def test_too_few_pairs_and_none_are_refused(read):
    with pytest.raises(InputError, match=r"own\.txt lists 19 pairs, and 10 folds with pairs .* need 20: add pairs"):
        read(text(pairs=PAIRS[1:]))
    with pytest.raises(InputError, match=r"^pair list .*own\.txt is empty: write LEFT RIGHT FLAG"):
        read("\n\n")
