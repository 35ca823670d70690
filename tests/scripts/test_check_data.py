import json
from pathlib import Path

import numpy as np
import pytest
from image_files import GREY, plain, write_faces, write_image, write_text
from PIL import Image
from says import every, says
from shared_data import FACES, needs_faces

from facerec.commands.main import module_of


@pytest.fixture
def faces(tmp_path):
    """Three identities of 4, 4 and 5 images; a benchmark of 2 pairs over 3 images."""
    write_faces(tmp_path)
    write_image(tmp_path / "train/eve/wide.png", plain(GREY, (10, 20)))
    return tmp_path


def run_script(capsys, *arguments: str):
    status = module_of("check_data").main(list(arguments))
    return status, capsys.readouterr()


def folder_arguments(root: Path, *more: str) -> list[str]:
    return ["data=folder", f"data.root={root}", "data.benchmarks=[pairs]", "data.num_workers=0", *more]


def test_the_script_ends_with_one_line_of_json_and_status_0(faces, capsys):
    status, printed = run_script(capsys, *folder_arguments(faces))
    assert status == 0 and "training images" in printed.err
    assert says(printed.err, "flat images (training set, benchmark pairs): ", "one colour", "remove")
    assert says(printed.err, "other sizes (training set): ", "12x12")
    report = json.loads(printed.out)
    findings = report.pop("findings")
    assert report == {
        "images": 13,
        "identities": 3,
        "images_per_identity": [4, 5],
        "pairs": {"pairs": 20},
        "image_sizes": {"12x12": 15, "20x10": 1},
        "unreadable": [],
        "problems": [],
    }
    assert [(f["name"], f["severity"], f["part"], f["count"]) for f in findings] == [
        ("flat_images", "warning", "training set", 13),
        ("other_sizes", "warning", "training set", 1),
        ("not_square", "warning", "training set", 1),
        ("small_images", "warning", "training set", 13),
        ("flat_images", "warning", "benchmark pairs", 3),
        ("small_images", "warning", "benchmark pairs", 3),
    ]
    assert every(f.keys() == {"name", "severity", "part", "count", "sentence"} for f in findings)
    assert printed.out.count("\n") == 1


def test_the_script_names_what_is_unreadable_and_ends_with_status_1(faces, capsys):
    name = "train/ann/déjà [red] vu.png"
    (faces / name).write_bytes(b"")
    status, printed = run_script(capsys, *folder_arguments(faces))
    assert status == 1
    assert says(printed.err, str(faces / name), "empty")
    assert [entry["image"] for entry in json.loads(printed.out)["unreadable"]] == ["ann/déjà [red] vu.png"]


def test_the_script_shows_ten_unreadable_images_and_counts_the_others(faces, capsys):
    for number in range(12):
        (faces / f"train/ann/empty{number:02}.png").write_bytes(b"")
    status, printed = run_script(capsys, *folder_arguments(faces))
    assert status == 1 and printed.err.count(" empty") == 10 and "2 more unreadable images" in printed.err
    assert len(json.loads(printed.out)["unreadable"]) == 12


def test_the_script_shows_ten_wrong_lines_of_each_list_and_counts_the_others(faces, capsys, tmp_path):
    write_text(faces / "list.txt", "train/ann/0.png\ta\n" + "".join(f"alone{number}\n" for number in range(12)))
    write_text(faces / "pairs/pairs_pair.txt", "r1.png r2.png 1\nr1.png\n")
    arguments = folder_arguments(faces, f"data.train_list={faces / 'list.txt'}", f"out={tmp_path / 'found'}")
    status, printed = run_script(capsys, *arguments)
    assert status == 1 and printed.err.count("PATH IDENTITY") == 10
    (line,) = (line for line in printed.err.splitlines() if "alone9" in line)
    assert says(line, "line 11", str(faces / "list.txt"), "'alone9'", "PATH IDENTITY")
    assert says(printed.err, "2 more wrong lines", "training set")
    assert "lfw_pair" not in printed.err and says(
        printed.err, "line 2", str(faces / "pairs/pairs_pair.txt"), "'r1.png'"
    )
    found = json.loads(printed.out)["findings"][:2]
    assert [(f["name"], f["severity"], f["part"], f["count"]) for f in found] == [
        ("wrong_lines", "error", "training set", 12),
        ("wrong_lines", "error", "benchmark pairs", 1),
    ]
    details = json.loads((tmp_path / "found/report.json").read_text())["findings"][0]["details"]
    assert [entry["line"] for entry in details] == list(range(2, 14))


