"""Each head beside its paper's formula, element by element in double precision."""

import math
from collections.abc import Callable

import pytest
import torch

from facerec.heads import (
    AdaFace,
    AMSoftmax,
    ArcFace,
    CombinedMargin,
    CosineHead,
    CurricularFace,
    MagFace,
    SubCentreArcFace,
)

Vector = list[float]
OwnLogit = Callable[[float, float], float]  # of the angle and the norm of the embedding
N, D = 5, 3


def angle(one: Vector, other: Vector) -> float:
    return math.acos(sum(a * b for a, b in zip(one, other, strict=True)) / math.hypot(*one) / math.hypot(*other))


def arc(theta: float, margin: float) -> float:
    return math.cos(theta + margin) if theta + margin <= math.pi else math.cos(theta) - margin * math.sin(margin)


def falling(phi: float) -> float:
    """A half turn more is 2 less."""
    return math.cos(phi) if phi <= math.pi else falling(phi - math.pi) - 2


def own_logit(head: CosineHead) -> OwnLogit:
    """The formula for the image's own class, without the scale."""
    if isinstance(head, AdaFace):
        mean, std = head.mean.item(), head.std.item()

        def own(theta: float, norm: float) -> float:
            z = max(-1.0, min(1.0, (min(norm, 100.0) - mean) / ((std + 0.001) / head.h)))
            return falling(max(0.0, theta + -head.margin * z)) - (head.margin * z + head.margin)

        return own
    if isinstance(head, MagFace):

        def share(norm: float) -> float:
            return (min(max(norm, head.lower_norm), head.upper_norm) - head.lower_norm) / (
                head.upper_norm - head.lower_norm
            )

        return lambda theta, norm: arc(theta, share(norm) * head.upper_margin + (1 - share(norm)) * head.lower_margin)
    if isinstance(head, CombinedMargin):
        return lambda theta, _: falling(head.m1 * theta + head.m2) - head.m3
    assert isinstance(head, ArcFace)
    return lambda theta, _: arc(theta, head.margin)


def formula(head: CosineHead, embeddings: list[Vector], labels: list[int], norms: Vector) -> list[Vector]:
    """The logits; ``norms`` are those that a margin depends on."""
    own, centres = own_logit(head), head.weight.double().tolist()
    rows = []
    for embedding, label, norm in zip(embeddings, labels, norms, strict=True):
        thetas = [
            min(angle(embedding, one) for one in (centre if isinstance(head, SubCentreArcFace) else [centre]))
            for centre in centres
        ]
        row = [math.cos(theta) for theta in thetas]
        target = own(thetas[label], norm)
        if isinstance(head, CurricularFace):
            row = [cosine * (head.t.item() + cosine) if cosine > target else cosine for cosine in row]
        row[label] = target
        rows.append([head.scale * value for value in row])
    return rows


def loss(head: CosineHead, embeddings: list[Vector], labels: list[int], norms: Vector | None = None) -> float:
    """The mean cross-entropy, and what MagFace adds."""
    lengths = [math.hypot(*embedding) for embedding in embeddings]
    rows = formula(head, embeddings, labels, norms or lengths)
    total = sum(
        math.log(sum(math.exp(value) for value in row)) - row[label] for row, label in zip(rows, labels, strict=True)
    )
    if isinstance(head, MagFace):
        limited = [min(max(length, head.lower_norm), head.upper_norm) for length in lengths]
        total += head.regularisation * sum(1 / a + a / head.upper_norm**2 for a in limited)
    return total / len(rows)


HEADS = {
    "AdaFace": lambda: AdaFace(N, D, margin=0.4),
    "AdaFace, large margin": lambda: AdaFace(N, D, margin=1.2, h=0.9, scale=8.0),
    "CurricularFace": lambda: CurricularFace(N, D),
    "CurricularFace, small margin": lambda: CurricularFace(N, D, margin=0.1, scale=4.0),
    "MagFace": lambda: MagFace(N, D),
    "MagFace, other norms": lambda: MagFace(N, D, 0.1, 1.5, 20.0, 50.0, regularisation=3.0, scale=10.0),
    "sub-centres": lambda: SubCentreArcFace(N, D),
    "two sub-centres": lambda: SubCentreArcFace(N, D, margin=1.0, scale=16.0, num_centres=2),
    "combined": lambda: CombinedMargin(N, D),
    "combined, CM2": lambda: CombinedMargin(N, D, 0.9, 0.4, 0.15),
    "SphereFace": lambda: CombinedMargin(N, D, 4.0, 0.0, 0.0, scale=8.0),
}
ALL = pytest.mark.parametrize("name", HEADS)


