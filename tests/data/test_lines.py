import pytest
from hypothesis import given
from hypothesis import strategies as st
from says import refuses

from facerec.data.readers.text_lines import numbered_lines, quote, words
from facerec.errors import InputError


def read(folder, data: bytes, comments: bool = True) -> list[tuple[int, str]]:
    (folder / "list.txt").write_bytes(data)
    return list(numbered_lines(folder / "list.txt", "pair list", "check its name", comments=comments))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("last", [True, False])
def test_lines_are_numbered_as_an_editor_counts_whatever_ends_them(tmp_path, end, mark, last):
    text = mark + end.join(["a", "", "  \t ", "# x", "é"]) + end * last
    assert read(tmp_path, text.encode()) == [(1, "a"), (5, "é")]


def test_line_ends_of_three_systems_in_one_file_each_count_once(tmp_path):
    assert read(tmp_path, b"1\r\n2\r3\n4\n\r6") == [(1, "1"), (2, "2"), (3, "3"), (4, "4"), (6, "6")]


@given(st.lists(st.sampled_from(["a", "", "#", " b ", "c" * 9, "é"])), st.sampled_from(["\n", "\r\n", "\r"]))
def test_blocks_of_any_size_give_the_same(tmp_path_factory, lines, end):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("facerec.data.readers.text_lines._BLOCK", 3)
        found = read(tmp_path_factory.mktemp("lines"), end.join(lines).encode())
    assert found == [(number, line) for number, line in enumerate(lines, 1) if line and line != "#"]


def test_outer_spaces_and_whatever_else_is_no_line_end_are_kept(tmp_path):
    text = " a \t\n\u00a0b\u00a0\nc\x0bd\x0c\x85e\u2028f\n"
    assert read(tmp_path, text.encode()) == [(1, " a \t"), (2, "\u00a0b\u00a0"), (3, "c\x0bd\x0c\x85e\u2028f")]


def test_comments_begin_with_a_hash_and_are_lines_where_a_form_has_none(tmp_path):
    data = b"# one\n  # two\nb # three\n"
    assert read(tmp_path, data) == [(3, "b # three")]
    assert read(tmp_path, data, comments=False) == [(1, "# one"), (2, "  # two"), (3, "b # three")]


@pytest.mark.parametrize("block", [1, 8, 100])
def test_a_mark_of_the_byte_order_at_the_start_of_a_later_line_is_text(tmp_path, monkeypatch, block):
    monkeypatch.setattr("facerec.data.readers.text_lines._BLOCK", block)
    data = "\ufeffa\n\ufeffb\n\ufeffc\n".encode()
    assert read(tmp_path, data) == [(1, "a"), (2, "\ufeffb"), (3, "\ufeffc")]


def test_a_second_mark_of_the_byte_order_is_text(tmp_path):
    assert read(tmp_path, "\ufeff\ufeffa\n\ufeffb".encode()) == [(1, "\ufeffa"), (2, "\ufeffb")]


@pytest.mark.parametrize(
    ("data", "place", "line"),
    [
        ("a\nJosé".encode("latin-1"), 5, 2),
        ("\ufeffa\n".encode() + b"\xff", 5, 2),
        (b"a\n\0b", 2, 2),
        (b"a\r\nb\rc\n\r\n\xe9", 9, 5),
        ("ab".encode("utf-16-le"), 1, 1),
        ("ab".encode("utf-16"), 0, 1),
        (b"12345678\n" * 3 + b"\xc3", 27, 4),
        (b"1\r2\n" * 5 + b"\r\xc3", 21, 12),
    ],
)
def test_what_is_not_utf_8_is_named_with_its_place(tmp_path, monkeypatch, data, place, line):
    monkeypatch.setattr("facerec.data.readers.text_lines._BLOCK", 10)
    with refuses(str(tmp_path / "list.txt"), "UTF-8", f"byte {place}", f"line {line}", error=InputError):
        read(tmp_path, data)


def test_a_file_that_is_not_there_or_is_none_is_one_sentence_with_the_remedy(tmp_path):
    for name, facts in {"gone.txt": ("No such file or directory", "ask for it"), "": ("is a folder", "name")}.items():
        with refuses(str(tmp_path / name), *facts, error=InputError):
            list(numbered_lines(tmp_path / name, "pair list", "ask for it"))


def test_an_empty_file_has_no_line(tmp_path):
    assert read(tmp_path, b"") == read(tmp_path, b"\xef\xbb\xbf") == []


def test_words_stand_between_spaces_and_tabs():
    assert words("  a\t b\u00a0c   d\t") == ["a", "b\u00a0c", "d"] and words(" \t") == []


def test_a_long_line_is_shown_cut_off():
    assert quote("  a b\tc ") == r"'a b\tc'"
    assert quote("x" * 101) == repr("x" * 100 + "...")
