from pathlib import Path

import pytest
from image_files import RED, plain, write_benchmark, write_faces, write_image, write_text
from measured_parts import Pictures
from recordio_writer import flat, png, write_records
from says import refuses, says

from facerec.data.datamodule import FaceDataModule
from facerec.data.modules import FolderData, InsightFaceData
from facerec.data.readers import listing
from facerec.data.source import Benchmark, LabelledSource, OnProblem, refuse
from facerec.doctor.check import check_data
from facerec.doctor.findings import DataReport, Finding, Wrong
from facerec.errors import InputError


def folder_data(root: Path, **changes) -> FolderData:
    return FolderData(root=str(root), **{"benchmarks": ["pairs"], "num_workers": 0, **changes})


@pytest.fixture
def faces(tmp_path):
    """Three identities of four images; a benchmark of 2 pairs over 3 images."""
    write_faces(tmp_path)
    return tmp_path


def wrong_lines(report: DataReport) -> dict[str, Finding]:
    return {finding.part: finding for finding in report.findings if finding.name == "wrong_lines"}


@pytest.mark.parametrize("below", ["train/", ""])
def test_every_wrong_line_of_a_list_is_reported_and_the_others_are_looked_at(faces, below):
    lines = ["ann/0.png\ta", "ann/1.png", "ann/0.png\tb", "", "bob/1.png\tb", "gone/1.png\tb", "alone"]
    write_text(faces / "list.txt", "".join(f"{below}{line}\n" if line else "\n" for line in lines))
    report = check_data(folder_data(faces, train_list="list.txt"))
    assert (report.images, report.identities, report.problems) == (3, 2, [])
    assert [entry["image"] for entry in report.unreadable] == [f"{below}gone/1.png"]
    found = wrong_lines(report)["training set"]
    assert (found.severity, found.count, report.is_sound) == ("error", 3, False)
    assert {entry["line"]: entry["problem"].partition("list.txt ")[2] for entry in found.details} == {
        2: f"is '{below}ann/1.png': write PATH IDENTITY",
        3: f"names {below}ann/0.png again, after line 1: remove one of the two lines",
        7: f"is '{below}alone': write PATH IDENTITY",
    }


def test_a_first_image_that_is_missing_hides_neither_the_others_nor_the_folder(faces):
    write_text(faces / "list.txt", "gone.png a\nann/0.png a\nbob/0.png b\n")
    report = check_data(folder_data(faces, train_list="list.txt"))
    assert [entry["image"] for entry in report.unreadable] == ["gone.png"] and report.problems == []


def test_every_wrong_line_of_a_pair_list_is_reported_and_the_other_pairs_are_looked_at(faces):
    write_benchmark(faces, "lfw")
    write_text(faces / "lfw/lfw_pair.txt", "r1.png r2.png 1\nr1.png r2.png 2\nr2.png b.png -1\nb.png\n")
    report = check_data(folder_data(faces, benchmarks=["lfw", "pairs"]))
    assert report.pairs == {"lfw": 2, "pairs": 20} and report.problems == []
    (part, found), *others = wrong_lines(report).items()
    assert (part, found.count, others) == ("benchmark lfw", 2, [])
    assert [entry["line"] for entry in found.details] == [2, 4]


def test_wrong_lines_of_a_list_of_records_and_of_a_pair_list_beside_an_archive(faces):
    write_records(faces / "train.rec", flat([0.0, 0.0, 1.0], [png(number) for number in range(3)]))
    write_text(faces / "list.txt", "0 0\n1 1\n2 1\n9 0\n02 1\nalone\n")
    write_text(faces / "pairs/pairs_pair.txt", "r1.png r2.png 1\nalone\n")
    module = InsightFaceData(root=str(faces), train_list="list.txt", benchmarks=["pairs"], num_workers=0)
    report = check_data(module)
    assert (report.images, report.pairs, report.problems) == (2, {"pairs": 1}, [])
    found = {part: sorted(entry["line"] for entry in finding.details) for part, finding in wrong_lines(report).items()}
    assert found == {"training set": [2, 4, 5, 6], "benchmark pairs": [2]}


def test_of_lists_that_hold_nothing_else_the_lines_are_reported_too(faces):
    write_text(faces / "list.txt", "alone\n")
    write_text(faces / "pairs/pairs_pair.txt", "a b\nc d\n")
    report = check_data(folder_data(faces, train_list="list.txt"))
    training, pairs = report.problems
    assert says(training, str(faces / "list.txt"), "PATH IDENTITY")
    assert says(pairs, str(faces / "pairs/pairs_pair.txt"), "LEFT RIGHT FLAG")
    assert {part: found.count for part, found in wrong_lines(report).items()} == {
        "training set": 1,
        "benchmark pairs": 2,
    }