def case(name: str) -> tuple[CosineHead, torch.Tensor, torch.Tensor]:
    """The head with state as in the middle of a training, and 60 images at all angles, of norms from 2 to 130."""
    torch.manual_seed(0)
    head = HEADS[name]().eval()
    if isinstance(head, AdaFace):
        head.mean.fill_(60), head.std.fill_(20)
    if isinstance(head, CurricularFace):
        head.t.fill_(0.35)
    directions, centres = torch.nn.functional.normalize(torch.randn(60, D)), head.weight.detach().flatten(1)[:, :D]
    # Ten are near their centre, where AdaFace's angle would be negative, and opposite to it, past pi of any margin.
    directions[-10:-5] = torch.nn.functional.normalize(centres + 0.05 * directions[-10:-5])
    directions[-5:] = torch.nn.functional.normalize(0.05 * directions[-5:] - centres)
    return head, directions * torch.linspace(2, 130, 60)[:, None], torch.arange(60) % N


@ALL
def test_logits_are_the_formula(name):
    head, embeddings, labels = case(name)
    rows, norms = embeddings.double().tolist(), embeddings.double().norm(dim=1).tolist()
    expected = torch.tensor(formula(head, rows, labels.tolist(), norms))
    torch.testing.assert_close(head(embeddings, labels), expected, rtol=1e-5, atol=2e-5 * head.scale)


@ALL
def test_the_loss_is_the_mean_over_the_batch(name):
    head, embeddings, labels = case(name)
    expected = loss(head, embeddings.double().tolist(), labels.tolist())
    assert head.loss(embeddings, labels).item() == pytest.approx(expected, rel=1e-4)


@ALL
def test_the_gradient_is_the_slope_of_the_formula(name):
    """By central differences. AdaFace's margin has no gradient, so its norms stay."""
    head, embeddings, labels = case(name)
    head.scale = 2.0  # so that no image has all of the loss
    embeddings, labels = embeddings[8::6].clone().requires_grad_(), labels[8::6]
    (gradient,) = torch.autograd.grad(head.loss(embeddings, labels), embeddings)
    rows = embeddings.detach().double().tolist()
    norms = [math.hypot(*row) for row in rows] if isinstance(head, AdaFace) else None
    for image in range(len(rows)):
        for place in range(D):
            values = []
            for step in (1e-4, -1e-4):
                moved = [row[:] for row in rows]
                moved[image][place] += step
                values.append(loss(head, moved, labels.tolist(), norms))
            slope = (values[0] - values[1]) / 2e-4
            assert gradient[image, place].item() == pytest.approx(slope, rel=2e-3, abs=2e-6)


@pytest.mark.parametrize("margin", [0.2, 0.5])
def test_the_combined_margin_has_the_others_as_special_cases(margin):

    torch.manual_seed(1)
    embeddings, labels = torch.randn(40, D), torch.arange(40) % N
    angular, additive = CombinedMargin(N, D, 1.0, margin, 0.0), CombinedMargin(N, D, 1.0, 0.0, margin)
    for combined, plain in ((angular, ArcFace(N, D, margin)), (additive, AMSoftmax(N, D, margin, scale=64.0))):
        plain.load_state_dict(combined.state_dict())
        theirs, ours = plain(embeddings, labels), combined(embeddings, labels)
        cosine = torch.nn.functional.cosine_similarity(embeddings, combined.weight[labels])
        below = cosine > math.cos(math.pi - margin)
        assert 20 < below.sum() < 40 or combined is additive
        torch.testing.assert_close(ours[below], theirs[below], rtol=1e-4, atol=2e-3)


def test_one_sub_centre_is_arcface():
    torch.manual_seed(2)
    one, plain = SubCentreArcFace(N, D, num_centres=1), ArcFace(N, D)
    plain.weight.data = one.weight.data[:, 0]
    embeddings, labels = torch.randn(40, D), torch.arange(40) % N
    torch.testing.assert_close(one(embeddings, labels), plain(embeddings, labels))


def test_only_the_nearest_sub_centre_of_a_class_gets_a_gradient():
    head = SubCentreArcFace(2, D, num_centres=3)
    head.weight.data = torch.eye(3).repeat(2, 1, 1) * torch.tensor([1.0, -1.0])[:, None, None]
    head(torch.tensor([[0.1, 1.0, 0.2]]), torch.tensor([0])).sum().backward()
    assert head.weight.grad is not None
    assert head.weight.grad.abs().sum(2).ne(0).tolist() == [[False, True, False], [True, False, False]]
