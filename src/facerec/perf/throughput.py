"""Throughput and memory by the method of the TVConv paper (arXiv 2203.10489, section 4.1): the best of five batch sizes
and three numbers of threads, and peak memory for an input of [8, 3, 96, 96]."""

from functools import partial
from itertools import product
from statistics import median

from facerec.perf.comparison import Case, Goal, Rounds
from facerec.perf.network_speed import DEPTHWISE, KINDS, OURS, Kind, build_network, deployed, pass_of, random_images
from facerec.perf.runtime import measure_runtime
from facerec.perf.setting import Setting
from facerec.perf.timing import Effort, alternate, per_second, threads

_BATCHES, _THREADS, _WIDTHS = (1, 2, 4, 8, 16), (1, 2, 4), (0.1, 0.5, 1.0)
_SIDE = 96
Networks = dict[str, tuple[Kind, float]]


def cases(effort: Effort) -> list[Case]:
    """Return the cases: TVConv and the depthwise convolution at each width, and the paper's headline comparison, TVConv
    at half the width."""
    batches, cores, widths = ((1, 2), (1,), (0.1,)) if effort.quick else (_BATCHES, _THREADS, _WIDTHS)
    networks = {f"{name} x{width}": (KINDS[name], width) for width in widths for name in (OURS, DEPTHWISE)}
    goals = [Goal(f"{OURS} x{width}", f"{DEPTHWISE} x{width}") for width in widths]
    if not effort.quick:
        goals.append(Goal(f"{OURS} x0.5", f"{DEPTHWISE} x1.0"))
    best = f"best of batch {_listed(batches)} and {_listed(cores)} threads"
    measure = partial(_best_rates, networks, batches, cores, effort)
    return [
        Case("throughput", best, "images/s", measure, goals),
        Case("throughput", f"peak memory at 8 x 3 x {_SIDE} x {_SIDE}", "MB", partial(_peaks, networks), goals),
    ]


def _best_rates(networks: Networks, batches: tuple[int, ...], cores: tuple[int, ...], effort: Effort) -> Rounds:
    best: Rounds = {}
    ready = {name: (deployed(kind, Setting(width, 1, _SIDE)), kind) for name, (kind, width) in networks.items()}
    for num_threads, batch in product(cores, batches):
        calls = {name: pass_of(network, random_images(kind, batch, _SIDE)) for name, (network, kind) in ready.items()}
        with threads(num_threads):
            rates = per_second(alternate(calls, effort), batch)
        best = {name: max(best.get(name, rates[name]), rates[name], key=median) for name in networks}
    return best


def _peaks(networks: Networks) -> Rounds:
    peaks = {}
    for name, (kind, width) in networks.items():
        network = build_network(kind, Setting(width, 8, _SIDE))
        peaks[name] = [measure_runtime(network, (_SIDE, _SIDE), seconds=0).peak_memory_mb]
    return peaks


def _listed(numbers: tuple[int, ...]) -> str:
    return "/".join(str(number) for number in numbers)
