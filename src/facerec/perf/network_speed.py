"""Training and inference speed of a network with our TVConv, the depthwise convolution, and the published TVConv."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from facerec.backbones.mobilenet_v2 import MobileNetV2
from facerec.deploy import in_format, reparameterize
from facerec.heads import AMSoftmax
from facerec.operators.base import Operator
from facerec.operators.depthwise import Depthwise
from facerec.operators.tvconv import TVConv
from facerec.perf.comparison import Case, Goal, Rounds
from facerec.perf.published import PublishedTVConv
from facerec.perf.setting import Setting, fitting, note_on
from facerec.perf.timing import Effort, alternate, per_second

OURS, DEPTHWISE, PUBLISHED = "TVConv", "depthwise", "published TVConv"
# Few enough that the head's time is small beside the smallest network's.
_IDENTITIES = 1000


@dataclass(frozen=True)
class Kind:
    """An operator and the memory format that suits it."""

    operator: Operator
    memory_format: torch.memory_format = torch.channels_last


Builder = Callable[[Kind, Setting], Callable[[], object]]

KINDS = {
    OURS: Kind(TVConv),
    DEPTHWISE: Kind(Depthwise),
    PUBLISHED: Kind(PublishedTVConv, torch.contiguous_format),
}


def cases(effort: Effort) -> list[Case]:
    """Return the cases of MobileNetV2 x0.1 and x1.0: a training step, and inference."""
    if effort.quick:
        return [*_training_cases(Setting(0.1, 4, 32), effort), _inference_case(Setting(0.1, 2, 32), effort)]
    found = [_large_training_case(Setting(0.1, 512), effort)]
    for width in (0.1, 1.0):
        found += [*_training_cases(Setting(width, 128), effort), _inference_case(Setting(width, 32), effort)]
    return found


def _large_training_case(wanted: Setting, effort: Effort) -> Case:
    """Return the case of a batch at which what is done once a step should hardly count."""
    goal = Goal(OURS, DEPTHWISE, 0.95)
    return _training_case(fitting(wanted, unfolds=False), wanted, (OURS, DEPTHWISE), [goal], effort)


def _training_cases(wanted: Setting, effort: Effort) -> list[Case]:
    """Return the training cases of all three.

    If the published algorithm does not fit into memory, all three are run with a smaller batch, and the other two once
    more with theirs.
    """
    all_fit, two_fit = fitting(wanted, unfolds=True), fitting(wanted, unfolds=False)
    goals = [Goal(OURS, DEPTHWISE, 0.88), Goal(OURS, PUBLISHED, 6)]
    if all_fit == two_fit:
        return [_training_case(all_fit, wanted, tuple(KINDS), goals, effort)]
    return [
        _training_case(two_fit, wanted, (OURS, DEPTHWISE), goals[:1], effort),
        _training_case(all_fit, wanted, tuple(KINDS), [Goal(OURS, DEPTHWISE), *goals[1:]], effort),
    ]


def _training_case(
    setting: Setting, wanted: Setting, contenders: tuple[str, ...], goals: list[Goal], effort: Effort
) -> Case:
    measure = partial(_measure, setting, TrainingStep, contenders, effort)
    return Case("network", f"{setting}: training step", "images/s", measure, goals, note_on(wanted, setting))


def _inference_case(setting: Setting, effort: Effort) -> Case:
    measure = partial(_measure, setting, inference_pass, tuple(KINDS), effort)
    goals = (Goal(OURS, DEPTHWISE, 0.9), Goal(OURS, PUBLISHED))
    return Case("network", f"{setting}: inference", "images/s", measure, goals)


def _measure(setting: Setting, build: Builder, contenders: tuple[str, ...], effort: Effort) -> Rounds:
    calls = {name: build(KINDS[name], setting) for name in contenders}
    return per_second(alternate(calls, effort), setting.batch)


class TrainingStep:
    """A training step as a callable: forward, AM-Softmax and its loss, backward, SGD.

    SGD is configured as in training, except for a learning rate that is safe on noise.
    """

    def __init__(self, kind: Kind, setting: Setting) -> None:
        self.network = build_network(kind, setting).train()
        self.images = random_images(kind, setting.batch, setting.side)
        self.head = AMSoftmax(_IDENTITIES, self.network.embedding_dim)
        self.labels = torch.randint(_IDENTITIES, (setting.batch,))
        self.parameters = [*self.network.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.SGD(self.parameters, lr=1e-3, momentum=0.9, weight_decay=5e-4)

    def __call__(self) -> None:
        self.optimizer.zero_grad()
        self.loss().backward()
        self.optimizer.step()

    def loss(self) -> Tensor:
        """Compute the loss of the batch."""
        return self.head.loss(self.network(self.images), self.labels)


def inference_pass(kind: Kind, setting: Setting) -> Callable[[], object]:
    """Return a function that runs one inference pass of a new network."""
    return pass_of(deployed(kind, setting), random_images(kind, setting.batch, setting.side))


def pass_of(network: nn.Module, images: Tensor) -> Callable[[], object]:
    """Return a function that runs one inference pass of ``network`` on ``images``."""
    return partial(torch.inference_mode()(network), images)


def build_network(kind: Kind, setting: Setting) -> MobileNetV2:
    """Build the network as it is trained, in the memory format of its kind."""
    network = MobileNetV2(setting.width, kind.operator, (setting.side, setting.side))
    return in_format(network, kind.memory_format)


def deployed(kind: Kind, setting: Setting) -> nn.Module:
    """Build the network and reparameterise it for inference, in the memory format of its kind."""
    return in_format(reparameterize(build_network(kind, setting)), kind.memory_format)


def random_images(kind: Kind, batch: int, side: int) -> Tensor:
    """Draw noise ``(B, 3, S, S)`` in the memory format of ``kind``."""
    return torch.randn(batch, 3, side, side).to(memory_format=kind.memory_format)
