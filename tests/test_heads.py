"""Margin-softmax heads on the unit circle, where a class centre and an image are an angle each."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from says import refuses

from facerec.heads import AMSoftmax, ArcFace, CosineHead

HEADS = pytest.mark.parametrize("head_class", [AMSoftmax, ArcFace])
CENTRES = [0, 60, 120, 200, 300]


def circle(degrees, lengths=None):
    """Vectors at these angles, of these lengths (default: 1)."""
    angles = torch.tensor(degrees, dtype=torch.float32).deg2rad()
    points = torch.stack((angles.cos(), angles.sin()), dim=1)
    return points if lengths is None else points * torch.tensor(lengths)[:, None]


def head_at(head_class, centres, **arguments) -> CosineHead:
    head = head_class(len(centres), 2, **arguments)
    head.weight.data = circle(centres)
    return head


def angle_between(first, second):
    between = abs(first - second) % 360
    return math.radians(min(between, 360 - between))


def own_logit(head_class, theta, margin):
    if head_class is AMSoftmax:
        return math.cos(theta) - margin
    if theta + margin <= math.pi:
        return math.cos(theta + margin)
    return math.cos(theta) - margin * math.sin(margin)


def logits_of_own_class(head_class, degrees, **arguments):
    """Of images at these angles from their class centre."""
    head = head_at(head_class, [0], **arguments)
    return head(circle(degrees), torch.zeros(len(degrees), dtype=torch.long))[:, 0]


@HEADS
@pytest.mark.parametrize(("margin", "scale"), [(0.35, 32.0), (0.5, 64.0), (1.2, 1.0)])
def test_logits_are_the_formula_of_the_paper_angle_by_angle(head_class, margin, scale):
    head = head_at(head_class, CENTRES, margin=margin, scale=scale)
    # Half a degree off, so that no angle lies on ArcFace's switch.
    degrees = [angle + 0.5 for angle in range(0, 360, 7)]
    labels = [index % len(CENTRES) for index in range(len(degrees))]
    logits = head(circle(degrees), torch.tensor(labels))
    for image, (degree, label) in enumerate(zip(degrees, labels, strict=True)):
        for identity, centre in enumerate(CENTRES):
            theta = angle_between(degree, centre)
            cosine = own_logit(head_class, theta, margin) if identity == label else math.cos(theta)
            assert logits[image, identity].item() == pytest.approx(scale * cosine, abs=1e-5 * scale + 1e-5)


@HEADS
def test_the_default_margin_and_scale_are_the_papers(head_class):
    head = head_class(3)
    assert head.weight.shape == (3, 512)
    assert (head.margin, head.scale) == {AMSoftmax: (0.35, 32.0), ArcFace: (0.5, 64.0)}[head_class]


@HEADS
def test_the_margin_makes_only_the_own_class_harder(head_class):
    plain, with_margin = (head_at(head_class, CENTRES, margin=m, scale=1.0) for m in (0.0, 0.4))
    images, labels = circle([10, 70, 150, 250]), torch.tensor([0, 0, 2, 4])
    change = with_margin(images, labels) - plain(images, labels)
    own = F.one_hot(labels, 5).bool()
    assert (change[own] < -0.01).all()
    assert torch.equal(change[~own], torch.zeros(16))


@HEADS
def test_without_a_margin_logits_are_scaled_cosines(head_class):
    head = head_at(head_class, CENTRES, margin=0.0, scale=8.0)
    images = circle([0, 33, 90, 180, 359])
    expected = 8 * F.cosine_similarity(images[:, None], circle(CENTRES)[None], dim=2)
    torch.testing.assert_close(head(images, torch.tensor([0, 1, 2, 3, 4])), expected)


@HEADS
@settings(max_examples=25, deadline=None)
@given(margin=st.floats(0.05, 1.5))
def test_the_own_logit_falls_with_the_angle_all_the_way_to_the_opposite_side(head_class, margin):
    logits = logits_of_own_class(head_class, list(range(0, 181, 2)), margin=margin, scale=1.0)
    assert (logits.diff() < 1e-6).all()
    assert logits[0] > logits[-1] + 1


@HEADS
@pytest.mark.parametrize("turn", [0, 180])
def test_gradient_is_finite_on_the_centre_and_opposite_to_it(head_class, turn):
    """All around the circle, since the rounded cosine is above 1 at some angles and below at others."""
    degrees = list(range(360))
    head, images = head_at(head_class, degrees), circle([degree + turn for degree in degrees]).requires_grad_()
    head(images, torch.arange(360)).diagonal().sum().backward()
    assert images.grad.isfinite().all()
    assert head.weight.grad.isfinite().all()


@HEADS
@pytest.mark.parametrize("degree", [20, 100, 170])
def test_gradient_is_the_slope_of_the_formula(head_class, degree):
    head = head_at(head_class, [0], margin=0.5, scale=1.0)
    angle = torch.tensor([math.radians(degree)], requires_grad=True)
    head(torch.stack((angle.cos(), angle.sin()), dim=1), torch.tensor([0])).sum().backward()
    theta, step = math.radians(degree), 1e-4
    slope = (own_logit(head_class, theta + step, 0.5) - own_logit(head_class, theta - step, 0.5)) / (2 * step)
    assert angle.grad.item() == pytest.approx(slope, abs=1e-3)


@HEADS
def test_lengths_of_embeddings_and_class_centres_do_not_matter(head_class):
    head, degrees, labels = head_at(head_class, CENTRES), [10, 100, 190], torch.tensor([0, 1, 3])
    expected = head(circle(degrees), labels)
    head.weight.data = circle(CENTRES, lengths=[0.1, 1.0, 5.0, 20.0, 3.0])
    torch.testing.assert_close(head(circle(degrees, lengths=[0.5, 2.0, 100.0]), labels), expected)


@HEADS
def test_logits_keep_float32_under_bfloat16_autocast(head_class):
    """Cosines 0.9998 and 0.9994 are one number in bfloat16."""
    head, images, labels = head_at(head_class, CENTRES), circle([1, 2]), torch.tensor([0, 0])
    with torch.autocast("cpu", torch.bfloat16):
        logits = head(images, labels)
    assert logits.dtype == torch.float32
    assert torch.equal(logits, head(images, labels))
    assert head(images.bfloat16(), labels).dtype == torch.float32


@HEADS
def test_logits_of_a_head_in_bfloat16_are_float32(head_class):
    head = head_at(head_class, CENTRES).bfloat16()
    assert head(circle([1, 2]).bfloat16(), torch.tensor([0, 0])).dtype == torch.float32


@HEADS
def test_class_centres_start_at_unit_length_in_all_directions(head_class):
    torch.manual_seed(0)
    weight = head_class(4000, 3).weight
    torch.testing.assert_close(weight.norm(dim=1), torch.ones(4000))
    # Uniform on the sphere: no mean direction, a third of the variance along each axis.
    torch.testing.assert_close(weight.mean(dim=0), torch.zeros(3), atol=0.04, rtol=0)
    torch.testing.assert_close(weight.var(dim=0), torch.full((3,), 1 / 3), atol=0.03, rtol=0)


@HEADS
def test_training_turns_a_centre_towards_its_images(head_class):
    head, images, labels = head_at(head_class, [80, 40]), circle([0, 10]), torch.tensor([0, 0])
    for _ in range(30):
        loss = F.cross_entropy(head(images, labels), labels)
        head.weight.data -= 0.01 * torch.autograd.grad(loss, head.weight)[0]
    assert F.normalize(head.weight, dim=1)[0, 0] > math.cos(math.radians(40))


@HEADS
@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        ({"num_identities": 0}, ("num_identities", "1", "0")),
        ({"margin": -0.1}, ("margin", "0", "-0.1")),
        ({"scale": 0}, ("scale", "positive", "0")),
    ],
    ids=str,
)
def test_arguments_out_of_range_are_refused_in_a_sentence(head_class, arguments, facts):
    with refuses(*facts):
        head_class(**{"num_identities": 2, "margin": 0.3, "scale": 30.0, **arguments})


@HEADS
@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("key", ["margin", "scale"])
def test_what_is_no_finite_number_is_refused(head_class, key, value):
    with refuses(key, str(value)):
        head_class(2, 3, **{key: value})


@pytest.mark.parametrize("degrees", [28.6, math.pi])
def test_an_angular_margin_that_can_only_be_in_degrees_is_refused(degrees):
    with refuses("ArcFace", "radians", "pi", str(degrees)):
        ArcFace(2, margin=degrees)
