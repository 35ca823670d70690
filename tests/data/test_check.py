import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from image_files import GREY, RED, plain, write_benchmark, write_faces, write_image, write_text
from shared_data import FACES, INSIGHTFACE, needs_faces, needs_insightface

from facerec.data.check import check_data
from facerec.data.modules import FolderData, InsightFaceData

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "check_data.py"


def folder_data(root: Path, **changes) -> FolderData:
    return FolderData(root=str(root), **{"benchmarks": ["pairs"], "num_workers": 0, **changes})


@pytest.fixture
def faces(tmp_path):
    """Three identities of 4, 4 and 5 images; a benchmark of 2 pairs over 3 images."""
    write_faces(tmp_path)
    write_image(tmp_path / "train/eve/wide.png", plain(GREY, (10, 20)))
    return tmp_path


def test_sound_data_is_counted(faces, capsys):
    report = check_data(folder_data(faces))
    assert report.is_sound and report.unreadable == [] and report.problems == []
    assert (report.images, report.identities, report.images_per_identity) == (13, 3, (4, 5))
    assert report.pairs == {"pairs": 2}
    assert report.image_sizes == {"12x12": 15, "10x20": 1}
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
    for entry, reason in zip(
        report.unreadable, ("is cut off after 50 bytes", "is empty", "cannot be decoded"), strict=True
    ):
        assert reason in entry["reason"] and str(faces) in entry["reason"]
    assert (report.images, report.image_sizes) == (13, {"12x12": 12, "10x20": 1})


def test_a_listed_image_that_is_missing_is_unreadable(faces):
    write_text(faces / "list.txt", "train/ann/0.png a\ntrain/ann/gone.png a\n")
    report = check_data(folder_data(faces, train_list="list.txt"))
    assert [entry["image"] for entry in report.unreadable] == ["train/ann/gone.png"]
    assert "cannot be read (No such file or directory)" in report.unreadable[0]["reason"]


def test_all_problems_are_reported_and_the_rest_is_still_looked_at(faces):
    write_text(faces / "list.txt", "train/ann/0.png\n")
    write_benchmark(faces, "bad")
    write_text(faces / "bad/bad_pair.txt", "r1.png r2.png 2\n")
    (faces / "evil.bin").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    (faces / "pairs/pairs/b.png").write_bytes(b"")
    report = check_data(folder_data(faces, train_list="list.txt", benchmarks=["bad", "pairs", "evil", "lfw"]))
    starts = ["line 1 of", "line 1 of", str(faces / "evil.bin"), "benchmark lfw is missing"]
    assert len(report.problems) == 4
    assert all(problem.startswith(start) for problem, start in zip(report.problems, starts, strict=True))
    assert (report.images, report.identities, report.images_per_identity) == (0, 0, None)
    assert report.pairs == {"pairs": 2} and report.image_sizes == {"12x12": 2}
    assert [entry["image"] for entry in report.unreadable] == ["b.png"]


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


def run_script(capsys, *arguments: str):
    spec = importlib.util.spec_from_file_location("check_data", SCRIPT)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    status = script.main(list(arguments))
    return status, capsys.readouterr()


def folder_arguments(root: Path, *more: str) -> list[str]:
    return ["data=folder", f"data.root={root}", "data.benchmarks=[pairs]", "data.num_workers=0", *more]


def test_the_script_ends_with_one_line_of_json_and_status_0(faces, capsys):
    status, printed = run_script(capsys, *folder_arguments(faces))
    assert status == 0 and "training images" in printed.err
    assert json.loads(printed.out) == {
        "images": 13,
        "identities": 3,
        "images_per_identity": [4, 5],
        "pairs": {"pairs": 2},
        "image_sizes": {"12x12": 15, "10x20": 1},
        "unreadable": [],
        "problems": [],
    }
    assert printed.out.count("\n") == 1


def test_the_script_names_what_is_unreadable_and_ends_with_status_1(faces, capsys):
    name = "train/ann/déjà [red] vu.png"
    (faces / name).write_bytes(b"")
    status, printed = run_script(capsys, *folder_arguments(faces))
    assert status == 1
    assert f"image {faces / name} is empty" in printed.err
    assert [entry["image"] for entry in json.loads(printed.out)["unreadable"]] == ["ann/déjà [red] vu.png"]


def test_the_script_shows_ten_unreadable_images_and_counts_the_others(faces, capsys):
    for number in range(12):
        (faces / f"train/ann/empty{number:02}.png").write_bytes(b"")
    status, printed = run_script(capsys, *folder_arguments(faces))
    assert status == 1 and printed.err.count(" is empty: ") == 10 and "... and 2 more unreadable images" in printed.err
    assert len(json.loads(printed.out)["unreadable"]) == 12


def test_the_script_lists_all_problems_and_ends_with_status_1(faces, capsys):
    status, printed = run_script(capsys, *folder_arguments(faces, "data.benchmarks=[lfw,pairs,agedb_30]"))
    problems = json.loads(printed.out)["problems"]
    assert status == 1 and [problem.split()[1] for problem in problems] == ["lfw", "agedb_30"]
    assert all(problem in printed.err for problem in problems)


def test_the_script_says_a_wrong_argument_in_one_sentence(capsys):
    status, printed = run_script(capsys, "dta=folder")
    assert status == 1 and printed.out == ""
    assert printed.err == "unknown config key 'dta'; did you mean 'data'?\n"


@needs_faces
def test_the_script_finds_the_real_benchmark_sound(capsys, tmp_path):
    # A hundred training images, and all images of CFP-FF.
    lines = (FACES / "train_mini.txt").read_text().splitlines()[:100]
    write_text(tmp_path / "list.txt", "\n".join(lines))
    arguments = [f"data.root={FACES}", f"data.train_list={tmp_path / 'list.txt'}", "data.benchmarks=[cfp_ff]"]
    status, printed = run_script(capsys, "data=folder", "data.num_workers=1", *arguments)
    report = json.loads(printed.out)
    assert status == 0 and report["images"] == 100 and report["pairs"] == {"cfp_ff": 7_000}
    assert report["identities"] == len(np.unique([line.rsplit(maxsplit=1)[1] for line in lines]))
