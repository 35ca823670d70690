"""MLP-Mixer against timm's with the same weights, what mixes with what, its cost, and what it refuses."""

import copy

import pytest
import torch
from random_weights import randomise
from says import refuses
from timm.models.mlp_mixer import MlpMixer
from torch import nn

from facerec.backbones.mlp_mixer import MixerBlock, MLPMixer
from facerec.backbones.spatial_transformer import SpatialTransformer
from facerec.cost import measure_cost

# Width, patch size, millions of multiply-adds with the embedding of 512 numbers and of parameters without it: by hand
# S 3 P^2 D + N (S D^2 + 8 S D^2) + 512 D and 3 P^2 D + D + N (S D + D/2 + S + 8 D^2 + 9 D) + 2 D.
COSTS = [
    (0.125, 16, 12.42, 0.335),
    (0.125, 8, 44.27, 0.354),
    (0.25, 16, 46.07, 1.194),
    (0.25, 12, 79.10, 1.180),
    (0.25, 8, 173.47, 1.232),
    (0.375, 16, 100.96, 2.578),
    (0.5, 16, 177.08, 4.485),
    (0.75, 16, 393.02, 9.873),
    (1.0, 32, 184.29, 18.43),
    (1.0, 16, 693.90, 17.36),
]


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def small(**arguments):
    torch.manual_seed(0)
    return MLPMixer(**{"width": 0.03, "image_size": (24, 32), "embedding_dim": 8, "patch_size": 8} | arguments)


def timms(network, image_size, patch_size):
    """timm's mixer with the weights of ``network``."""
    timm = MlpMixer(0, image_size, 3, patch_size, len(network.blocks), network.norm.normalized_shape[0])
    names = {"patches.": "stem.proj.", "token_norm": "norm1", "channel_norm": "norm2", "token_mlp.": "mlp_tokens.fc"}
    names |= {"channel_mlp.": "mlp_channels.fc", "fc0": "fc1", "fc2": "fc2"}
    weights = {}
    for name, weight in network.state_dict().items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        weights[name] = weight
    timm.load_state_dict({name: weight for name, weight in weights.items() if not name.startswith("embed.")})
    return timm


@pytest.mark.parametrize(
    ("width", "image_size", "patch_size", "blocks"),
    [(0.0625, (96, 96), 16, 8), (0.03, (24, 32), 8, 2), (0.1, (12, 6), 3, 1)],
)
def test_it_is_timms_mixer_before_the_embedding(width, image_size, patch_size, blocks):
    network = randomise(MLPMixer(width, image_size, 8, patch_size, blocks)).eval()
    images = noise(2, 3, *image_size)
    expected = network.embed(timms(network, image_size, patch_size)(images))
    assert expected.std() > 0.1
    torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("width", "patch_size", "macs", "params"), COSTS)
def test_multiply_adds_and_parameters_are_those_of_the_formulas(width, patch_size, macs, params):
    network = MLPMixer(width, patch_size=patch_size)
    cost = measure_cost(network, (96, 96))
    assert round(cost.macs_core / 1e6, 2) == macs
    without_embedding = cost.params - parameters(network.embed)
    assert without_embedding / 1e6 == pytest.approx(params, abs=0.0005 if params < 10 else 0.005)
    assert cost.params_deployed == cost.params


@pytest.mark.parametrize(
    ("width", "channels"), [(0.125, 64), (0.25, 128), (0.75, 384), (1, 512), (0.1, 48), (0.13, 64), (0.001, 8)]
)
def test_channels_are_the_nearest_multiple_of_eight(width, channels):
    assert small(width=width).patches.out_channels == channels


class TestABlock:
    def test_mixes_tokens_alike_for_every_channel(self):
        mlp, x = randomise(MixerBlock(6, 16)).token_mlp, noise(2, 16, 6)
        order = torch.randperm(16)
        torch.testing.assert_close(mlp(x[:, order]), mlp(x)[:, order])

    def test_mixes_channels_alike_for_every_token(self):
        mlp, x = randomise(MixerBlock(6, 16)).channel_mlp, noise(2, 6, 16)
        order = torch.randperm(6)
        torch.testing.assert_close(mlp(x[:, order]), mlp(x)[:, order])

    def test_knows_which_token_is_which(self):
        block, x = randomise(MixerBlock(6, 16)), noise(2, 6, 16)
        assert (block(x.flip(1)) - block(x).flip(1)).abs().max() > 0.1

    def test_with_last_layers_of_zeros_changes_nothing(self):
        block, x = randomise(MixerBlock(6, 16)), noise(2, 6, 16)
        for last in (block.token_mlp[2], block.channel_mlp[2]):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        torch.testing.assert_close(block(x), x, rtol=0, atol=0)


