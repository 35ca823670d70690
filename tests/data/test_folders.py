import os
import pickle
import shutil

import numpy as np
import pytest
from image_files import BLUE, GREEN, RED, plain, write_benchmark, write_faces, write_image, write_text
from says import refuses
from shared_data import FACES, needs_faces

from facerec.data.readers.folders import read_identity_folders, read_pairs
from facerec.data.readers.train_lists import read_train_list
from facerec.errors import InputError


def test_a_folder_an_identity_gives_labels_in_the_order_of_the_names(tmp_path):
    write_faces(tmp_path, images_per_identity=2)
    train = read_identity_folders(tmp_path / "train")
    assert [train.name(i) for i in range(len(train))] == [
        f"{who}/{n}.png" for who in ("ann", "bob", "eve") for n in (0, 1)
    ]
    assert train.labels.tolist() == [0, 0, 1, 1, 2, 2] and train.labels.dtype == np.int64
    assert train.num_identities == 3
    for index, colour in enumerate([RED, RED, GREEN, GREEN, BLUE, BLUE]):
        np.testing.assert_array_equal(train.load(index), plain(colour))


def test_images_may_stand_deeper_and_other_files_are_passed_over(tmp_path):
    write_image(tmp_path / "ann/2019/summer/a.png", plain(RED))
    write_image(tmp_path / "ann/b.JPG", plain(RED))
    write_text(tmp_path / "ann/notes.txt", "seen twice")
    write_text(tmp_path / "README.md", "about")
    assert list(read_identity_folders(tmp_path).paths) == ["ann/2019/summer/a.png", "ann/b.JPG"]


def test_a_benchmark_is_no_person(tmp_path):
    write_faces(tmp_path)
    write_benchmark(tmp_path / "train", "lfw")
    with refuses("train/lfw", "benchmark", "move", error=InputError):
        read_identity_folders(tmp_path / "train")


def test_a_missing_training_folder_is_named(tmp_path):
    with refuses("nowhere", "not exist", "list of im", error=InputError):
        read_identity_folders(tmp_path / "nowhere")


def test_an_empty_identity_is_named(tmp_path):
    write_faces(tmp_path)
    write_text(tmp_path / "train/dan/notes.txt", "no image")
    with refuses("train/dan", "no image", "fill", error=InputError):
        read_identity_folders(tmp_path / "train")


def test_a_training_folder_without_identities_is_refused(tmp_path):
    write_image(tmp_path / "loose.png", plain(RED))
    with refuses("no identity folder", "IDENTITY/IMAGE", error=InputError):
        read_identity_folders(tmp_path)


def test_names_with_spaces_and_letters_of_any_language_are_read(tmp_path):
    names = ["José Núñez/müde Augen.png", "李小龙/一 二.png", "Ωmega/ж.png"]
    for name in names:
        write_image(tmp_path / name, plain(GREEN))
    write_text(tmp_path / "list.txt", "".join(f"{name} person{i}\n" for i, name in enumerate(names)))
    listed, walked = read_train_list(tmp_path, "list.txt"), read_identity_folders(tmp_path)
    assert list(listed.paths) == names and listed.labels.tolist() == [0, 1, 2]
    assert sorted(walked.paths) == sorted(names)
    for source in (listed, walked):
        for index in range(3):
            np.testing.assert_array_equal(source.load(index), plain(GREEN))


def train_list(root, text: str):
    write_faces(root, images_per_identity=2)
    write_text(root / "list.txt", text)
    return read_train_list(root / "train", root / "list.txt")


def test_a_list_gives_the_images_in_its_own_order(tmp_path):
    train = train_list(tmp_path, "eve/1.png 30\nann/0.png 7\nann/1.png 7\n")
    assert list(train.paths) == ["eve/1.png", "ann/0.png", "ann/1.png"]
    assert train.num_identities == 2
    assert train.labels.tolist() == [0, 1, 1]  # "30" sorts before "7": identities are names, not numbers
    np.testing.assert_array_equal(train.load(0), plain(BLUE))


@pytest.mark.parametrize(
    "text",
    [
        "# a comment\n\nann/0.png a\n   \n# another\nbob/0.png b\n",
        "ann/0.png a\r\nbob/0.png b\r\n",
        "\ufeffann/0.png a\nbob/0.png b",
        "ann/0.png\ta\n  bob/0.png   b  \n",
    ],
    ids=["comments and blank lines", "windows line ends", "byte order mark", "tabs and padding"],
)
def test_a_list_may_be_written_by_any_editor(tmp_path, text):
    train = train_list(tmp_path, text)
    assert list(train.paths) == ["ann/0.png", "bob/0.png"] and train.labels.tolist() == [0, 1]


