"""Galleries: the most similar people by sorting everything, and files that belong to one model."""

import numpy as np
import pytest
from says import refuses

from facerec.errors import InputError
from facerec.recognise import gallery as module
from facerec.recognise.gallery import Gallery


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


RNG = np.random.default_rng(0)
FACES = unit(RNG.normal(size=(40, 8)))
PEOPLE = [f"person {number}" for number in RNG.integers(0, 12, 40)]


@pytest.fixture
def gallery() -> Gallery:
    made = Gallery.empty("model 1")
    for number, (person, face) in enumerate(zip(PEOPLE, FACES, strict=True)):
        made = made.with_faces(person, [f"{number}.jpg"], face[None])
    return made


@pytest.mark.parametrize("top", [1, 5, 100])
@pytest.mark.parametrize("block", [1, 1 << 22])
def test_the_search_finds_what_sorting_all_cosines_does(top, block, gallery, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", block)
    queries = unit(RNG.normal(size=(7, 8)))
    found = gallery.search(queries, top)
    for query, matches in zip(queries, found, strict=True):
        best: dict[str, tuple[float, int]] = {}
        for number, face in enumerate(FACES):
            best[PEOPLE[number]] = max(best.get(PEOPLE[number], (-2.0, 0)), (float(query @ face), number))
        expected = sorted(best.items(), key=lambda item: -item[1][0])[:top]
        assert [match.person for match in matches] == [person for person, _ in expected]
        assert [match.photo for match in matches] == [f"{number}.jpg" for _, (_, number) in expected]
        np.testing.assert_allclose([match.cosine for match in matches], [c for _, (c, _) in expected], atol=1e-6)


def test_it_comes_back_from_its_file(gallery, tmp_path):
    gallery.write(tmp_path / "g.npz")
    back = Gallery.read(tmp_path / "g.npz", "model 1")
    assert back.names == sorted(set(PEOPLE)) and back.photos.tolist() == gallery.photos.tolist()
    np.testing.assert_array_equal(back.embeddings, gallery.embeddings)
    assert Gallery.read(tmp_path / "g.npz").made_by == "model 1"


def test_another_models_is_refused(gallery, tmp_path):
    gallery.write(tmp_path / "g.npz")
    with refuses("g.npz", "model 1", "model 2", "cannot be compared", error=InputError):
        Gallery.read(tmp_path / "g.npz", "model 2")


@pytest.mark.parametrize("content", [b"no file of arrays", None, {"people": np.array(["a"])}, {"a": np.array([{}])}])
def test_a_damaged_file_is_refused(content, gallery, tmp_path):
    path = tmp_path / "g.npz"
    gallery.write(path)
    if content is None:
        path.write_bytes(path.read_bytes()[:-200])
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.savez(path, **content)
    with refuses("g.npz", "another file", error=InputError):
        Gallery.read(path, "model 1")


def test_arrays_of_different_lengths_are_refused(gallery, tmp_path):
    shorter = Gallery("model 1", gallery.people[:3], gallery.photos, gallery.embeddings)
    shorter.write(tmp_path / "g.npz")
    with refuses("g.npz", "damaged", error=InputError):
        Gallery.read(tmp_path / "g.npz", "model 1")


def test_a_photograph_that_is_enrolled_again_replaces_itself(gallery):
    again = gallery.with_faces(PEOPLE[0], ["0.jpg", "new.jpg"], FACES[5:7])
    assert len(again) == len(gallery) + 1 and again.photos.tolist().count("0.jpg") == 1
    row = again.photos.tolist().index("0.jpg")
    np.testing.assert_array_equal(again.embeddings[row], FACES[5])


def test_a_person_is_forgotten(gallery):
    left = gallery.without(PEOPLE[0])
    assert PEOPLE[0] not in left.names and len(left) == len(gallery) - PEOPLE.count(PEOPLE[0])
    for person in left.names:
        left = left.without(person)
    assert len(left) == 0 and left.search(FACES[:2]) == []


def test_embeddings_of_another_length_are_refused(gallery):
    for use in (lambda: gallery.search(FACES[:1, :5]), lambda: gallery.with_faces("a", ["a.jpg"], FACES[:1, :5])):
        with refuses("8 elements", "5", "enrol", error=InputError):
            use()
