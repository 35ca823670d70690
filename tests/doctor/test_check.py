import os
from pathlib import Path

import pytest
from image_files import GREY, RED, plain, write_benchmark, write_faces, write_image, write_text
from says import every, says
from shared_data import INSIGHTFACE, needs_insightface

from facerec.data.modules import FolderData, InsightFaceData
from facerec.doctor.check import check_data


def folder_data(root: Path, **changes) -> FolderData:
    return FolderData(root=str(root), **{"benchmarks": ["pairs"], "num_workers": 0, **changes})


@pytest.fixture
def faces(tmp_path):
    """Three identities of 4, 4 and 5 images; a benchmark of 20 pairs over 3 images."""
    write_faces(tmp_path)
    write_image(tmp_path / "train/eve/wide.png", plain(GREY, (10, 20)))
    return tmp_path


def test_sound_data_is_counted(faces, capsys):
    report = check_data(folder_data(faces))
    assert report.is_sound and report.unreadable == [] and report.problems == []
    assert (report.images, report.identities, report.images_per_identity) == (13, 3, (4, 5))
    assert report.pairs == {"pairs": 20}
    assert report.image_sizes == {"12x12": 15, "20x10": 1}
    printed = capsys.readouterr()
    assert printed.out == "" and "decoding images" in printed.err


def test_every_unreadable_image_is_reported_with_its_reason(faces):
    half = (faces / "train/ann/0.png").read_bytes()[:50]
    (faces / "train/ann/0.png").write_bytes(half)
    (faces / "train/bob/1.png").write_bytes(b"")
    (faces / "pairs/pairs/b.png").write_text("not found")
    report = check_data(folder_data(faces))
    assert not report.is_sound
    assert [entry["image"] for entry in report.unreadable] == ["ann/0.png", "bob/1.png", "b.png"]
    for entry, reason in zip(report.unreadable, ("50 bytes", "empty", "decoded"), strict=True):
        assert says(str(entry["reason"]), reason, str(faces))
    assert (report.images, report.image_sizes) == (13, {"12x12": 12, "20x10": 1})


def test_a_listed_image_that_is_missing_is_unreadable(faces):
    write_text(faces / "list.txt", "train/ann/0.png a\ntrain/ann/gone.png a\n")
    report = check_data(folder_data(faces, train_list="list.txt"))
    assert [entry["image"] for entry in report.unreadable] == ["train/ann/gone.png"]
    (entry,) = report.unreadable
    assert entry["line"] == 2 and says(
        str(entry["reason"]), "No such file or directory", "line 2", str(faces / "list.txt")
    )


def test_an_unreadable_image_of_a_list_has_its_line_and_others_have_none(faces):
    (faces / "train/ann/1.png").write_bytes(b"")
    (faces / "pairs/pairs/b.png").write_bytes(b"")
    write_text(faces / "list.txt", "# two\n\ntrain/ann/0.png a\nalone\ntrain/ann/1.png a\n")
    report = check_data(folder_data(faces, train_list="list.txt"))
    assert [(entry["image"], entry.get("line")) for entry in report.unreadable] == [
        ("train/ann/1.png", 5),
        ("b.png", None),
    ]


def test_every_missing_image_of_a_list_is_reported_even_the_first(faces):
    write_text(faces / "list.txt", "train/gone/0.png a\ntrain/ann/0.png a\ntrain/gone/1.png b\n")
    report = check_data(folder_data(faces, train_list="list.txt"))
    assert report.images == 3 and report.problems == []
    assert [entry["image"] for entry in report.unreadable] == ["train/gone/0.png", "train/gone/1.png"]


def test_a_list_whose_images_are_all_missing_is_one_problem(faces):
    write_text(faces / "list.txt", "elsewhere/0.png a\nelsewhere/1.png a\n")
    report = check_data(folder_data(faces, train_list="list.txt"))
    assert report.images == 0 and report.unreadable == []
    (problem,) = report.problems
    assert says(problem, str(faces / "list.txt"), "elsewhere/0.png", "folder")


def test_all_problems_are_reported_and_the_rest_is_still_looked_at(faces):
    write_text(faces / "list.txt", "train/ann/0.png\n")
    write_benchmark(faces, "bad")
    write_text(faces / "bad/bad_pair.txt", "r1.png r2.png 2\n")
    (faces / "evil.bin").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    (faces / "pairs/pairs/b.png").write_bytes(b"")
    report = check_data(folder_data(faces, train_list="list.txt", benchmarks=["bad", "pairs", "evil", "lfw"]))
    things = [str(faces / "list.txt"), str(faces / "bad/bad_pair.txt"), str(faces / "evil.bin"), "benchmark lfw"]
    assert len(report.problems) == 4
    assert every(says(problem, thing) for problem, thing in zip(report.problems, things, strict=True))
    assert (report.images, report.identities, report.images_per_identity) == (0, 0, None)
    assert report.pairs == {"pairs": 20} and report.image_sizes == {"12x12": 2}
    assert [entry["image"] for entry in report.unreadable] == ["b.png"]


