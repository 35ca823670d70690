"""Time of TVConv's generators of weights, which run once a training step: beside PyTorch's layers, and in a step."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from facerec.kernels.generator import in_groups
from facerec.operators.tvconv import TVConv
from facerec.perf.comparison import Case, Goal, Rounds
from facerec.perf.network_speed import KINDS, TrainingStep, build_network
from facerec.perf.network_speed import OURS as TVCONV
from facerec.perf.setting import Setting, fitting, note_on
from facerec.perf.timing import Effort, alternate, milliseconds

OURS, PYTORCH, STEP = "the generators", "in PyTorch's layers", "training step"
_MOST_OF_A_STEP = 0.1


def cases(effort: Effort) -> list[Case]:
    """Return the cases of MobileNetV2 x0.1: all its generators, forward and backward, and their share of a step."""
    largest, *others = (Setting(0.1, 4, 32),) if effort.quick else (Setting(0.1, 128), Setting(0.1, 32))
    name = f"MobileNetV2 x{largest.width}, {largest.side} x {largest.side}: forward + backward"
    found = [Case("generator", name, "ms", partial(_compare, largest, effort), [Goal(PYTORCH, OURS)])]
    for wanted in (largest, *others):
        setting = fitting(wanted, unfolds=False)
        goal = Goal(OURS, STEP, _MOST_OF_A_STEP if wanted is largest else None, at_most=True)
        measure = partial(_share, setting, effort)
        found.append(Case("generator", f"{setting}: of a step", "ms", measure, [goal], note_on(wanted, setting)))
    return found


def contenders(setting: Setting) -> dict[str, Callable[[], list[Tensor]]]:
    """Return functions that generate all weights of a network and compute the gradients, with the same parameters."""
    layers = tvconvs(build_network(KINDS[TVCONV], setting))
    return {OURS: partial(generated, layers, TVConv.weight), PYTORCH: partial(generated, layers, in_layers)}


def tvconvs(network: nn.Module) -> list[TVConv]:
    """Return the TVConvs of ``network``."""
    return [module for module in network.modules() if isinstance(module, TVConv)]


def in_layers(module: TVConv) -> Tensor:
    """`TVConv.weight` layer by layer."""
    return in_groups(module.weight_generator(module.affinity_maps), module.kernel_size**2)


def generated(layers: list[TVConv], weight: Callable[[TVConv], Tensor]) -> list[Tensor]:
    """Return all weights, and the gradients of their squares' sum."""
    found = []
    for module in layers:
        out = weight(module)
        found += [out.detach(), *torch.autograd.grad(out, list(module.parameters()), out.detach())]
    return found


def _compare(setting: Setting, effort: Effort) -> Rounds:
    return milliseconds(alternate(contenders(setting), effort))


def _share(setting: Setting, effort: Effort) -> Rounds:
    step = TrainingStep(KINDS[TVCONV], setting)
    alone = partial(generated, tvconvs(step.network), TVConv.weight)
    return milliseconds(alternate({OURS: alone, STEP: step}, effort))
