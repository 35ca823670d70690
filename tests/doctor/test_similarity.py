import numpy as np
import pytest
import torch
from measured_parts import benchmark_part, training_part
from torch.nn.functional import normalize

from facerec.doctor.faces import Faces, label_gaps, mutual_neighbours, mutual_people, own_similarity, sum_by_identity

IMAGE = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
IDENTITIES = [*"aaaabbbccddddde"]
UNREADABLE = 3


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def cosine(x: np.ndarray, y: np.ndarray) -> float:
    return float(unit(x) @ unit(y))


@pytest.fixture
def train() -> Faces:
    """Fifteen faces of five people, one of them unreadable."""
    rng = np.random.default_rng(0)
    part = training_part([IMAGE] * len(IDENTITIES), IDENTITIES)
    part.features["readable"][UNREADABLE] = False
    embeddings = rng.normal(size=(len(IDENTITIES), 6))
    embeddings[UNREADABLE] = 0
    return Faces(part, embeddings.astype(np.float16), torch.full((6,), 0.25))


def rows(faces: Faces) -> np.ndarray:
    return unit(faces.embeddings.astype(float) - 0.25)


def members(train: Faces, identity: str) -> list[int]:
    return [i for i, who in enumerate(IDENTITIES) if who == identity and i != UNREADABLE]


def centre(train: Faces, identity: str) -> np.ndarray:
    return unit(rows(train)[members(train, identity)].sum(0))


def test_sums_leave_unreadable_images_out(train):
    expected = np.stack([rows(train)[members(train, identity)].sum(0) for identity in "abcde"])
    assert sum_by_identity(train).numpy() == pytest.approx(expected, abs=1e-3)


def test_a_gap_compares_the_nearest_other_identity_with_the_others_of_the_own(train):
    gaps, nearest = label_gaps(train, sum_by_identity(train))
    for i, identity in enumerate(IDENTITIES):
        others = [j for j in members(train, identity) if j != i]
        if i == UNREADABLE or not others:
            assert np.isnan(gaps[i])
            continue
        x = rows(train)[i]
        rival = {who: cosine(x, centre(train, who)) for who in "abcde" if who != identity}
        assert "abcde"[nearest[i]] == max(rival, key=rival.get)
        assert gaps[i] == pytest.approx(max(rival.values()) - cosine(x, rows(train)[others].sum(0)), abs=2e-3)


def test_mutual_neighbours_are_each_others_nearest_and_have_two_images(train):
    found = mutual_neighbours(normalize(sum_by_identity(train)), train.counts)
    similarity = {
        (a, b): cosine(centre(train, a), centre(train, b)) for a in "abcd" for b in "abcd" if a != b
    }  # e has one image

    def nearest(a: str) -> str:
        return max((b for b in "abcd" if b != a), key=lambda b: similarity[a, b])

    expected = sorted(
        ((similarity[a, nearest(a)], a, nearest(a)) for a in "abcd" if nearest(nearest(a)) == a), reverse=True
    )
    assert {("abcde"[a], "abcde"[b]) for a, b, _ in found} == {(a, b) for _, a, b in expected if a < b}
    assert [s for *_, s in found] == pytest.approx([s for s, a, b in expected if a < b], abs=2e-3)


def test_people_of_a_benchmark_are_each_others_nearest(train):
    part = benchmark_part([IMAGE] * 9)
    part.features["readable"][4] = False
    embeddings = np.random.default_rng(1).normal(size=(9, 6)).astype(np.float16)
    faces = Faces(part, embeddings, train.mean)
    table = np.array([[cosine(centre(train, who), row) for row in rows(faces)] for who in "abcde"])
    table[:, 4] = -2
    expected = {(who, int(i)) for who, i in enumerate(table.argmax(1)) if table[:, i].argmax() == who}
    found = mutual_people(normalize(sum_by_identity(train)), faces)
    assert {(who, i) for who, i, _ in found} == expected
    assert [s for *_, s in found] == pytest.approx(sorted((table[pair] for pair in expected), reverse=True), abs=2e-3)


def test_own_similarity_is_the_median_over_the_halves_of_identities_of_four(train):
    # Of the readable ones d alone has four. Its images stand at 9 to 13: every second one from the first is a half.
    first, second = rows(train)[[9, 11, 13]].sum(0), rows(train)[[10, 12]].sum(0)
    assert own_similarity(train, sum_by_identity(train)) == pytest.approx(cosine(first, second), abs=2e-3)


def test_identities_of_fewer_than_four_images_have_no_own_similarity():
    faces = Faces(training_part([IMAGE] * 3, "aab"), np.ones((3, 2), np.float16), torch.zeros(2))
    assert np.isnan(own_similarity(faces, sum_by_identity(faces)))
