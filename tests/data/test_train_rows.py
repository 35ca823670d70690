from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_files import write_text
from says import refuses, says

from facerec.data.readers.list_rows import LineNumbers, read_list
from facerec.data.readers.listing import IMAGE_SUFFIXES
from facerec.data.source import OnProblem, refuse
from facerec.errors import InputError


def rows_of(folder: Path, text: str, on_problem: OnProblem = refuse) -> list[tuple[str, str]]:
    (folder / "list.txt").write_bytes(text.encode())
    rows = read_list(folder, "list.txt", on_problem)
    assert sorted({rows.identities[label] for label in rows.labels}) == rows.identities
    return [(path, rows.identities[label]) for path, label in zip(rows.references, rows.labels, strict=True)]


@pytest.mark.parametrize(
    ("line", "row"),
    [
        ("a.png ann", ("a.png", "ann")),
        ("  my cat.png ann  ", ("my cat.png", "ann")),
        ("my cat.png\tann lee", ("my cat.png", "ann lee")),
        ("a.png\tann\r", ("a.png", "ann")),
        ("a.png\t ann lee ", ("a.png", " ann lee ")),
        ("  a.png \tann", ("a.png", "ann")),
        ("./ a.png\tann", ("./ a.png", "ann")),
        ("\tmy cat.png\tann lee\t", ("my cat.png", "ann lee")),
        ("a.png\t\tann", ("a.png", "ann")),
        ("my cat.png\t\tann lee", ("my cat.png", "ann lee")),
        ("a.png\t \tann", ("a.png", "ann")),
        ("a.png ann\t", ("a.png", "ann")),
        ("a.png  ann \t ", ("a.png", "ann")),
        ("\ta.png ann", ("a.png", "ann")),
        (" \tmy cat.png ann\t\t", ("my cat.png", "ann")),
        ("a/0.png Jean\u00a0Dupont\u00a0", ("a/0.png", "Jean\u00a0Dupont\u00a0")),
        ("李 小龙/一 二.png\t李 小龙", ("李 小龙/一 二.png", "李 小龙")),
    ],
)
def test_a_tab_or_else_the_last_space_parts_reference_and_identity(tmp_path, line, row):
    assert rows_of(tmp_path, f"{line}\n") == [row]


@pytest.mark.parametrize("line", ["a.png", "a.png\t", " a.png\t  ", "\tann", " \tann", "\t\tann\t"])
def test_a_line_without_the_one_or_the_other_is_refused(tmp_path, line):
    with refuses("line 2", "list.txt", f"'{line.strip()}'", "PATH IDENTITY", error=InputError):
        rows_of(tmp_path, f"a.png\tann\n{line}\n")


@pytest.mark.parametrize("line", ["a\tb.png\tann", "a.png\tann\t5", "my a.png\t0.5\tann lee\t"])
def test_a_line_of_three_fields_is_refused_and_told_its_form(tmp_path, line):
    with refuses("line 2", "list.txt", repr(line.strip()), "PATH IDENTITY", "one tab", error=InputError):
        rows_of(tmp_path, f"a.png\tann\n{line}\n")


REFERENCES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(
    lambda text: text == text.strip(" ") and text[:2] != "./" and text.lstrip()[:1] not in ("", "#", "\ufeff")
)
IDENTITIES = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just(" "), min_size=1).filter(
    lambda text: text.strip() and not text.lower().endswith(IMAGE_SUFFIXES)  # which is refused, as a path
)


