"""The losses of distillation, computed again by loops in double precision."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from says import refuses
from torch import nn

from facerec.errors import InputError
from facerec.heads import AMSoftmax, ArcFace, SubCentreArcFace
from facerec.training.distillation import AdaDistill, EmbeddingDistillation, move_centres
from facerec.training.parameter_groups import ParameterGroups

D, N, B = 6, 5, 8
LABELS = torch.tensor([3, 0, 3, 1, 3, 0, 4, 2])


@pytest.fixture
def parts():
    """A head, and embeddings of a student and a teacher, some alike, some not."""
    torch.manual_seed(0)
    student = torch.randn(B, D)
    teacher = torch.nn.functional.normalize(student + 0.5 * torch.randn(B, D))
    teacher[5] = -student[5] / student[5].norm()
    return AMSoftmax(N, D, scale=8.0), student.requires_grad_(), teacher


def cosine(a, b):
    return float(np.dot(a, b) / np.sqrt(np.dot(a, a) * np.dot(b, b)))


def doubles(*tensors):
    return [tensor.detach().double().numpy() for tensor in tensors]


def margin_loss(student, centres, labels, margin=0.35, scale=8.0):
    total = 0.0
    for embedding, label in zip(student, labels, strict=True):
        logits = [scale * (cosine(embedding, w) - margin * (i == label)) for i, w in enumerate(centres)]
        total -= logits[label] - np.log(sum(np.exp(logit) for logit in logits))
    return total / len(labels)


@pytest.mark.parametrize("teacher_dim", [D, 9])
def test_the_loss_of_embeddings_is_that_of_the_head_and_of_the_directions(parts, teacher_dim):
    head, student, _ = parts
    teacher = torch.nn.functional.normalize(torch.randn(B, teacher_dim))
    distillation = EmbeddingDistillation(weight=3.0, head_weight=0.5)
    distillation.connect(head, D, teacher_dim)
    loss, logged = distillation(head, student, LABELS, teacher.half())
    s, t, centres = doubles(student, teacher.half(), head.weight)
    if teacher_dim != D:
        (matrix,) = doubles(distillation.projection.weight)
        s = np.array([[np.dot(row, one) for row in matrix] for one in s])
    taught = sum(1 - cosine(a, b) for a, b in zip(s, t, strict=True)) / B
    own = margin_loss(doubles(student)[0], centres, LABELS.tolist())
    assert loss.item() == pytest.approx(0.5 * own + 3 * taught, rel=1e-5)
    assert {name: value.item() for name, value in logged.items()} == pytest.approx(
        {"head": own, "distillation": taught}, rel=1e-5
    )
    loss.backward()
    assert student.grad.abs().sum() > 0 and head.weight.grad.abs().sum() > 0
    assert (teacher_dim == D) == (not list(distillation.parameters()))


def moved_by_loops(centres, student, teacher, labels):
    new = {}
    for s, t, label in zip(student, teacher, labels, strict=True):
        w, t = centres[label], t / np.sqrt(np.dot(t, t))
        a = max(cosine(s, t) * max(cosine(w, t), 1e-6), 1e-6)
        new.setdefault(label, []).append(a * w + (1 - a) * t)
    result = centres.copy()
    for label, found in new.items():
        result[label] = sum(found) / len(found)
    return result


def test_the_centres_follow_the_teacher_and_the_student_learns_from_them(parts):
    head, student, teacher = parts
    distillation = AdaDistill()
    distillation.connect(head, D, D)
    for _ in range(3):  # the first batch finds centres that were drawn
        s, t, centres = doubles(student, teacher, head.weight)
        expected = moved_by_loops(centres, s, t, LABELS.tolist())
        loss, logged = distillation(head, student, LABELS, teacher)
        np.testing.assert_allclose(doubles(head.weight)[0], expected, atol=1e-6)
        assert loss.item() == pytest.approx(margin_loss(s, expected, LABELS.tolist()), rel=1e-5) and not logged
    loss.backward()
    assert student.grad.abs().sum() > 0 and head.weight.grad is None


def test_a_student_like_its_teacher_leaves_a_centre_that_is_like_both():
    centre = torch.nn.functional.normalize(torch.randn(1, D))
    centres = torch.cat([centre, torch.zeros(1, D)])
    move_centres(centres, 3 * centre, centre, torch.tensor([0]))
    torch.testing.assert_close(centres[:1], centre)
    unlike = torch.nn.functional.normalize(torch.randn(1, D))
    move_centres(centres, -unlike, unlike, torch.tensor([0]))
    torch.testing.assert_close(centres[:1], unlike, atol=1e-5, rtol=0)  # of the sample alone
    assert not centres[1].any()


def test_the_batch_of_all_devices_moves_the_centres(parts, monkeypatch):
    head, student, teacher = parts
    whole, half = copy.deepcopy(head), slice(0, B // 2)
    for one in (head, whole):
        AdaDistill().connect(one, D, D)
    AdaDistill()(whole, student, LABELS, teacher)
    gathered = iter([student.detach(), teacher, LABELS])
    monkeypatch.setattr("facerec.training.distillation.of_all_devices", lambda values: next(gathered))
    AdaDistill()(head, student[half], LABELS[half], teacher[half])
    torch.testing.assert_close(head.weight, whole.weight)


def test_centres_that_follow_the_teacher_are_in_no_group_of_the_optimizer(parts):
    head, _, _ = parts
    AdaDistill().connect(head, D, D)
    network = nn.ModuleDict({"backbone": nn.Linear(3, D), "head": head})
    groups = ParameterGroups()
    groups.freeze_in(network)
    optimizer = groups.optimizer(partial(torch.optim.SGD, lr=0.1), network)
    assert not any(value is head.weight for group in optimizer.param_groups for value in group["params"])


class TestWhatDoesNotFit:
    def test_an_embedding_of_another_dimension(self):
        with refuses("embedding_dim=6", "9", "distillation=embedding", error=InputError):
            AdaDistill().connect(ArcFace(N, D), D, 9)

    def test_a_head_with_several_centres(self):
        with refuses("SubCentreArcFace", "head=arcface", error=InputError):
            AdaDistill().connect(SubCentreArcFace(N, D), D, D)

    @pytest.mark.parametrize(
        ("settings", "facts"),
        [
            ({"weight": 0}, ("weight", "0", "distillation=none")),
            ({"weight": -1.0}, ("weight", "-1")),
            ({"head_weight": float("nan")}, ("head_weight", "nan")),
            ({"colours": "gray"}, ("colours", "rgb, bgr", "gray")),
            ({"std": 0.0}, ("std", "above 0")),
            ({"mean": [1.0, 2.0]}, ("mean", "three", "[1.0, 2.0]")),
            ({"image_size": [112]}, ("image_size", "height", "[112]")),
            ({"image_size": [112, 0]}, ("image_size", "at least 1", "0")),
        ],
    )
    def test_a_setting(self, settings, facts):
        with refuses(*facts):
            EmbeddingDistillation(**settings)
