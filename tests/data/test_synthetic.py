import pickle
import subprocess
import sys

import numpy as np
import pytest
from says import refuses

from facerec.data.synthetic import synthetic_faces as synthetic
from facerec.data.synthetic.synthetic_faces import NUM_FOLDS, SyntheticFaces, synthetic_benchmark
from facerec.errors import InputError


def _stack(faces: SyntheticFaces) -> np.ndarray:
    return np.stack([faces.load(index) for index in range(len(faces))])


@pytest.fixture(scope="module")
def album() -> np.ndarray:
    """20 people x 16 pictures, (20, 16, 56, 56, 3)."""
    return _stack(SyntheticFaces(20, 16, image_size=56)).reshape(20, 16, 56, 56, 3)


@pytest.mark.parametrize("image_size", [32, 57, 112])
def test_a_face_is_a_square_of_bytes(image_size):
    image = SyntheticFaces(2, 2, image_size=image_size).load(3)
    assert image.shape == (image_size, image_size, 3) and image.dtype == np.uint8
    assert image.std() > 5


def test_labels_count_up_person_by_person():
    faces = SyntheticFaces(3, 2)
    assert faces.labels.tolist() == [0, 0, 1, 1, 2, 2] and faces.labels.dtype == np.int64
    assert (len(faces), faces.num_identities) == (6, 3)
    assert faces.name(5) == "synthetic train person 2 picture 1"


def test_the_same_index_is_the_same_image():
    faces = SyntheticFaces(3, 4, image_size=48)
    np.testing.assert_array_equal(faces.load(7), SyntheticFaces(3, 4, image_size=48).load(7))
    np.testing.assert_array_equal(faces.load(7), pickle.loads(pickle.dumps(faces)).load(7))


def test_another_process_draws_the_same_image():
    code = """
import sys
from facerec.data.synthetic import synthetic_faces as synthetic
from facerec.data.synthetic.synthetic_faces import SyntheticFaces
sys.stdout.buffer.write(SyntheticFaces(3, 4).load(7).tobytes())
"""
    drawn = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert drawn == SyntheticFaces(3, 4).load(7).tobytes()


def test_a_picture_does_not_depend_on_how_many_others_there_are():
    np.testing.assert_array_equal(SyntheticFaces(2, 3).load(5), SyntheticFaces(9, 7).load(1 * 7 + 2))


def test_no_image_occurs_twice_over_seeds_splits_people_and_pictures():
    images = [
        SyntheticFaces(2, 2, image_size=32, seed=seed, split=split).load(index).tobytes()
        for seed in (0, 1)
        for split in ("train", "test")
        for index in range(4)
    ]
    assert len(set(images)) == len(images)


def test_pictures_of_a_person_resemble_each_other_more_than_another_persons(album):
    gallery, probes = album[:, :12].mean(axis=1), album[:, 12:]
    distance = np.abs(probes[:, :, None] - gallery).mean(axis=(3, 4, 5))
    hits = distance.argmin(axis=2) == np.arange(20)[:, None]
    assert hits.mean() > 3 / 20, "nearest mean face should beat chance threefold"


def test_pixels_alone_do_not_solve_verification():
    benchmark = synthetic_benchmark("synthetic", 60, 5, 400, image_size=48)
    pixels = np.stack([benchmark.images.load(index) for index in range(len(benchmark.images))]).reshape(300, -1) - 127.0
    pixels /= np.linalg.norm(pixels, axis=1, keepdims=True)
    similarity = (pixels[benchmark.left] * pixels[benchmark.right]).sum(axis=1)
    best = max(((similarity > threshold) == benchmark.is_same).mean() for threshold in similarity)
    assert 0.5 < best < 0.75


def test_the_average_face_has_its_features_at_the_template(album):
    """At 56 pixels the ArcFace template has the eyes at (19, 26) and (37, 26) and the mouth's middle at (28, 46)."""
    mean = album.mean(axis=(0, 1, 4))
    eyes, mouth = (mean[24:28, 17:21].mean() + mean[24:28, 35:39].mean()) / 2, mean[45:47, 25:31].mean()
    cheeks = (mean[31:36, 16:20].mean() + mean[31:36, 36:40].mean()) / 2
    assert eyes < 0.85 * cheeks
    assert mouth < 0.93 * cheeks


