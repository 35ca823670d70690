import os

import pytest
from says import refuses

from facerec.errors import InputError
from facerec.files import check_output_folder, csv_cell, refuse_missing_folder


@pytest.mark.parametrize("place", ["", "new", "new/deep"])
def test_a_folder_that_is_there_or_can_be_made_passes_and_is_not_made(tmp_path, place):
    check_output_folder(tmp_path / place, "out=x")
    assert not any(tmp_path.iterdir())


def test_a_relative_folder_is_one_below_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_output_folder(tmp_path.relative_to(tmp_path) / "new/deep", "out=new/deep")


def test_a_file_and_what_is_below_one_or_below_a_dead_link_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("gone")
    with refuses("out=x", "file", "folder", error=InputError):
        check_output_folder(tmp_path / "file", "out=x")
    for place, there in (("file/a/b", "file"), ("link", "link"), ("link/a", "link")):
        with refuses("out=x", f"{tmp_path / there} ", "folder", error=InputError):
            check_output_folder(tmp_path / place, "out=x")


def test_a_protected_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with refuses("out=x", str(tmp_path), "protected", error=InputError):
        check_output_folder(tmp_path / "new", "out=x")


def test_a_folder_of_data_that_is_none_is_refused_with_the_reason(tmp_path):
    (tmp_path / "train.rec").touch()
    for root, facts in {
        tmp_path / "train.rec": ("train.rec", "is a file", "data.root"),
        tmp_path / "gone": ("gone", "does not exist", "data.root"),
    }.items():
        with refuses(*facts, error=InputError):
            refuse_missing_folder(root)
    refuse_missing_folder(tmp_path)


def test_a_formula_is_none_in_a_cell_and_a_number_stays_one():
    assert [csv_cell(value) for value in ("=1", "-a", "-1.5", "+2", 3, "", "a=b")] == [
        "'=1",
        "'-a",
        "-1.5",
        "+2",
        "3",
        "",
        "a=b",
    ]
