"""Memory of a training step, in 10^6 bytes."""

from collections.abc import Callable
from functools import partial

from facerec.operators.common.fused_sequence import recompute_blocks
from facerec.perf.comparison import Case, Goal, Rounds
from facerec.perf.network_speed import DEPTHWISE, KINDS, OURS, PUBLISHED, Kind, TrainingStep
from facerec.perf.runtime import allocated_over_time, peak_allocated
from facerec.perf.setting import Setting, fitting, note_on
from facerec.perf.timing import Effort
from facerec.process import freed_memory_given_back


def cases(effort: Effort) -> list[Case]:
    """Return the cases: our TVConv and the depthwise convolution at batch size 512, and all three at batch size 128."""
    if effort.quick:
        return _cases_of(Setting(0.1, 4, 32), tuple(KINDS))
    found = []
    for width in (0.1, 1.0):
        found += _cases_of(Setting(width, 512), (OURS, DEPTHWISE)) + _cases_of(Setting(width, 128), tuple(KINDS))
    return found


def _cases_of(wanted: Setting, contenders: tuple[str, ...]) -> list[Case]:
    setting = fitting(wanted, unfolds=PUBLISHED in contenders)
    found = []
    counted = [("peak of a training step", peak_bytes, 1.3), ("kept for backward", saved_bytes, None)]
    counted += [] if PUBLISHED in contenders else [("peak with recomputed blocks", recomputed_peak_bytes, None)]
    for name, count, target in counted:
        goals = [Goal(OURS, DEPTHWISE, target if setting == wanted else None, at_most=True)]
        goals += [Goal(PUBLISHED, OURS)] if PUBLISHED in contenders else []
        measure = partial(_measure, count, setting, contenders)
        found.append(Case("memory", f"{setting}: {name}", "MB", measure, goals, note_on(wanted, setting)))
    return found


def _measure(count: Callable[[Kind, Setting], int], setting: Setting, contenders: tuple[str, ...]) -> Rounds:
    # One round is enough: the bytes are the same every time.
    with freed_memory_given_back():
        return {contender: [count(KINDS[contender], setting) / 1e6] for contender in contenders}


def peak_bytes(kind: Kind, setting: Setting) -> int:
    """Measure the peak memory of parameters, gradients, momentum, images and results together, in the second step."""
    return _peak_bytes(TrainingStep(kind, setting))


def recomputed_peak_bytes(kind: Kind, setting: Setting) -> int:
    """Measure `peak_bytes` with ``trainer.recompute=true``."""
    step = TrainingStep(kind, setting)
    recompute_blocks(step.network)
    return _peak_bytes(step)


def _peak_bytes(step: TrainingStep) -> int:
    step()
    step.optimizer.zero_grad()
    momentum = [state["momentum_buffer"] for state in step.optimizer.state.values()]
    resting = [*step.parameters, *step.network.buffers(), step.images, *momentum]
    return sum(tensor.nbytes for tensor in resting) + peak_allocated(step)


def saved_bytes(kind: Kind, setting: Setting) -> int:
    """Count the bytes that are there after the forward pass and were not before it, and the images: those that the
    backward pass needs, and, a little, the loss."""
    step = TrainingStep(kind, setting)
    step()
    return allocated_over_time(step.loss)[-1] + step.images.nbytes
