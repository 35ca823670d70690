"""What every head of configs/head does."""

import math

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from facerec.config.options import CONFIG_FOLDER
from facerec.heads import CosineHead

FILES = [file for file in sorted((CONFIG_FOLDER / "head").glob("*.yaml")) if file.stem != "none"]
ALL = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def head_of(file, num_identities: int, embedding_dim: int = 2) -> CosineHead:
    return instantiate(OmegaConf.load(file))(num_identities, embedding_dim=embedding_dim)


def circle(degrees) -> torch.Tensor:
    angles = torch.tensor(degrees, dtype=torch.float32).deg2rad()
    return torch.stack((angles.cos(), angles.sin()), dim=1)


def place(head: CosineHead, degrees) -> CosineHead:
    """Put the centres, all of one identity in one place, at these angles."""
    directions = circle(degrees)
    head.weight.data = directions if head.weight.ndim == 2 else directions[:, None].repeat(1, head.weight.shape[1], 1)
    return head


def test_the_files_are_all_of_the_heads():
    assert {file.stem for file in FILES} == {
        *("am_softmax", "arcface", "adaface", "combined_margin", "curricularface", "magface", "subcentre_arcface"),
    }


@ALL
def test_the_arguments_in_the_file_are_the_defaults(file):
    """Those of the paper."""
    node = OmegaConf.load(file)
    head, plain = head_of(file, 3), type(head_of(file, 3))(3, embedding_dim=2)
    settings = {key: value for key, value in node.items() if not str(key).startswith("_")}
    assert settings and {key: getattr(plain, str(key)) for key in settings} == settings
    assert {key: getattr(head, str(key)) for key in settings} == settings


@ALL
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("turn", [0, 180])
@pytest.mark.parametrize("norm", [0.5, 22.0, 300.0])
def test_gradients_are_finite_on_the_centre_and_opposite_to_it(file, training, turn, norm):
    """All around the circle, since the rounded cosine is above 1 at some angles and below at others."""
    head = place(head_of(file, 360), list(range(360))).train(training)
    images = (norm * circle([degree + turn for degree in range(360)])).requires_grad_()
    head.loss(images, torch.arange(360)).backward()
    assert images.grad is not None and images.grad.isfinite().all()
    assert head.weight.grad is not None and head.weight.grad.isfinite().all() and head.weight.grad.any()


@ALL
@pytest.mark.parametrize("norm", [2.0, 22.0, 90.0])
def test_the_own_logit_falls_with_the_angle_all_the_way_to_the_opposite_side(file, norm):
    head = place(head_of(file, 1), [0]).eval()
    degrees = list(range(0, 181, 2))
    logits = head(norm * circle(degrees), torch.zeros(len(degrees), dtype=torch.long))[:, 0] / head.scale
    assert (logits.diff() < 1e-6).all()
    assert (logits.diff()[30:] < -1e-4).all()  # also past pi, where a cosine would rise
    assert logits[0] > logits[-1] + 1


@ALL
def test_the_margin_makes_the_own_class_harder(file):
    head = place(head_of(file, 5), [0, 60, 120, 200, 300]).eval()
    images, labels = 22 * circle([10, 70, 150, 250]), torch.tensor([0, 0, 2, 4])
    plain = head.scale * torch.nn.functional.normalize(images) @ circle([0, 60, 120, 200, 300]).T
    own = torch.nn.functional.one_hot(labels, 5).bool()
    assert (head(images, labels)[own] < plain[own] - 0.01).all()


@ALL
def test_logits_keep_float32_under_bfloat16_autocast(file):
    """Cosines 0.9998 and 0.9994 are one number in bfloat16."""
    head, labels = place(head_of(file, 5), [0, 60, 120, 200, 300]).eval(), torch.tensor([0, 0])
    images = 22 * circle([1, 2])
    with torch.autocast("cpu", torch.bfloat16):
        logits, loss = head(images, labels), head.loss(images, labels)
    assert logits.dtype == loss.dtype == torch.float32
    assert torch.equal(logits, head(images, labels)) and torch.equal(loss, head.loss(images, labels))


@ALL
def test_a_head_in_bfloat16_computes_in_float32(file):
    head = head_of(file, 5).bfloat16()
    logits = head((22 * circle([1, 2, 3])).bfloat16(), torch.tensor([0, 0, 1]))
    assert logits.dtype == torch.float32 and logits.isfinite().all()


@ALL
def test_a_batch_of_one_image_leaves_finite_numbers(file):
    head = head_of(file, 5)
    assert head.loss(22 * circle([7]), torch.tensor([2])).isfinite()
    assert all(value.isfinite().all() for value in head.state_dict().values())


@ALL
def test_training_turns_a_centre_towards_its_images(file):
    torch.manual_seed(0)
    head, labels = place(head_of(file, 2), [80, 40]), torch.tensor([0, 0])
    for _ in range(60):
        loss = head.loss(22 * circle([0, 10]), labels)
        head.weight.data -= 0.01 * torch.autograd.grad(loss, head.weight)[0]
    nearest = (torch.nn.functional.normalize(head.weight, dim=-1) @ circle([5]).T)[0].max()
    assert nearest > math.cos(math.radians(50))  # it was 75 away