def test_the_script_lists_all_problems_and_ends_with_status_1(faces, capsys):
    status, printed = run_script(capsys, *folder_arguments(faces, "data.benchmarks=[lfw,pairs,agedb_30]"))
    problems = json.loads(printed.out)["problems"]
    assert status == 1 and [problem.split()[1] for problem in problems] == ["lfw", "agedb_30"]
    assert every(problem in printed.err for problem in problems)


def test_the_script_says_a_wrong_argument_in_one_sentence(capsys):
    status, printed = run_script(capsys, "dta=folder")
    assert status == 1 and printed.out == ""
    assert says(printed.err, "'dta=folder'", "'data'") and printed.err.count("\n") == 1


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


def test_out_holds_all_details_and_a_page_of_pictures(faces, capsys, tmp_path):
    status, printed = run_script(capsys, *folder_arguments(faces, f"out={tmp_path / 'found'}"))
    report = json.loads((tmp_path / "found/report.json").read_text())
    assert status == 0 and report["findings"][1]["details"] == [{"image": "eve/wide.png", "size": "20x10"}]
    without = [{key: value for key, value in f.items() if key != "details"} for f in report["findings"]]
    assert {**report, "findings": without} == json.loads(printed.out)
    with Image.open(tmp_path / "found/report.png") as page:
        assert page.width > 1000 and page.height > 500


@pytest.mark.parametrize(
    ("place", "facts"),
    [
        ("file", ("file", "name a folder")),
        ("file/in", ("is not a folder", "name ano")),
    ],
)
def test_out_that_cannot_be_made_is_refused_before_anything_is_opened(faces, capsys, monkeypatch, place, facts):
    (faces / "file").write_text("in the way")
    script = module_of("check_data")
    monkeypatch.setattr(script, "check_data", None)
    assert script.main(folder_arguments(faces, f"out={faces / place}")) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and says(printed.err, f"out={faces / place}", str(faces / "file"), *facts)


def test_a_report_that_cannot_be_written_is_printed_all_the_same(faces, capsys):
    (faces / "found/report.json").mkdir(parents=True)
    status, printed = run_script(capsys, *folder_arguments(faces, f"out={faces / 'found'}"))
    assert status == 1 and json.loads(printed.out)["images"] == 13 and "training images" in printed.err
    assert says(printed.err.splitlines()[-1], "report.json", "not a file", "another folder")


def test_the_script_names_each_wrong_identity_folder(faces, capsys):
    (faces / "train/dan").mkdir()
    (faces / "train/gone").symlink_to("nowhere")
    status, printed = run_script(capsys, *folder_arguments(faces))
    assert status == 1 and json.loads(printed.out)["images"] == 13
    assert says(printed.err, f"identity folder {faces / 'train/dan'} ", "no image", "fill it")
    assert says(printed.err, str(faces / "train/gone"), "link", "restore")


def test_a_checkpoint_that_is_not_there_is_one_sentence(faces, capsys):
    status, printed = run_script(capsys, *folder_arguments(faces, "checkpoint=gone.ckpt"))
    assert status == 1 and printed.out == ""
    assert says(printed.err, "gone.ckpt", "No such file or directory") and printed.err.count("\n") == 1


def test_ctrl_c_is_one_sentence_and_status_130(faces, capsys, monkeypatch):
    script = module_of("check_data")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(script, "check_data", interrupt)
    assert script.main(folder_arguments(faces)) == 130
    said = capsys.readouterr().err
    assert says(said, "interrupted", "report") and said.count("\n") == 1
