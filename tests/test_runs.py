import json
import os
import re
import subprocess
from datetime import datetime
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from says import refuses, says

from facerec.errors import InputError
from facerec.files import replacing, write_json
from facerec.runs import provenance as provenance_module
from facerec.runs.folder import cell_folder, checkpoint_to_resume, remove_empty_run, run_folder_for
from facerec.runs.provenance import provenance, write_settings

ENDED = 2**22 + 1  # no process has such a number
NOON = datetime(2026, 5, 17, 12, 0, 9, 120_000)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_run(folder: Path, *files: str, age: int = 0) -> Path:
    folder.mkdir(parents=True)
    for file in files:
        (folder / file).touch()
        os.utime(folder / file, (10**9 - age, 10**9 - age))
    return folder


class TestTheFolder:
    def test_of_a_new_run_is_named_after_the_time(self, here):
        assert run_folder_for("try", None, NOON) == Path("outputs/try/2026-05-17_12-00-09-120")

    def test_of_auto_is_the_newest_unfinished_one_of_this_name(self, here):
        make_run(Path("outputs/try/a"), "last.ckpt", age=30)
        newest = make_run(Path("outputs/try/b"), "last.ckpt", age=20)
        make_run(Path("outputs/try/c"), "last.ckpt", "results.json", age=10)
        make_run(Path("outputs/try/d"))
        make_run(Path("outputs/other/e"), "last.ckpt")
        assert run_folder_for("try", "auto", NOON) == newest

    def test_of_auto_is_a_new_one_where_all_are_finished(self, here):
        make_run(Path("outputs/try/c"), "last.ckpt", "results.json")
        assert run_folder_for("try", "auto", NOON).name == "2026-05-17_12-00-09-120"

    def test_of_the_last_checkpoint_of_an_unfinished_run_is_its_own(self, here):
        run = make_run(Path("somewhere/b"), "last.ckpt")
        assert run_folder_for("try", "somewhere/b/last.ckpt", NOON) == run

    def test_so_it_is_in_the_home_folder(self, here, monkeypatch):
        monkeypatch.setenv("HOME", str(Path.cwd()))
        run = make_run(Path("somewhere/b"), "last.ckpt")
        assert run_folder_for("try", "~/somewhere/b/last.ckpt", NOON) == run.absolute()
        assert checkpoint_to_resume("~/somewhere/b/last.ckpt", run) == run.absolute() / "last.ckpt"

    @pytest.mark.parametrize("name", ["best.ckpt", "last.ckpt"])
    def test_of_any_other_checkpoint_is_a_new_one(self, here, name):
        make_run(Path("somewhere/b"), name, "results.json")
        assert run_folder_for("try", f"somewhere/b/{name}", NOON).parent == Path("outputs/try")


class TestTheFolderOfACell:
    def test_is_named_after_its_settings(self):
        assert cell_folder(["operator=tvconv", "width=0.1"], {"operator", "width"}) == "operator=tvconv,width=0.1"

    def test_says_what_differs_and_digests_what_does_not(self):
        ours = cell_folder(["data.root=/a/b", "operator=tvconv", "seed=1"], {"operator", "seed"})
        assert ours.startswith("operator=tvconv,seed=1-")
        assert ours != cell_folder(["data.root=/a/c", "operator=tvconv", "seed=1"], {"operator", "seed"})

    def test_is_the_same_when_it_is_resumed_or_skipped(self):
        more = ["operator=tvconv", "resume=auto", "skip_finished=true", "name=x"]
        assert cell_folder(more, {"operator"}) == cell_folder(["operator=tvconv"], {"operator"}) == "operator=tvconv"

    def test_is_one_folder_whatever_the_settings_hold(self):
        names = {
            cell_folder([f"data.root={root}", f"seed={seed}"], {"data.root", "seed"})
            for root in ("/a/b", "/a_b", "a/" * 200)
            for seed in (1, 2)
        }
        assert len(names) == 6
        assert all("/" not in name and len(name) < 200 for name in names)


class TestTheCheckpointToResume:
    def test_is_none_for_a_fresh_start(self, here):
        assert checkpoint_to_resume(None, make_run(Path("new"))) is None
        assert checkpoint_to_resume("auto", Path("new")) is None

    def test_of_a_name_with_finished_runs_only_says_how_to_train_the_newest_further(self, here, capsys):
        for day in (1, 3, 2):
            make_run(here / "outputs" / "try" / f"2026-05-0{day}_12-00-00-000", "last.ckpt", "results.json")
        assert checkpoint_to_resume("auto", Path("outputs/try/2026-05-04_12-00-00-000")) is None
        assert says(capsys.readouterr().err, "resume=outputs/try/2026-05-03_12-00-00-000/last.ckpt", "epochs")

    def test_is_the_last_of_the_folder_for_auto(self, here):
        assert checkpoint_to_resume("auto", make_run(Path("run"), "last.ckpt")) == Path("run/last.ckpt")

    def test_is_the_one_that_is_named(self, here):
        make_run(Path("run"), "best.ckpt", "last.ckpt")
        assert checkpoint_to_resume("run/best.ckpt", make_run(Path("new"))) == Path("run/best.ckpt")

    @pytest.mark.parametrize(
        ("resume", "files", "facts"),
        [
            ("gone.ckpt", [], ("gone.ckpt", "resume=", "auto")),
            (None, ["last.ckpt"], ("run ", "unfinished", "resume=auto", "name=")),
            *(
                (resume, ["last.ckpt", "results.json"], ("run ", "finished", "skip_finished=true", "name="))
                for resume in (None, "auto", "run/last.ckpt")
            ),
        ],
    )
    def test_is_refused(self, here, resume, files, facts):
        make_run(Path("run"), *files)
        with refuses(*facts, error=InputError):
            checkpoint_to_resume(resume, Path("run"))


