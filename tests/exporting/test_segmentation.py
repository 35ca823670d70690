"""DeepLabV3+ in a file predicts the masks of its checkpoint."""

import shutil
from functools import partial

import numpy as np
import onnx
import pytest
import torch
from operator_files import FOLDER, operator
from random_weights import randomise
from says import refuses
from torch import nn

from facerec.backbones.deeplab import DeepLabV3Plus
from facerec.data.decode import resize
from facerec.data.fundus.drawn_eyes.drawn_source import DrawnEyes
from facerec.errors import InputError
from facerec.exporting import formats
from facerec.exporting.deployed_network import EmbedsPixels, export_form
from facerec.exporting.mask_parity import MaskParity, compare_masks
from facerec.operators.tvconv import TVConv
from facerec.segmentation.mask_protocols import PROTOCOLS

SIZE = (48, 64)
CHECKPOINT = {"config": {"protocol": "tvconv_reference", "data": {"unseen": "drawn_c"}}, "epoch": 3}
OPERATORS = {
    "none": None,
    "tvconv": partial(TVConv, generator_channels=4, generator_layers=0),
    "ddf": operator(FOLDER / "ddf.yaml"),
}


def drawn(number: int) -> np.ndarray:
    """Photographs of drawn eyes, uint8 ``(N, H, W, 3)``."""
    eyes, pixels = DrawnEyes(number, 1, side=64), np.empty((number, *SIZE, 3), np.uint8)
    for index, row in enumerate(pixels):
        resize(eyes.load(index), row)
    return pixels


@torch.no_grad()
def network(name: str) -> DeepLabV3Plus:
    """A network whose masks cover some of the image."""
    torch.manual_seed(0)
    made = DeepLabV3Plus("test_efficientnet", OPERATORS[name], SIZE, decoder_channels=16)
    randomise(made).eval()
    *_, last = made.decoder.children()
    assert isinstance(last, nn.Conv2d) and last.bias is not None
    logits = EmbedsPixels(made)(torch.from_numpy(drawn(4)))
    last.weight /= logits.std()
    last.bias -= logits.median() / logits.std()
    return made


def described() -> dict[str, str]:
    return formats.describe_segmentation(CHECKPOINT, "best.ckpt", SIZE)


def written(made: nn.Module, format: str, folder) -> formats.Model:
    path = folder / f"net{formats.SUFFIXES[format]}"
    formats.write(format, export_form(made), torch.from_numpy(drawn(2)), described(), path)
    return formats.read(path)


@pytest.mark.parametrize("name", OPERATORS)
def test_an_onnx_file_predicts_the_same_masks(name, tmp_path):
    made = network(name)
    model = written(made, "onnx", tmp_path)
    batches = [drawn(5)[:4], drawn(5)[4:]]
    parity = compare_masks(made, model.embed, batches, 0.5)
    assert parity.num_images == 5 and 0 < parity.logit_difference < 1e-3
    assert min(parity.equal_pixels, parity.least_equal_pixels, parity.dice) > 0.999
    covered = (model.embed(batches[0]) > 0).mean()
    assert model.embed(batches[0]).shape == (4, 2, *SIZE) and 0.1 < covered < 0.9
    (output,) = onnx.load(tmp_path / "net.onnx").graph.output
    assert output.name == "logits"


@pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++"))), reason="needs a C++ compiler")
def test_a_pt2_file_predicts_the_same_masks(tmp_path):
    made = network("tvconv")
    model = written(made, "pt2", tmp_path)
    compare_masks(made, model.embed, [drawn(3)], 0.75).refuse_difference("")
    assert model.metadata["task"] == "segmentation"


def test_the_file_says_what_it_takes_and_what_its_masks_are():
    said = described()
    assert said["task"] == "segmentation" and said["input"] == "uint8 (batch, 48, 64, 3)"
    assert said["output"].startswith("float32 (batch, 2, 48, 64), logits of cup and disc")
    assert said["normalisation"] == "inside: (x - 127.5) / 127.5" and said["colour_order"] == "RGB"
    assert float(said["threshold"]) == PROTOCOLS[said["protocol"]].threshold == 0.75
    assert (said["epoch"], said["checkpoint"]) == ("3", "best.ckpt")


class Logits(nn.Module):
    """The colours of a pixel as logits of cup and disc."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, :2]


def test_the_comparison_is_that_of_the_masks_by_hand():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3, 4, 5, 3)).astype(np.uint8)
    ours = (pixels[..., :2].transpose(0, 3, 1, 2) - 127.5) / 127.5
    theirs = ours + rng.normal(0, 0.3, ours.shape)
    threshold = 0.6
    parity = compare_masks(Logits(), lambda _: theirs, [pixels], threshold)
    a, b = 1 / (1 + np.exp(-ours)) > threshold, 1 / (1 + np.exp(-theirs)) > threshold
    equal = [np.mean([[(a[n, :, y, x] == b[n, :, y, x]).all() for x in range(5)] for y in range(4)]) for n in range(3)]
    overlap = [2 * (a[:, c] & b[:, c]).sum() / (a[:, c].sum() + b[:, c].sum()) for c in range(2)]
    assert parity.summary() == pytest.approx(
        {
            **{"equal_pixels": np.mean(equal), "least_equal_pixels": min(equal), "dice": min(overlap)},
            **{"logit_difference": np.abs(ours - theirs).max(), "num_images": 3},
        },
        abs=1e-6,
    )
    with refuses("masks differ", f"{parity.equal_pixels:.6f}", "0.999", "train longer", error=InputError):
        parity.refuse_difference("train longer")


def test_a_small_structure_that_is_lost_is_refused_by_its_dice():
    with refuses("Dice", "0.500000", error=InputError):
        MaskParity(0.9999, 0.9999, 0.5, 1.0, 3).refuse_difference("take another format")


def test_without_images_nothing_is_compared():
    with refuses("no images"):
        compare_masks(Logits(), lambda pixels: pixels, [], 0.5)
