import numpy as np
import pytest
import torch
from image_files import plain
from measured_parts import benchmark_part, training_part
from torch import nn

from facerec.data.source import Benchmark
from facerec.doctor.faces import Embedder
from facerec.doctor.lookalikes import judge_faces

CORNERS = {"red": (230, 20, 20), "green": (20, 230, 20), "blue": (20, 20, 230), "grey": (128, 128, 128)}


class Colour(nn.Module):
    """The mean colour as an embedding."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((2, 3))


def person(colour: str, count: int) -> list[np.ndarray]:
    """Images of about that colour, half of each darker."""
    rng, images = np.random.default_rng(count), []
    for _ in range(count):
        images.append(plain(tuple(np.clip(np.array(CORNERS[colour]) + rng.integers(-20, 21, 3), 20, 255)), (8, 8)))
        images[-1][:4] -= 15
    return images


@pytest.fixture
def embedder():
    return Embedder(Colour(), (8, 8))


def test_embeddings_have_length_one_and_those_of_unreadable_images_are_zero(embedder):
    part = training_part(person("red", 3), "aaa")
    part.features["readable"][1] = False
    lengths = np.linalg.norm(embedder.embed(part, 0).astype(float), axis=1)
    assert lengths == pytest.approx([1, 0, 1], abs=1e-3)


def test_a_wrong_label_is_named_with_whom_it_looks_like(embedder):
    images = person("red", 8) + person("green", 8) + person("blue", 8)
    identities = ["ann"] * 8 + ["bob"] * 8 + ["eve"] * 8
    identities[3] = "eve"
    (finding,) = [f for f in judge_faces([training_part(images, identities)], [], embedder, 0) if "labelled" in f.name]
    (detail,) = finding.details
    assert (detail["image"], detail["identity"], detail["looks_like"]) == ("3", "eve", "ann")
    assert detail["difference"] > 1 and [example.index for example in finding.examples] == [3, 0]


def test_two_names_of_one_person_are_named_and_others_are_not(embedder):
    images = 2 * person("red", 4) + person("green", 8) + person("blue", 8)
    identities = ["ann"] * 4 + ["anna"] * 4 + ["bob"] * 8 + ["eve"] * 8
    found = judge_faces([training_part(images, identities)], [], embedder, 0)
    (finding,) = [f for f in found if f.name == "similar_identities"]
    assert [detail["identities"] for detail in finding.details] == [["ann", "anna"]]


def test_people_of_the_benchmark_are_named(embedder):
    train = training_part(person("red", 6) + person("green", 6), ["ann"] * 6 + ["bob"] * 6)
    part = benchmark_part(person("red", 2) + person("blue", 2))
    benchmark = Benchmark("known", part.source, np.array([0, 1]), np.array([2, 3]), np.array([False, False]))
    (finding,) = [f for f in judge_faces([train, part], [benchmark], embedder, 0) if f.part == "benchmark known"]
    assert finding.name == "training_faces_in_benchmark"
    assert [detail["identity"] for detail in finding.details] == ["ann"]
    assert finding.details[0]["image"] in ("known/0", "known/1")


def test_an_image_of_one_colour_has_no_wrong_label(embedder):
    images = [*person("red", 8), plain(CORNERS["green"], (8, 8)), *person("green", 8)]
    found = judge_faces([training_part(images, ["ann"] * 9 + ["bob"] * 8)], [], embedder, 0)
    assert "mislabelled_images" not in [finding.name for finding in found]


def test_without_a_readable_training_image_nothing_is_said(embedder):
    part = training_part(person("red", 2), "aa")
    part.features["readable"] = False
    assert (
        judge_faces([part], [], embedder, 0) == [] == judge_faces([benchmark_part(person("red", 2))], [], embedder, 0)
    )