def test_it_starts_as_published():
    network = small(width=0.5, patch_size=8)
    # The patches have 3 * 8 * 8 numbers.
    assert network.patches.weight.std().item() == pytest.approx(192**-0.5, rel=0.02)
    assert not network.patches.bias.any()
    for linear in [module for module in network.modules() if isinstance(module, nn.Linear)]:
        bound = (6 / (linear.in_features + linear.out_features)) ** 0.5
        assert 0.95 * bound < linear.weight.abs().max() <= bound
        assert linear.bias.abs().max() < 1e-5
    assert network.blocks[0].token_mlp[0].bias.any() and not network.embed[0].bias.any()


@pytest.mark.parametrize("align", [None, "stn"])
def test_gradient_reaches_every_parameter(align):
    network = small(align=align)
    if align:
        randomise(network.align)
    (network(noise(4, 3, 24, 32)) * noise(4, 8)).sum().backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    # Batch normalisation takes out the linear layer's bias, and so its gradient.
    assert [name for name in silent if name != "embed.0.bias"] == []


def test_channels_last_gives_the_same_embeddings():
    network, images = randomise(small()).eval(), noise(2, 3, 24, 32)
    expected = network(images)
    network.to(memory_format=torch.channels_last)
    torch.testing.assert_close(network(images.to(memory_format=torch.channels_last)), expected, rtol=1e-4, atol=1e-4)


def test_autocast_gives_nearly_the_same_embeddings():
    network, images = randomise(small()).eval(), noise(2, 3, 24, 32)
    expected = network(images)
    with torch.autocast("cpu", torch.bfloat16):
        out = network(images)
    torch.testing.assert_close(out.float(), expected, atol=0.05 * expected.std().item(), rtol=0.05)


def test_compiled_it_is_the_same_network():
    network, images = randomise(small(blocks=2)), noise(4, 3, 24, 32)
    compiled = torch.compile(copy.deepcopy(network), backend="aot_eager", fullgraph=True)
    for run in (network, compiled):
        (run(images) * noise(4, 8)).sum().backward()
    torch.testing.assert_close(compiled(images), network(images))
    for ours, theirs in zip(network.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(theirs.grad, ours.grad)


def test_alignment_stands_in_front():
    plain, aligned = small().eval(), small(align="stn").eval()
    assert isinstance(aligned.align, SpatialTransformer)
    assert set(aligned.state_dict()) - set(plain.state_dict()) == {f"align.{n}" for n in aligned.align.state_dict()}
    randomise(aligned.align)
    plain.load_state_dict(aligned.state_dict(), strict=False)
    images = noise(2, 3, 24, 32)
    torch.testing.assert_close(aligned(images), plain(aligned.align(images)))


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        ({"width": 0}, ("width", "positive", "0")),
        ({"width": float("inf")}, ("width", "positive", "inf")),
        ({"embedding_dim": 0}, ("embedding_dim", "1", "0")),
        ({"blocks": 0}, ("blocks", "1", "0")),
        ({"patch_size": 2.5}, ("patch_size", "1", "2.5")),
        (
            {"image_size": [15, 96], "patch_size": 16},
            ("image_size", "16", "(15, 96)"),
        ),
        (
            {"image_size": [24, 36], "patch_size": 8},
            ("patch_size=8", "24x36", "1, 2, 3, 4, 6, 12"),
        ),
        ({"align": "affine"}, ("align", "stn", "null", "affine")),
    ],
    ids=str,
)
def test_arguments_out_of_range_are_refused_in_a_sentence(arguments, facts):
    with refuses(*facts):
        small(**arguments)


def test_an_image_of_another_size_is_refused():
    with refuses("24x32", "32x32"):
        small()(noise(2, 3, 32, 32))
