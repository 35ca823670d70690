import pytest
from image_files import write_text
from says import refuses
from shared_data import FACES, needs_faces

from facerec.data.official.cfp import cfp_images, read_cfp_pairs
from facerec.errors import InputError


@pytest.fixture
def protocol(tmp_path):
    """Two people of two frontal images, 1 to 4, and a profile, 1 and 2; a pair of each kind in each fold."""
    frontal = [f"{number} ../Data/Images/00{person}/frontal/0{image}.jpg" for number, person, image in
               ((1, 1, 1), (2, 1, 2), (3, 2, 1), (4, 2, 2))]  # fmt: skip
    write_text(tmp_path / "Pair_list_F.txt", "\n".join(frontal) + "\n")
    write_text(tmp_path / "Pair_list_P.txt", "".join(f"{n} ../Data/Images/00{n}/profile/01.jpg\n" for n in (1, 2)))
    for fold in range(1, 11):
        write_text(tmp_path / f"Split/FF/{fold:02d}/same.txt", "2,1\n")
        write_text(tmp_path / f"Split/FF/{fold:02d}/diff.txt", "1,4\n")
        write_text(tmp_path / f"Split/FP/{fold:02d}/same.txt", "4,2\n")
        write_text(tmp_path / f"Split/FP/{fold:02d}/diff.txt", "1,2\n")
    return tmp_path


def test_ff_pairs_frontal_images_and_fp_a_frontal_with_a_profile(protocol):
    assert read_cfp_pairs(protocol, "FF") == 10 * [
        ("001/frontal/02.jpg", "001/frontal/01.jpg", True),
        ("001/frontal/01.jpg", "002/frontal/02.jpg", False),
    ]
    assert read_cfp_pairs(protocol, "FP") == 10 * [
        ("002/frontal/02.jpg", "002/profile/01.jpg", True),
        ("001/frontal/01.jpg", "002/profile/01.jpg", False),
    ]


def test_the_images_are_all_that_are_numbered(protocol):
    images = cfp_images(protocol)
    assert len(images) == 6 and images[0] == "001/frontal/01.jpg" and images[-1] == "002/profile/01.jpg"


def test_windows_line_ends_read_the_same(protocol):
    expected = read_cfp_pairs(protocol, "FP")
    for file in protocol.rglob("*.txt"):
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert read_cfp_pairs(protocol, "FP") == expected


@pytest.mark.parametrize("fold", ["01", "07"])
def test_folds_of_unequal_size_are_refused(protocol, fold):
    write_text(protocol / f"Split/FF/{fold}/diff.txt", "1,4\n2,3\n")
    with refuses(f"Split/FF/{fold}/diff.txt", "2 pairs", "01/same.txt", error=InputError):
        read_cfp_pairs(protocol, "FF")


def test_a_missing_fold_and_an_empty_one_are_named(protocol):
    write_text(protocol / "Split/FF/03/same.txt", "")
    with refuses("03/same.txt", "0 pairs", error=InputError):
        read_cfp_pairs(protocol, "FF")
    (protocol / "Split/FF/03/same.txt").unlink()
    with refuses("03/same.txt", "No such file or directory", error=InputError):
        read_cfp_pairs(protocol, "FF")


@pytest.mark.parametrize(
    ("line", "facts"),
    [
        ("1;2", ("NUMBER,NUMBER",)),
        ("1,2,1", ("NUMBER,NUMBER",)),
        ("1,5", ("no image", "number 5")),
        ("1,3", ("two people", "001/frontal/01.jpg", "002/frontal/01.jpg")),
    ],
)
def test_a_bad_line_is_named(protocol, line, facts):
    write_text(protocol / "Split/FF/02/same.txt", f"\n{line}\n")
    with refuses("line 2", "FF/02/same.txt", f"'{line}'", *facts, error=InputError):
        read_cfp_pairs(protocol, "FF")


def test_swapped_files_are_noticed(protocol):
    write_text(protocol / "Split/FF/02/diff.txt", "2,1\n")
    with refuses("02/diff.txt", "'2,1'", "one person", error=InputError):
        read_cfp_pairs(protocol, "FF")


@pytest.mark.parametrize("line", ["one ../Data/Images/001/frontal/01.jpg", "1", "1 frontal/01.jpg"])
def test_a_bad_line_of_the_numbered_images_is_named(protocol, line):
    write_text(protocol / "Pair_list_F.txt", f"{line}\n")
    with refuses("line 1", "Pair_list_F.txt", line, "../Data/Images/ID/KIND", error=InputError):
        read_cfp_pairs(protocol, "FF")


@needs_faces
@pytest.mark.parametrize("split", ["FF", "FP"])
def test_the_official_protocol_gives_the_pairs_of_the_one_layout(split):
    pairs = read_cfp_pairs(FACES / "cfp_protocol", split)
    lines = [f"{left} {right} {1 if same else -1}" for left, right, same in pairs]
    name = f"cfp_{split.lower()}"
    assert lines == (FACES / name / f"{name}_pair.txt").read_text().splitlines()