class TestProvenance:
    def test_names_command_code_and_environment(self):
        made_by = provenance(["width=0.1", "seed=2"], {"width": 0.1})
        assert made_by["command"] == "train.py width=0.1 seed=2"
        assert datetime.fromisoformat(made_by["started"]) <= datetime.now()
        assert made_by["environment"]["torch"] == torch.__version__
        json.dumps(made_by)

    def test_has_one_fingerprint_a_configuration(self):
        prints = [
            provenance([], config)["config_fingerprint"] for config in ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1})
        ]
        assert prints[0] == prints[1] != prints[2]

    def test_names_the_commit_and_whether_it_was_changed(self, tmp_path, monkeypatch):
        monkeypatch.setattr(provenance_module, "_CODE", tmp_path)
        assert provenance([], {})["git_commit"] is None
        author = ["-c", "user.name=a", "-c", "user.email=a@b"]
        (tmp_path / "runs.py").write_text("1")
        for command in (["init", "-q"], ["add", "runs.py"], [*author, "commit", "-qm", "first"]):
            subprocess.run(["git", "-C", tmp_path, *command], check=True)
        clean = provenance([], {})
        assert re.fullmatch("[0-9a-f]{40}", clean["git_commit"]) and clean["git_dirty"] is False
        (tmp_path / "runs.py").write_text("2")
        assert provenance([], {})["git_dirty"] is True

    def test_does_without_git(self, monkeypatch):
        monkeypatch.setenv("PATH", "")
        assert provenance([], {})["git_commit"] is None


def test_the_settings_of_a_run_are_written_as_they_are_and_what_made_it_beside_them(tmp_path):
    write_settings(tmp_path / "run", OmegaConf.create({"width": 0.1, "backbone": {"width": "${width}"}}), {"a": 1})
    assert (tmp_path / "run" / "config.yaml").read_text() == "width: 0.1\nbackbone:\n  width: 0.1\n"
    assert json.loads((tmp_path / "run" / "run.json").read_text()) == {"a": 1}


class TestReplacing:
    def test_the_file_appears_when_all_is_written(self, tmp_path):
        path = tmp_path / "new" / "file.txt"
        with replacing(path) as partial:
            partial.write_text("all")
            assert not path.exists() and partial.suffix == ".txt"
        assert path.read_text() == "all" and list(path.parent.iterdir()) == [path]

    @pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
    def test_whatever_happens_the_old_file_stays(self, tmp_path, error):
        path = tmp_path / "file.txt"
        path.write_text("old")
        with pytest.raises(error), replacing(path) as partial:
            partial.write_text("ne")
            raise error
        assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]

    def test_what_killed_processes_left_goes_and_what_lives_stays(self, tmp_path):
        path, alive = tmp_path / "file.txt", os.getppid()
        theirs = [tmp_path / f".partial.{alive}.file.txt", tmp_path / f".partial.{ENDED}.other.txt"]
        left = [tmp_path / f".partial.{process}.file.txt" for process in (ENDED, ENDED - 1)]
        for file in (*theirs, *left):
            file.write_text("half")
        with replacing(path, unchanged_for=60) as partial:
            partial.write_text("all")
        assert sorted(tmp_path.iterdir()) == sorted([path, *theirs, *left])
        os.utime(left[0], (0, 0))
        with replacing(path, unchanged_for=60) as partial:
            partial.write_text("all")
        assert not left[0].exists() and left[1].exists()
        with replacing(path) as partial:
            partial.write_text("all")
        assert sorted(tmp_path.iterdir()) == sorted([path, *theirs])

    def test_a_folder_that_cannot_be_is_named(self, tmp_path):
        (tmp_path / "file").touch()
        with (
            refuses("file/result", "choose another disk", error=InputError),
            replacing(tmp_path / "file" / "result", "choose another disk"),
        ):
            pass

    def test_a_folder_in_its_place_is_refused_before_anything_is_written(self, tmp_path):
        (tmp_path / "result").mkdir()
        with refuses(str(tmp_path / "result"), "file", "folder", error=InputError), replacing(tmp_path / "result"):
            raise AssertionError("this is written in vain")

    def test_json_comes_back(self, tmp_path):
        write_json(tmp_path / "a.json", {"ä": [1, None, 0.1]})
        assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"ä": [1, None, 0.1]}


class TestAFolderWithNothingButHydrasNotes:
    @pytest.fixture
    def folder(self, here):
        return here / "outputs" / "a" / "b" / "c"

    def noted(self, folder: Path) -> Path:
        make_run(folder / ".hydra", "config.yaml", "hydra.yaml", "overrides.yaml")
        return folder

    def test_goes_with_the_empty_ones_above_it_outputs_the_last(self, folder, here):
        remove_empty_run(self.noted(folder))
        assert here.is_dir() and not list(here.iterdir())

    def test_goes_without_those_that_hold_another_run(self, folder):
        other = self.noted(folder.with_name("other"))
        remove_empty_run(self.noted(folder))
        assert not folder.exists() and len(list((other / ".hydra").iterdir())) == 3

    @pytest.mark.parametrize("file", ["last.ckpt", ".partial.1.config.yaml"])
    def test_stays_with_anything_else_in_it(self, folder, file):
        (self.noted(folder) / file).touch()
        remove_empty_run(folder)
        assert (folder / ".hydra" / "config.yaml").is_file() and (folder / file).is_file()

    @pytest.mark.parametrize("place", ["elsewhere", "outputs"])
    def test_stays_where_it_is_not_in_outputs(self, place, here):
        remove_empty_run(self.noted(here / place))
        assert (here / place / ".hydra" / "config.yaml").is_file()

    def test_need_not_be_there(self, folder):
        remove_empty_run(folder)