@given(st.dictionaries(REFERENCES, IDENTITIES, min_size=1, max_size=8))
def test_what_is_written_with_tabs_is_read(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("lists")
    text = "".join(f"{reference}\t{identity}\n" for reference, identity in rows.items())
    assert rows_of(folder, text) == list(rows.items())


def test_names_that_differ_in_a_space_at_the_end_are_two(tmp_path):
    assert rows_of(tmp_path, "a.png\tann\nb.png\tann \n") == [("a.png", "ann"), ("b.png", "ann ")]


def test_a_list_longer_than_a_block_is_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("facerec.data.readers.text_lines._BLOCK", 50)
    expected = [(f"{number:03}.png", f"person {number % 7}") for number in range(300)]
    assert rows_of(tmp_path, "\n".join("\t".join(row) for row in expected)) == expected
    with refuses("line 301", "'alone'", "PATH IDENTITY", error=InputError):
        rows_of(tmp_path, "".join(f"{number}\ta\n" for number in range(300)) + "alone\n")
    with refuses("list.txt", "UTF-8", "byte 1690", "line 301", error=InputError):
        rows_of(tmp_path, "".join(f"{number}\ta\n" for number in range(300)) + "\0")


@pytest.mark.parametrize("second", ["a.png ann", "a.png\tbob", "./a.png ann"])
def test_an_image_that_is_listed_twice_is_refused_with_both_lines(tmp_path, second):
    with refuses("line 5", "list.txt", second.split()[0], "line 2", error=InputError):
        rows_of(tmp_path, f"# first\na.png ann\n\nb.png ann\n{second}\n")


SPELLINGS = ["a/0.png", "./a/0.png", "a/./0.png", "a//0.png", ".//a/.///0.png"]


@pytest.mark.parametrize("second", SPELLINGS)
@pytest.mark.parametrize("first", SPELLINGS)
@pytest.mark.parametrize("root", ["", "/disk/"])
def test_one_image_in_two_spellings_is_listed_twice(tmp_path, root, first, second):
    with refuses("line 2", f"{root}{second}", "line 1", "remove one", error=InputError):
        rows_of(tmp_path, f"{root}{first}\tann\n{root}{second}\tbob\n")


@pytest.mark.parametrize(
    "second", ["a./0.png", "a/.0.png", ".a/0.png", "/a/0.png", "../a/0.png", "a/../0.png", "a/b/0.png"]
)
def test_another_image_is_not_taken_for_a_spelling(tmp_path, second):
    assert rows_of(tmp_path, f"a/0.png\tann\n{second}\tbob\n") == [("a/0.png", "ann"), (second, "bob")]


def test_two_images_whose_hashes_are_equal_are_two(tmp_path, monkeypatch):
    monkeypatch.setattr("facerec.data.readers.list_rows.hash", lambda _: 7, raising=False)
    assert rows_of(tmp_path, "a.png ann\nb.png ann\n") == [("a.png", "ann"), ("b.png", "ann")]
    with refuses("line 3", "a.png", "again", error=InputError):
        rows_of(tmp_path, "a.png ann\nb.png ann\na.png ann\n")


def test_wrong_lines_are_left_out_where_that_is_wanted(tmp_path):
    wrong: list[tuple[int, str]] = []
    text = "# new\na.png ann\nalone\nb.png bob\n./a.png eve\n\nc.png bob\nb.png bob\n\t\tlost\n"
    rows = rows_of(tmp_path, text, lambda number, sentence: wrong.append((number, sentence)))
    assert rows == [("a.png", "ann"), ("b.png", "bob"), ("c.png", "bob")]  # eve has no image of her own
    assert [number for number, _ in wrong] == [3, 9, 5, 8]
    expected = [
        ("'alone'", "PATH IDENTITY"),
        ("'lost'", "PATH IDENTITY"),
        ("./a.png", "line 2", "remove one"),
        ("b.png", "line 4", "remove one"),
    ]
    for (number, sentence), facts in zip(wrong, expected, strict=True):
        assert says(sentence, f"line {number}", "list.txt", *facts)


def test_rows_know_their_lines_though_others_were_left_out(tmp_path):
    write_text(tmp_path / "list.txt", "# new\n\na.png ann\nalone\nb.png ann\na.png ann\nc.png ann\n")
    rows = read_list(tmp_path, "list.txt", lambda *_: None)
    assert [rows.lines[row] for row in range(3)] == [3, 5, 7]


def test_a_list_of_nothing_but_wrong_lines_is_refused(tmp_path):
    with refuses("list.txt", "PATH IDENTITY", error=InputError):
        rows_of(tmp_path, "alone\n", lambda *_: None)


@given(st.sets(st.integers(1, 50), min_size=1))
def test_line_numbers_are_kept_in_runs(numbers):
    lines = LineNumbers(np.array(sorted(numbers)))
    assert [lines[row] for row in range(len(numbers))] == sorted(numbers)


@pytest.mark.parametrize("method", ["open", "stat"])
def test_a_list_that_cannot_be_read_is_one_sentence(tmp_path, monkeypatch, method):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    write_text(tmp_path / "list.txt", "a.png ann\n")
    monkeypatch.setattr(Path, method, refuse)
    with refuses("list.txt", "Permission denied", error=InputError):
        read_list(tmp_path, "list.txt")
