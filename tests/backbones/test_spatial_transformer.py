"""The spatial transformer: it starts as nothing, samples as a naive loop does, and learns to turn images upright."""

import copy
import math

import pytest
import torch
from random_weights import randomise
from says import refuses
from torch import nn
from torch.nn import functional as F

from facerec.backbones.spatial_transformer import AffineSampler, SpatialTransformer, alignment
from facerec.cost import measure_cost
from facerec.training.maps import resample_maps

SIZE = (32, 24)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def transformer(size=SIZE):
    torch.manual_seed(0)
    return SpatialTransformer(size)


def trained(size=SIZE):
    """A transformer that moves every image, each in its own way."""
    module = randomise(transformer(size))
    with torch.no_grad():
        module.to_affine.weight.copy_(4 * noise(*module.to_affine.weight.shape))
    return module.eval()


def similarity(angle=0.0, shift=(0.0, 0.0)):
    """The transform ``(2, 3)`` that turns by ``angle`` degrees and moves by ``shift`` half images."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return torch.tensor([[cos, -sin, shift[0]], [sin, cos, shift[1]]])


def seen_through(images, *thetas):
    return AffineSampler()(images, torch.stack(thetas).expand(len(images), 2, 3))


@pytest.mark.parametrize("size", [(96, 96), (32, 24), (17, 33), (2, 2)])
def test_it_starts_as_exactly_nothing(size):
    module = transformer(size).eval()
    images = noise(2, 3, *size)
    assert torch.equal(module.transform(images), torch.eye(2, 3).expand(2, 2, 3))
    torch.testing.assert_close(module(images), images, rtol=0, atol=1e-4)


class TestSampling:
    def test_a_shift_by_whole_pixels_moves_the_image_and_repeats_its_border(self):
        image = torch.arange(12.0).view(1, 1, 3, 4)
        # Four pixels are two half images wide: half a half image is one pixel.
        right = seen_through(image, similarity(shift=(0.5, 0)))
        assert right[0, 0].round().tolist() == [[1, 2, 3, 3], [5, 6, 7, 7], [9, 10, 11, 11]]
        down = seen_through(image, similarity(shift=(0, 2 / 3)))
        assert down[0, 0].round().tolist() == [[4, 5, 6, 7], [8, 9, 10, 11], [8, 9, 10, 11]]

    def test_a_quarter_turn_is_that_of_rot90(self):
        image = noise(1, 3, 8, 8)
        torch.testing.assert_close(seen_through(image, similarity(90)), image.rot90(1, (2, 3)), rtol=0, atol=1e-4)

    def test_values_between_pixels_are_bilinear(self):
        image, theta = noise(1, 2, 5, 7), torch.tensor([[0.7, 0.3, 0.1], [-0.2, 0.8, -0.3]])
        torch.testing.assert_close(seen_through(image, theta), naive(image, theta), rtol=1e-4, atol=1e-4)

    def test_each_image_has_its_own_transform(self):
        images, thetas = noise(2, 3, 8, 6), (similarity(30), similarity(-10, (0.2, 0)))
        expected = [seen_through(image[None], theta) for image, theta in zip(images, thetas, strict=True)]
        torch.testing.assert_close(seen_through(images, *thetas), torch.cat(expected))


def naive(image, theta):
    """Position by position, in pixels."""
    height, width = image.shape[2:]
    out = torch.zeros_like(image)
    for row in range(height):
        for column in range(width):
            at = theta @ torch.tensor([(2 * column + 1) / width - 1, (2 * row + 1) / height - 1, 1])
            x = min(max((at[0].item() + 1) * width / 2 - 0.5, 0), width - 1)
            y = min(max((at[1].item() + 1) * height / 2 - 0.5, 0), height - 1)
            for j in range(height):
                for i in range(width):
                    share = max(0, 1 - abs(y - j)) * max(0, 1 - abs(x - i))
                    out[:, :, row, column] += share * image[:, :, j, i]
    return out


def test_gradient_reaches_every_parameter_and_the_image_once_it_moves():
    module, images = trained().train(), noise(4, 3, *SIZE).requires_grad_()
    (module(images) * noise(4, 3, *SIZE, seed=1)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in module.parameters())
    assert images.grad is not None and images.grad.abs().max() > 0


def test_at_the_start_every_parameter_has_a_gradient_and_the_last_layer_one_that_moves_it():
    module = transformer()
    (module(noise(4, 3, *SIZE)) * noise(4, 3, *SIZE, seed=1)).sum().backward()
    assert all(p.grad is not None for p in module.parameters())
    moved = {name for name, p in module.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved == {"to_affine.weight", "to_affine.bias"}


def test_gradients_are_the_true_ones():
    module = trained((6, 4)).double()
    # Not on a pixel: there a bilinear value has two slopes.
    assert torch.autograd.gradcheck(module, noise(1, 3, 6, 4).double().requires_grad_(), atol=1e-4)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_type_and_memory_format_are_those_of_the_images(memory_format):
    module, images = trained(), noise(2, 3, *SIZE)
    expected = module(images)
    assert (expected - images).abs().max() > 0.5
    out = module(images.to(memory_format=memory_format))
    assert out.is_contiguous(memory_format=memory_format)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-4, check_stride=False)
    for dtype in (torch.float32, torch.bfloat16):
        with torch.autocast("cpu", torch.bfloat16):
            assert module(images.to(dtype=dtype, memory_format=memory_format)).dtype == dtype


def test_under_autocast_positions_stay_exact():
    module, images = transformer((96, 96)).eval(), noise(2, 3, 96, 96)
    nn.init.constant_(module.to_affine.bias, 10.0)
    expected, moved = module.transform(images), module(images)
    with torch.autocast("cpu", torch.bfloat16):
        theta, out = module.transform(images), module(images)
    assert theta.dtype == torch.float32
    torch.testing.assert_close(theta, expected)
    torch.testing.assert_close(out, moved)


@pytest.mark.parametrize("enabled", [False, True], ids=["float32", "autocast"])
def test_compiled_it_does_the_same(enabled):
    module, images = trained(), noise(2, 3, *SIZE)
    compiled = torch.compile(copy.deepcopy(module), backend="aot_eager", fullgraph=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
        expected, out = module(images), compiled(images)
    torch.testing.assert_close(out, expected)
    expected.square().sum().backward()
    out.square().sum().backward()
    for ours, theirs in zip(module.parameters(), compiled.parameters(), strict=True):
        assert (theirs.grad - ours.grad).norm() < 0.05 * ours.grad.norm()


def test_the_transform_is_bounded():
    module, images = transformer().eval(), noise(2, 3, *SIZE)
    for sign in (1, -1):
        nn.init.constant_(module.to_affine.bias, sign * 1e6)
        assert (module.transform(images) - torch.eye(2, 3) == 0.5 * sign).all()


def test_it_turns_tilted_images_upright():
    """By 15 degrees all, and the loss knows only the upright image."""
    module, generator = transformer((32, 32)), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(module.parameters(), lr=1.0)
    for _ in range(60):
        coarse = torch.randn(16, 3, 6, 6, generator=generator)
        upright = F.interpolate(coarse, size=(32, 32), mode="bicubic", align_corners=False)
        tilted = seen_through(upright, similarity(15))
        optimizer.zero_grad()
        F.mse_loss(module(tilted), upright).backward()
        optimizer.step()
    upside = module.transform(tilted).mean(dim=0).detach()
    torch.testing.assert_close(upside, similarity(-15), rtol=0, atol=0.05)


def test_it_finds_out_how_far_each_image_is_shifted():
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    eyes_and_mouth = ((-0.3, -0.3), (0.3, -0.3), (0, 0.4))
    face = torch.stack([torch.exp(-12 * ((columns - x) ** 2 + (rows - y) ** 2)) for x, y in eyes_and_mouth])
    module, generator = transformer((64, 64)), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
    upright = face.expand(16, 3, 64, 64)
    for _ in range(60):
        shifts = 0.5 * torch.rand(16, 2, generator=generator) - 0.25
        shifted = seen_through(upright, *(similarity(shift=shift) for shift in shifts.tolist()))
        optimizer.zero_grad()
        F.mse_loss(module(shifted), upright).backward()
        optimizer.step()
    undone = module.transform(shifted)[:, :, 2].detach()
    assert (undone + shifts).abs().mean() < 0.3 * shifts.abs().mean()


def test_it_costs_less_than_a_million_multiply_adds():
    cost = measure_cost(transformer((96, 96)), (96, 96))
    # Output positions times numbers each sums up: four convolutions, the linear layer, grid and bilinear sampling.
    convolutions = 24**2 * 8 * 27 + 12**2 * 16 * 72 + 6**2 * 32 * 144 + 3**2 * 32 * 288
    assert cost.macs_core == convolutions + 6 * 9 * 32 + 96 * 96 * (6 + 3 * 4) == 706_752


def test_trained_at_one_image_size_it_does_nearly_the_same_at_another():
    small, large = trained((48, 48)), transformer((96, 96)).eval()
    large.load_state_dict(resample_maps(small.state_dict(), large))
    images = F.interpolate(noise(4, 3, 6, 6), size=(96, 96), mode="bicubic", align_corners=False)
    expected = small.transform(F.avg_pool2d(images, 2))
    moved = (expected - torch.eye(2, 3)).abs().mean()
    assert moved > 0.05 and (large.transform(images) - expected).abs().mean() < 0.5 * moved


class TestAlignment:
    def test_none_is_nothing_and_holds_nothing(self):
        module, images = alignment(None, SIZE), noise(2, 3, *SIZE)
        assert module(images) is images and not module.state_dict()

    def test_stn_is_a_spatial_transformer_for_images_of_that_size(self):
        module = alignment("stn", list(SIZE))
        assert isinstance(module, SpatialTransformer) and module.image_size == SIZE

    @pytest.mark.parametrize("align", ["affine", "", True])
    def test_anything_else_is_refused(self, align):
        with refuses("align", "stn", "null", repr(align)):
            alignment(align, SIZE)


def test_an_image_of_another_size_is_refused():
    with refuses("32x24", "24x32"):
        transformer()(noise(2, 3, 24, 32))


def test_an_image_too_small_to_halve_is_refused():
    with refuses("image_size", "2", "(1, 9)"):
        SpatialTransformer((1, 9))


def test_starting_anew_leaves_nothing_of_what_was():
    fresh, again = transformer(), trained()
    for module in (fresh, again):
        torch.manual_seed(1)
        module.reset_parameters()
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor, fresh.state_dict()[name]), name
    assert torch.equal(again.transform(noise(2, 3, *SIZE)), torch.eye(2, 3).expand(2, 2, 3))