def test_every_wrong_identity_folder_is_reported_and_the_others_are_looked_at(faces):
    (faces / "train/dan").mkdir()
    write_benchmark(faces / "train", "lfw")
    for name, place in (("above", ".."), ("gone", "nowhere"), ("one", "../more"), ("two", "../more")):
        (faces / "train" / name).symlink_to(place)
    write_image(faces / "more/0.png", plain(RED))
    report = check_data(folder_data(faces))
    assert (report.images, report.identities, report.problems) == (13, 4, [])  # ann, bob, eve and one
    (found,) = [finding for finding in report.findings if finding.name == "wrong_folders"]
    assert (found.severity, found.part, found.count) == ("error", "training set", 5)
    expected = {
        "gone": ("link", "broken", "restore"),
        "above": ("link", str(faces), "twice", "remove"),
        "two": (f"{faces}/train/one", "links", "remove one"),
        "dan": ("no image", "remove", "fill"),
        "lfw": ("benchmark", "move"),
    }
    assert [entry["folder"] for entry in found.details] == list(expected)
    for entry in found.details:
        assert says(entry["problem"], f"{faces}/train/{entry['folder']}", *expected[entry["folder"]])


def test_labels_have_no_gap_where_a_folder_was_wrong(faces):
    (faces / "train/amy").mkdir()
    (faces / "train/bea").mkdir()
    train = folder_data(faces).open_train(Wrong("training set"))
    assert train.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert [train.identity_name(label) for label in range(train.num_identities)] == ["ann", "bob", "eve"]


def test_of_folders_that_are_all_wrong_each_is_reported_too(tmp_path):
    for name in ("ann", "bob"):
        (tmp_path / "train" / name).mkdir(parents=True)
    report = check_data(folder_data(tmp_path, benchmarks=[]))
    assert says(report.problems[0], str(tmp_path / "train"), "no identity folder") and report.images == 0
    assert [(f.name, f.count) for f in report.findings] == [("unopened_parts", 1), ("wrong_folders", 2)]


def test_a_long_list_whose_images_are_all_missing_is_one_problem(faces, monkeypatch):
    monkeypatch.setattr(listing, "_MANY", 4)
    monkeypatch.setattr(listing, "_SAMPLE", 2)
    write_text(faces / "list.txt", "".join(f"elsewhere/{number}.png a\n" for number in range(10)))
    report = check_data(folder_data(faces, train_list="list.txt"))
    (problem,) = report.problems
    assert report.images == 0 and says(problem, str(faces / "list.txt"), "no image", "elsewhere/")


def test_of_many_wrong_lines_the_first_are_kept_and_all_are_counted(monkeypatch):
    monkeypatch.setattr("facerec.doctor.findings.LISTED", 2)
    wrong = Wrong("training set")
    for number in range(1, 6):
        wrong(number, f"line {number} is bad")
    wrong("ann", "folder ann is bad")
    lines, folders = wrong.findings()
    assert (lines.name, lines.count) == ("wrong_lines", 5) and lines.details == [
        {"line": 1, "problem": "line 1 is bad"},
        {"line": 2, "problem": "line 2 is bad"},
    ]
    assert folders.name == "wrong_folders" and folders.details == [{"folder": "ann", "problem": "folder ann is bad"}]


class Numbered(FaceDataModule):
    """A data module that the checks know nothing of: it finds line 2 of its list and identity ``bob`` wrong."""

    def open_train(self, on_problem: OnProblem = refuse) -> LabelledSource:
        on_problem(2, "line 2 is bad")
        on_problem("bob", "folder bob is bad")
        return Pictures([plain(RED)] * 3, ["a", "b", "c"], ["ann", "ann", "eve"])

    def open_benchmark(self, name: str, on_problem: OnProblem = refuse) -> Benchmark:
        on_problem(7, "line 7 is bad")
        raise InputError(f"benchmark {name} holds no pair")


def test_a_new_data_module_is_checked_as_those_that_are_there():
    module = Numbered(benchmarks=["mine"], num_workers=0)
    with refuses("line 2", error=InputError):
        module.open_train()
    report = check_data(module)
    assert (report.images, report.identities, report.problems) == (3, 2, ["benchmark mine holds no pair"])
    found = {(finding.part, finding.name): finding.details for finding in report.findings}
    assert found["training set", "wrong_lines"] == [{"line": 2, "problem": "line 2 is bad"}]
    assert found["training set", "wrong_folders"] == [{"folder": "bob", "problem": "folder bob is bad"}]
    assert found["benchmark mine", "wrong_lines"] == [{"line": 7, "problem": "line 7 is bad"}]
