"""Each operator learns: two blocks of it tell six drawn people apart on images that they were not trained on."""

from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from operator_files import FILES, operator
from torch import Tensor, nn

from facerec.backbones.mobilenet_v2 import InvertedResidual
from facerec.backbones.parts import embedding_layers
from facerec.data.images import normalise
from facerec.data.synthetic import SyntheticFaces
from facerec.heads import AMSoftmax

PEOPLE, TRAINED, HELD_OUT, STEPS = 6, 30, 10, 80
VARIANTS = [(file, {}) for file in FILES] + [
    (file, changed)
    for file in FILES
    for changed in {"condconv": [{"where": "all"}], "ddf": [{"combine": "add"}]}.get(file.stem, [])
]


@cache
def faces() -> tuple[Tensor, Tensor, Tensor]:
    """Images, labels, and which of them are trained on."""
    source = SyntheticFaces(PEOPLE, TRAINED + HELD_OUT, image_size=32)
    images = normalise(torch.from_numpy(np.stack([source.load(index) for index in range(len(source))])))
    return images, torch.from_numpy(source.labels), torch.arange(len(source)) % (TRAINED + HELD_OUT) < TRAINED


def small_network(make) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 16, 4, stride=4, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU6(),
        InvertedResidual(16, 16, 2, 1, (8, 8), make),
        InvertedResidual(16, 32, 2, 2, (4, 4), make),
        *embedding_layers(32, (4, 4), 32),
    ).to(memory_format=torch.channels_last)


@pytest.mark.parametrize(("file", "changed"), VARIANTS, ids=lambda part: getattr(part, "stem", str(part)))
def test_people_are_told_apart_at_more_than_twice_the_rate_of_chance(file, changed):
    torch.manual_seed(0)
    (images, labels, trained), network = faces(), small_network(operator(file, **changed))
    head = AMSoftmax(PEOPLE, embedding_dim=32, margin=0.1, scale=16)
    optimizer = torch.optim.SGD([*network.parameters(), *head.parameters()], 0.1, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [STEPS * 3 // 4])
    indices = trained.nonzero()[:, 0]
    for step in range(STEPS):
        for module in network.modules():
            if hasattr(module, "anneal"):
                module.anneal(step / STEPS)
        batch = indices[torch.randperm(len(indices))[:48]]
        loss = F.cross_entropy(head(network(images[batch]), labels[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        cosines = F.normalize(network.eval()(images[~trained])) @ F.normalize(head.weight).T
    assert (cosines.argmax(1) == labels[~trained]).float().mean() > 2 / PEOPLE
