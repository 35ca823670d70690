"""A benchmark with the images of its folder that no pair names."""

import pytest
from image_files import BLUE, RED, plain, write_image, write_text

from facerec.data.modules import FolderData
from facerec.data.readers.folders import read_pairs, with_unlisted
from facerec.data.synthetic.synthetic_faces import synthetic_benchmark


def write(root, *others):
    for path in ("ann/1.png", "ann/2.png", "bob/1.png", "bob/2.png", *others):
        write_image(root / "set" / "set" / path, plain(RED if path[0] == "a" else BLUE))
    lines = "bob/1.png bob/2.png 1\nann/1.png ./bob/2.png -1\n"
    write_text(root / "set" / "set_pair.txt", 5 * lines)


def test_the_others_follow_those_in_pairs_with_their_people(tmp_path):
    write(tmp_path, "zoe/a/1.png")
    write_text(tmp_path / "set" / "set" / "zoe" / "notes.txt", "no image")
    listed = read_pairs(tmp_path, "set")
    whole = with_unlisted(listed)
    paths = list(whole.images.paths)
    assert paths[: len(listed.images)] == list(listed.images.paths)
    assert paths[len(listed.images) :] == ["ann/2.png", "zoe/a/1.png"]
    assert whole.people[: len(listed.images)] == listed.people and whole.people[-2:] == ("ann", "zoe")
    assert (whole.left.tolist(), whole.right.tolist()) == (listed.left.tolist(), listed.right.tolist())
    assert whole.fingerprint() == listed.fingerprint() and len(whole.listed) == len(listed.images)
    assert whole.images.fingerprint() != listed.images.fingerprint()


def test_people_are_unknown_if_the_rule_does_not_suit_the_others(tmp_path):
    write(tmp_path, "stray.png")
    assert read_pairs(tmp_path, "set").people is not None and with_unlisted(read_pairs(tmp_path, "set")).people is None


def test_a_benchmark_that_is_no_folder_stays_as_it_is():
    benchmark = synthetic_benchmark(num_identities=20, num_pairs=20)
    assert with_unlisted(benchmark) is benchmark


@pytest.mark.parametrize("whole", [False, True])
def test_a_data_module_loads_them_if_it_is_told_to(whole, tmp_path):
    write(tmp_path, "zoe/1.png")
    data = FolderData(root=str(tmp_path), benchmarks=["set"], num_workers=0, cache=str(tmp_path / "cache"))
    data.whole_folders = whole
    data.setup("validate")
    (loader,) = data.val_dataloader()
    assert sum(len(images) for images, _ in loader) == len(data.opened_benchmarks[0].images) == (5 if whole else 3)
