import pickle

import numpy as np
import pytest
from image_files import GREEN, plain, write_faces, write_text

from facerec.data.readers.folders import read_identity_folders
from facerec.data.readers.train_lists import read_train_list
from facerec.data.subset import Subset
from facerec.data.synthetic.synthetic_faces import SyntheticFaces


@pytest.fixture
def source(tmp_path):
    """ann, bob and eve, two images each."""
    write_faces(tmp_path, images_per_identity=2)
    return read_identity_folders(tmp_path / "train")


def test_images_keep_all_but_their_number_and_labels_have_no_gap(source):
    subset = Subset(source, np.array([5, 2]))
    assert len(subset) == 2 and subset.num_identities == 2
    assert subset.labels.tolist() == [1, 0] and subset.labels.dtype == np.int64
    assert [subset.name(index) for index in (0, 1)] == ["eve/1.png", "bob/0.png"]
    assert [subset.reference(index) for index in (0, 1)] == ["eve/1.png", "bob/0.png"]
    assert [subset.identity_name(label) for label in (0, 1)] == ["bob", "eve"]
    np.testing.assert_array_equal(subset.load(1), plain(GREEN))
    assert subset.encoded(1) == source.encoded(2) and subset.state() == source.state()


def test_the_fingerprint_tells_images_and_their_order_apart(source):
    chosen = [[0, 1], [1, 0], [0, 2], [0]]
    assert len({Subset(source, np.array(positions)).fingerprint() for positions in chosen}) == 4
    assert Subset(source, np.array([0, 1])).fingerprint() == Subset(source, np.array([0, 1])).fingerprint()


def test_a_subset_of_a_subset_and_of_drawn_faces(source):
    twice = Subset(Subset(source, np.array([5, 3, 1])), np.array([2, 0]))
    assert [twice.name(index) for index in (0, 1)] == ["ann/1.png", "eve/1.png"]
    assert [twice.identity_name(label) for label in twice.labels] == ["ann", "eve"]
    drawn = Subset(SyntheticFaces(4, 2, image_size=32), np.array([7]))
    assert drawn.labels.tolist() == [0] and drawn.identity_name(0) == "3" and drawn.reference(0) == "7"


def test_it_travels_to_a_worker(source):
    subset = pickle.loads(pickle.dumps(Subset(source, np.array([2]))))
    np.testing.assert_array_equal(subset.load(0), plain(GREEN))
    assert subset.name(0) == "bob/0.png"


def test_positions_may_be_every_second_of_others(source):
    assert Subset(source, np.arange(6)[::2]).fingerprint() == Subset(source, np.array([0, 2, 4])).fingerprint()


def test_missing_images_and_the_lines_of_a_list_are_those_of_the_source(tmp_path):
    write_faces(tmp_path, images_per_identity=2)
    write_text(tmp_path / "list.txt", "ann/0.png a\neve/7.png e\nbob/1.png b\nnobody/1.png n\n")
    subset = Subset(read_train_list(tmp_path / "train", tmp_path / "list.txt"), np.array([3, 0, 1]))
    assert subset.missing().tolist() == [0, 2]
    assert subset.listed_in(2) == (tmp_path / "list.txt", 2)
    assert subset.full_name(1) == str(tmp_path / "train/ann/0.png")