def test_the_average_face_is_symmetric(album):
    mean = album.mean(axis=(0, 1, 4))
    assert np.abs(mean - mean[:, ::-1]).mean() < 8


def test_a_million_images_of_many_people_take_no_time_to_construct():
    faces = SyntheticFaces(100_000, 10, image_size=32)
    assert len(faces) == 1_000_000
    assert faces.load(999_999).std() > 5


def test_the_fingerprint_changes_with_everything_that_changes_an_image():
    variants = [
        SyntheticFaces(3, 4),
        SyntheticFaces(4, 3),
        SyntheticFaces(3, 4, image_size=64),
        SyntheticFaces(3, 4, seed=1),
        SyntheticFaces(3, 4, split="test"),
        synthetic_benchmark("synthetic_pose", 20, 4, 20).images,
    ]
    assert len({faces.fingerprint() for faces in variants}) == len(variants)
    assert SyntheticFaces(3, 4).fingerprint() == variants[0].fingerprint()


def test_the_state_changes_with_the_painters_version(monkeypatch):
    before = SyntheticFaces(3, 4).state()
    assert SyntheticFaces(2, 2, seed=7).state() == before
    monkeypatch.setattr(synthetic, "VERSION", synthetic.VERSION + 1)
    assert SyntheticFaces(3, 4).state() != before


def test_whoever_changes_the_painting_raises_its_version():
    means = [SyntheticFaces(4, 2, image_size=48).load(index).mean() for index in (0, 3, 7)]
    assert (synthetic.VERSION, [round(float(mean)) for mean in means]) == (1, [192, 105, 201])


@pytest.mark.parametrize("name", ["synthetic", "synthetic_pose", "synthetic_occlusion"])
def test_a_benchmark_is_balanced_and_says_the_truth(name):
    benchmark = synthetic_benchmark(name, 40, 5, 200)
    left, right = benchmark.images.labels[benchmark.left], benchmark.images.labels[benchmark.right]
    np.testing.assert_array_equal(left == right, benchmark.is_same)
    assert benchmark.name == name and len(benchmark) == 200
    assert benchmark.is_same.reshape(NUM_FOLDS, 2, 10).tolist() == [[[True] * 10, [False] * 10]] * NUM_FOLDS
    assert benchmark.images.split == "test"


def test_folds_share_no_person_and_no_pair_occurs_twice():
    benchmark = synthetic_benchmark("synthetic", 40, 3, 240)
    pairs = np.stack([benchmark.left, benchmark.right], axis=1)
    people = [set(benchmark.images.labels[fold].ravel().tolist()) for fold in np.split(pairs, NUM_FOLDS)]
    assert sum(map(len, people)) == len(set.union(*people))
    assert len({frozenset(pair) for pair in pairs.tolist()}) == 240, (
        "an image is not paired with itself, nor a pair repeated"
    )


def test_a_benchmark_is_the_same_each_time_and_another_for_another_seed():
    one, again, other = (synthetic_benchmark("synthetic", 40, 5, 200, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.left, again.left)
    assert (one.left != other.left).any()


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (dict(num_identities=0), ("num_identities", "0", "at least 1")),
        (dict(images_per_identity=-1), ("images_per_identity", "-1", "at least 1")),
        (dict(image_size=16), ("image_size", "16", "32 to 512")),
        (dict(seed=-1), ("seed", "-1", "from 0")),
        (dict(split="val"), ("split", "'val'", "train", "test")),
    ],
)
def test_bad_arguments_are_named(arguments, facts):
    with refuses(*facts):
        SyntheticFaces(**(dict(num_identities=2, images_per_identity=2) | arguments))


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (("synthetic_easy", 40, 5, 200), ("'synthetic_easy'", "one of synthetic, ")),
        (("synthetic", 40, 5, 201), ("num_pairs", "201", "multiple of 20")),
        (("synthetic", 40, 1, 200), ("0 of the 10 pairs", "one person", "num_pairs")),
        (("synthetic", 10, 9, 200), ("0 of the 10 pairs", "two people", "num_pairs")),
    ],
)
def test_benchmarks_that_cannot_be_are_refused(arguments, facts):
    with refuses(*facts, error=InputError):
        synthetic_benchmark(*arguments)


@pytest.mark.parametrize("index", [-1, 4])
def test_an_index_out_of_range_is_refused(index):
    with refuses(f"image {index}", "only 4", error=IndexError):
        SyntheticFaces(2, 2).load(index)