def test_the_bad_line_of_a_list_is_numbered_as_an_editor_does(tmp_path):
    with refuses("line 4", "list.txt", "'bob/0.png'", "PATH IDENTITY", error=InputError):
        train_list(tmp_path, "# two people\n\nann/0.png a\nbob/0.png\n")


def test_an_empty_list_is_refused(tmp_path):
    with refuses("list.txt", "PATH IDENTITY", error=InputError):
        train_list(tmp_path, "# nothing yet\n\n")


def test_a_list_that_is_not_utf_8_is_refused(tmp_path):
    (tmp_path / "list.txt").write_bytes("ann/0.png a\nJosé.png b\n".encode("latin-1"))
    with refuses("list.txt", "UTF-8", "byte 15", "line 2", error=InputError):
        read_train_list(tmp_path, "list.txt")


def test_a_list_that_is_nowhere_is_named(tmp_path):
    with refuses("casia.txt", "check", error=InputError):
        read_train_list(tmp_path, "casia.txt")


def test_a_list_for_another_root_is_refused_at_once(tmp_path):
    with refuses("list.txt", "train/train/ann/0.png", "folder", error=InputError):
        train_list(tmp_path, "train/ann/0.png a\n")


def test_an_image_that_has_gone_is_named_when_it_is_loaded(tmp_path):
    train = train_list(tmp_path, "ann/0.png a\nann/9.png a\n")
    train.load(0)
    with refuses("ann/9.png", "No such file or directory", "restore", error=InputError):
        train.load(1)


def test_an_unreadable_image_is_named_with_its_folder(tmp_path):
    train = train_list(tmp_path, "ann/0.png a\n")
    (tmp_path / "train/ann/0.png").write_bytes(b"")
    with refuses("train/ann/0.png", "empty", error=InputError):
        train.load(0)


def test_outer_tabs_are_no_fields_of_a_pair(tmp_path):
    write_benchmark(tmp_path, "lfw")
    write_text(tmp_path / "lfw/lfw_pair.txt", "r1.png r2.png\t1\t\n\tr1.png b.png -1\t\n\tr1.png\t1\nr1.png\t\t1\n")
    wrong: list[int] = []
    pairs = read_pairs(tmp_path, "lfw", lambda number, _: wrong.append(number))
    names = [
        (pairs.images.name(left), pairs.images.name(right)) for left, right in zip(pairs.left, pairs.right, strict=True)
    ]
    assert names == [("r1.png", "r2.png"), ("r1.png", "b.png")] and pairs.is_same.tolist() == [True, False]
    assert wrong == [3, 4]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_no_image_and_nobody_waits_for_it(tmp_path):
    write_faces(tmp_path)
    os.mkfifo(tmp_path / "train/ann/pipe.png")
    train = read_identity_folders(tmp_path / "train")
    index = list(train.paths).index("ann/pipe.png")
    assert train.missing().tolist() == [index]
    with refuses("ann/pipe.png", "pipe", "off the list", error=InputError):
        train.load(index)


def test_the_fingerprint_changes_with_names_order_and_labels_and_not_with_the_place(tmp_path):
    lists = [
        "ann/0.png a\nbob/0.png b\n",
        "bob/0.png b\nann/0.png a\n",
        "ann/0.png a\nbob/0.png a\n",
        "ann/1.png a\nbob/0.png b\n",
    ]
    prints = [train_list(tmp_path / "here", text).fingerprint() for text in lists]
    assert len(set(prints)) == 4
    assert train_list(tmp_path / "there", lists[0]).fingerprint() == prints[0]


def test_images_travel_to_a_worker(tmp_path):
    train = train_list(tmp_path, "eve/0.png a\n")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(train)).load(0), plain(BLUE))


@needs_faces
def test_the_real_training_list_opens():
    train = read_train_list(FACES, "train_mini.txt")
    assert (len(train), train.num_identities) == (13_591, 1_847)
    assert np.bincount(train.labels).min() == 2
    assert train.load(0).shape == (112, 112, 3)


def test_the_state_changes_with_a_file_and_not_with_the_place(tmp_path):
    write_faces(tmp_path / "here")
    shutil.copytree(tmp_path / "here", tmp_path / "there")  # with its times
    here, there = (read_identity_folders(tmp_path / place / "train") for place in ("here", "there"))
    before = here.state()
    assert there.state() == before
    image = tmp_path / "here/train/bob/2.png"
    content, times = image.read_bytes(), image.stat()
    image.write_bytes(content + b"longer")
    os.utime(image, ns=(times.st_atime_ns, times.st_mtime_ns))
    longer = here.state()
    image.write_bytes(content)
    os.utime(image, ns=(times.st_atime_ns, times.st_mtime_ns + 1))
    assert len({before, longer, here.state()}) == 3
    image.unlink()
    with refuses(str(image), "No such file or directory", "restore", error=InputError):
        here.state()
