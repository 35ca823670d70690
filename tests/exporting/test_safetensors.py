"""Weights and metadata without code: read back as they were, or refused."""

import json

import numpy as np
import pytest
import torch
from says import refuses
from torch import nn

from facerec.data.loading import normalise
from facerec.errors import InputError
from facerec.exporting import formats
from facerec.exporting.deployed_network import EmbedsPixels

PIXELS = torch.randint(0, 256, (2, 4, 4, 3), dtype=torch.uint8)


class Small(nn.Module):
    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.linear = nn.Linear(48, width)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.norm(self.linear(images.flatten(1)))


def build(config, weights) -> nn.Module:
    network = Small(config["width"])
    network.load_state_dict(weights)
    return network


@pytest.fixture
def written(tmp_path):
    network = Small().eval()
    network.norm.running_mean += 0.3
    path = tmp_path / "net.safetensors"
    formats.write("safetensors", EmbedsPixels(network), PIXELS, {"config": json.dumps({"width": 16}), "a": "é"}, path)
    return network, path


def test_the_network_comes_back_with_its_metadata(written):
    network, path = written
    model = formats.read(path, build=build)
    np.testing.assert_array_equal(model.embed(PIXELS.numpy()), network(normalise(PIXELS)).detach().numpy())
    assert model.metadata == {"config": '{"width": 16}', "a": "é"}


@pytest.mark.parametrize("part", ["metadata", "weights"])
def test_a_change_is_refused(part, written):
    _, path = written
    content = bytearray(path.read_bytes())
    place = content.index(b'"width') + 2 if part == "metadata" else len(content) - 5
    content[place] ^= 1
    path.write_bytes(bytes(content))
    with refuses("net.safetensors", "damaged", "export it again", error=InputError):
        formats.read(path, build=build)


def test_a_file_without_its_network_is_refused(written):
    with refuses("net.safetensors", "no network", "another format", error=InputError):
        formats.read(written[1])


def test_what_is_no_safetensors_file_is_refused(tmp_path):
    (tmp_path / "net.safetensors").write_bytes(b"no weights")
    with refuses("net.safetensors", "safetensors", "export it again", error=InputError):
        formats.read(tmp_path / "net.safetensors", build=build)
