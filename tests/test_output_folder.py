import os
import re

import pytest

from facerec.errors import InputError
from facerec.files import check_output_folder


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
    with pytest.raises(InputError, match=r"^out=x is a file: name a folder, or a new one$"):
        check_output_folder(tmp_path / "file", "out=x")
    for place, there in (("file/a/b", "file"), ("link", "link"), ("link/a", "link")):
        sentence = f"out=x cannot be made, since {tmp_path / there} is no folder: name another one"
        with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
            check_output_folder(tmp_path / place, "out=x")


def test_a_protected_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match=rf"^out=x cannot be written to, since {tmp_path} is protected: name another"):
        check_output_folder(tmp_path / "new", "out=x")
