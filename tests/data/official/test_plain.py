import pytest
from image_files import write_text
from says import refuses

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
    with refuses("line 22", "own.txt", "'a b 0'", "-1", error=InputError):
        read(text() + "a b 1\na b 0\n")


@pytest.mark.parametrize("line", ["a.jpg b.jpg", "a.jpg b.jpg 2", "a.jpg b.jpg same", "my a.jpg b.jpg 1", "a.jpg,,1"])
def test_a_bad_line_is_named(read, line):
    with refuses("line 2", "own.txt", f"'{line}'", "LEFT RIGHT FLAG", error=InputError):
        read(f"a.jpg b.jpg 1\n{line}\n")


def test_a_list_that_is_sorted_by_flag_has_no_folds(read):
    with refuses("pairs 1 to 2", "own.txt", "fold 1", "deal=true", error=InputError):
        read(text(pairs=sorted(PAIRS, key=lambda pair: pair[2])))


@pytest.mark.parametrize(("count", "facts"), [(21, ("remove 1", "add 9")), (28, ("remove 8", "add 2"))])
def test_pairs_that_make_no_folds_of_one_size_are_refused(read, count, facts):
    with refuses("own.txt", f"{count} pairs", "10 folds", *facts, error=InputError):
        read(text(pairs=(2 * PAIRS)[:count]))


def test_too_few_pairs_and_none_are_refused(read):
    with refuses("own.txt", "19 pairs", "10 folds", "20", error=InputError):
        read(text(pairs=PAIRS[1:]))
    with refuses("own.txt", "empty", "LEFT RIGHT FLAG", error=InputError):
        read("\n\n")


class TestDealt:
    """Pairs in any order, as ten folds with both kinds."""

    @pytest.mark.parametrize("same", [10, 23, 50])
    def test_every_fold_has_both_kinds_and_every_pair_is_there_once(self, tmp_path, same):
        pairs = [(f"ann/{number}.jpg", f"eve/{number}.jpg", number < same) for number in range(60)]
        write_text(tmp_path / "own.txt", text(pairs=pairs))
        found = read_plain_pairs(tmp_path / "own.txt", deal=True)
        assert sorted(found) == sorted(pairs)
        counts = [sum(pair.is_same for pair in found[start : start + 6]) for start in range(0, 60, 6)]
        assert min(counts) >= 1 and max(counts) - min(counts) <= 1 and sum(counts) == same

    def test_too_few_pairs_of_a_kind_are_refused(self, tmp_path):
        for same, facts in ((9, ("9 pairs of one person",)), (51, ("9 pairs of two people",))):
            pairs = [(f"ann/{number}.jpg", f"eve/{number}.jpg", number < same) for number in range(60)]
            write_text(tmp_path / "own.txt", text(pairs=pairs))
            with refuses("own.txt", *facts, "add pairs", error=InputError):
                read_plain_pairs(tmp_path / "own.txt", deal=True)

    def test_folds_of_one_size_are_needed_all_the_same(self, tmp_path):
        write_text(tmp_path / "own.txt", text(pairs=(3 * PAIRS)[:52]))
        with refuses("own.txt", "52 pairs", "remove 2", "add 8", error=InputError):
            read_plain_pairs(tmp_path / "own.txt", deal=True)
