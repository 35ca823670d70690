"""Each operator learns: where nothing else sees more than one position, it tells six drawn people apart on images that
it was not trained on. Small grey images of the same brightness and contrast, and layers of 1x1 convolutions between
averages over the map, leave no other way."""

from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from operator_files import FILES, operator
from torch import Tensor, nn

from facerec.backbones.pooling import embedding_layers
from facerec.data.synthetic.synthetic_faces import SyntheticFaces
from facerec.heads import AMSoftmax
from facerec.operators.base import OperatorFactory, SpatialOperator

PEOPLE, TRAINED, HELD_OUT, STEPS = 6, 30, 20, 80
BAR = 0.3  # chance is a sixth
VARIANTS = [(file, {}) for file in FILES] + [
    (file, changed)
    for file in FILES
    for changed in {"condconv": [{"where": "all"}], "ddf": [{"combine": "add"}]}.get(file.stem, [])
]


@cache
def faces() -> tuple[Tensor, Tensor, Tensor]:
    """Grey images (B, 1, 8, 8) of mean 0 and deviation 1, labels, and which of them are trained on."""
    source = SyntheticFaces(PEOPLE, TRAINED + HELD_OUT, image_size=32)
    drawn = torch.from_numpy(np.stack([source.load(index) for index in range(len(source))]))
    grey = F.avg_pool2d(drawn.float().mean(-1)[:, None], 4)
    deviation, mean = torch.std_mean(grey, (1, 2, 3), keepdim=True)
    trained = torch.arange(len(source)) % (TRAINED + HELD_OUT) < TRAINED
    return (grey - mean) / deviation, torch.from_numpy(source.labels), trained


class Sees1x1(nn.Module):
    """In the place of an operator: the pixel alone."""

    def __init__(self, channels, stride=1, out_size=None):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return x[:, :, :: self.stride, :: self.stride]


def layers(make, in_channels: int, channels: int, stride: int, side: int) -> list[nn.Module]:
    """As in MobileNetV2, without the shortcut."""
    operator = OperatorFactory.of(make)
    conv = operator.pointwise(lambda a, b: nn.Conv2d(a, b, 1, bias=False))
    expand = [conv(in_channels, channels), nn.BatchNorm2d(channels), nn.ReLU6()]
    spatial = [operator(channels, stride, (side, side)), nn.BatchNorm2d(channels), nn.ReLU6()]
    project = [conv(channels, channels), nn.BatchNorm2d(channels)]
    return [operator.block(in_channels, [*expand, *spatial, *project])]


def held_out_accuracy(make) -> float:
    """The share of the images that were not trained on whose nearest class centre is the right one."""
    torch.manual_seed(0)
    images, labels, trained = faces()
    network = nn.Sequential(*layers(make, 1, 16, 1, 8), *layers(make, 16, 32, 2, 4), *embedding_layers(32, (4, 4), 32))
    head = AMSoftmax(PEOPLE, embedding_dim=32, margin=0.1, scale=16)
    optimizer = torch.optim.SGD([*network.parameters(), *head.parameters()], 0.1, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [STEPS * 3 // 4])
    indices = trained.nonzero()[:, 0]
    for step in range(STEPS):
        for module in network.modules():
            if isinstance(module, SpatialOperator):
                module.on_step(step / (STEPS - 1))
        batch = indices[torch.randperm(len(indices))[:48]]
        loss = F.cross_entropy(head(network(images[batch]), labels[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        cosines = F.normalize(network.eval()(images[~trained])) @ F.normalize(head.weight).T
    return (cosines.argmax(1) == labels[~trained]).float().mean().item()


@pytest.mark.parametrize(("file", "changed"), VARIANTS, ids=lambda part: getattr(part, "stem", str(part)))
def test_people_are_told_apart_well_over_chance(file, changed):
    assert held_out_accuracy(operator(file, **changed)) > BAR


def test_what_sees_one_position_does_not_get_there():
    assert held_out_accuracy(Sees1x1) < BAR - 0.03
