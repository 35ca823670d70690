"""Maps that autograd does not save, since they can be computed again."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from facerec.kernels.made_again import can_be_made_again, making_maps_again


class Counted:
    """``2 * x`` as a map that can be made again; counts how often."""

    def __init__(self):
        self.calls = 0

    def __call__(self, x):
        out = x * 2
        can_be_made_again(out, self.again, x)
        return out

    def again(self, x):
        assert not x.requires_grad
        self.calls += 1
        return x * 2


def leaves():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(*size, generator=generator).requires_grad_() for size in ((2, 3, 5, 5), (4, 3, 3, 3))]


def test_gradients_are_the_same_and_the_map_is_not_kept():
    x, weight = leaves()
    expected = torch.autograd.grad(F.conv2d(x * 2, weight).square().sum(), (x, weight))
    double = Counted()
    with making_maps_again():
        loss = F.conv2d(double(x), weight).square().sum()
    assert double.calls == 0
    found = torch.autograd.grad(loss, (x, weight))
    assert double.calls == 1
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_outside_nothing_changes():
    x, weight = leaves()
    double = Counted()
    F.conv2d(double(x), weight).sum().backward()
    assert double.calls == 0


def test_a_map_that_was_changed_is_kept():
    x, weight = leaves()
    double = Counted()
    with making_maps_again():
        out = F.conv2d(double(x).add_(1), weight).square().sum()
    expected = torch.autograd.grad(F.conv2d(x * 2 + 1, weight).square().sum(), (x, weight))
    torch.testing.assert_close(torch.autograd.grad(out, (x, weight)), expected)
    assert double.calls == 0


def test_a_part_of_a_map_is_kept_as_it_is():
    x, weight = leaves()
    double = Counted()
    with making_maps_again():
        out = F.conv2d(double(x)[:1], weight).square().sum()
    expected = torch.autograd.grad(F.conv2d(2 * x[:1], weight).square().sum(), (x, weight))
    torch.testing.assert_close(torch.autograd.grad(out, (x, weight)), expected)
    assert double.calls == 0


def test_a_saved_tensor_that_was_changed_since_is_refused():
    x, _ = leaves()
    with making_maps_again():
        kept = x * 1
        out = kept.square().sum()
    kept.add_(1)
    with pytest.raises(RuntimeError, match="inplace"):
        out.backward()


def test_inside_a_checkpoint_the_checkpoint_decides():
    x, weight = leaves()
    double = Counted()
    with making_maps_again():
        out = checkpoint(lambda x: F.conv2d(double(x), weight), x, use_reentrant=False).square().sum()
    expected = torch.autograd.grad(F.conv2d(x * 2, weight).square().sum(), (x, weight))
    torch.testing.assert_close(torch.autograd.grad(out, (x, weight)), expected)
    assert double.calls == 0