def test_a_root_that_is_not_there_is_said_once_for_all_benchmarks(tmp_path):
    report = check_data(folder_data(tmp_path / "gone", benchmarks=["lfw", "calfw", "agedb_30"]))
    training, benchmarks = report.problems
    assert says(training, f"training folder {tmp_path / 'gone/train'}", "not exist")
    assert says(benchmarks, f"folder {tmp_path / 'gone'} ", "not exist")
    assert [(f.name, f.count) for f in report.findings] == [("unopened_parts", 2)]


def test_nothing_to_open_is_a_report_too(tmp_path):
    report = check_data(folder_data(tmp_path))
    assert len(report.problems) == 2 and report.image_sizes == {} and report.unreadable == []


def test_an_image_of_two_benchmarks_is_reported_once(faces):
    write_benchmark(faces, "cfp_ff")
    write_text(faces / "cfp_fp/cfp_fp_pair.txt", "b.png r1.png -1\n")
    (faces / "cfp_ff/cfp_ff/b.png").write_bytes(b"")
    report = check_data(folder_data(faces, benchmarks=["cfp_ff", "cfp_fp"]))
    assert [entry["image"] for entry in report.unreadable] == ["b.png"]


def test_images_of_one_name_in_two_benchmarks_are_two(faces):
    for name in ("one", "two"):
        write_benchmark(faces, name)
        (faces / name / name / "b.png").write_bytes(b"")
    report = check_data(folder_data(faces, benchmarks=["one", "two"]))
    assert [entry["image"] for entry in report.unreadable] == ["b.png", "b.png"]


@pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker processes")  # where there is one core
def test_workers_find_the_same(faces):
    (faces / "train/ann/0.png").write_bytes(b"")
    for number in range(150):
        write_image(faces / f"train/bob/more{number}.png", plain(RED))
    assert check_data(folder_data(faces, num_workers=2)) == check_data(folder_data(faces, num_workers=0))


@needs_insightface
def test_the_insightface_sample_is_sound():
    report = check_data(InsightFaceData(root=str(INSIGHTFACE), benchmarks=["lfw_sample"], num_workers=0))
    assert report.is_sound and (report.images, report.identities) == (274, 40)
    assert report.pairs == {"lfw_sample": 160} and set(report.image_sizes) == {"112x112"}


BOTH = "r1.png r2.png 1\nr1.png b.png -1\n"


@pytest.mark.parametrize(
    ("text", "name", "severity", "facts"),
    [
        (4 * BOTH, "unverifiable_benchmark", "error", ("8 pairs", "10 folds", "bring more")),
        (30 * "r1.png r2.png 1\n", "unverifiable_benchmark", "error", ("30 same-person pairs", "add different-person")),
        (
            30 * "r1.png r2.png 1\n" + 30 * "r1.png b.png -1\n",
            "folds_of_one_kind",
            "warning",
            ("10 of the 10 folds", "deal=true"),
        ),
    ],
)
def test_pairs_that_cannot_be_verified_well_are_found(faces, text, name, severity, facts):
    write_text(faces / "pairs/pairs_pair.txt", text)
    report = check_data(folder_data(faces))
    (found,) = [finding for finding in report.findings if finding.name == name]
    assert (found.severity, found.part) == (severity, "benchmark pairs")
    assert says(found.sentence, "benchmark pairs", *facts)
    assert report.is_sound == (severity == "warning")


def test_a_training_set_of_one_identity_is_found(faces):
    write_text(faces / "list.txt", "".join(f"train/{who}/0.png 0\n" for who in ("ann", "bob")))
    report = check_data(folder_data(faces, train_list="list.txt"))
    (found,) = [finding for finding in report.findings if finding.name == "one_identity"]
    assert says(found.sentence, "2 training images", "one identity", "'0'", "add people") and not report.is_sound


def test_a_training_set_of_one_colour_is_found_and_one_of_three_is_not(faces):
    assert "one_colour_only" not in [finding.name for finding in check_data(folder_data(faces)).findings]
    for path in (faces / "train").rglob("*.png"):
        write_image(path, plain(GREY))
    report = check_data(folder_data(faces))
    (found,) = [finding for finding in report.findings if finding.name == "one_colour_only"]
    assert says(found.sentence, "one colour", "NaN", "fetch") and found.details == [{"images": 13}]
    assert not report.is_sound


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_nobody_waits_for_a_named_pipe(faces):
    os.mkfifo(faces / "train/ann/pipe.png")
    (entry,) = check_data(folder_data(faces)).unreadable
    assert entry["image"] == "ann/pipe.png" and says(str(entry["reason"]), "pipe")
