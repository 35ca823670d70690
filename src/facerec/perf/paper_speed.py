"""Throughput and memory of one network by the method of the TVConv paper (arXiv 2203.10489, section 4.1)."""

from dataclasses import dataclass
from itertools import product
from statistics import median

import torch
from torch import nn

from facerec.deploy import reparameterize
from facerec.perf.runtime import measure_runtime, time_passes
from facerec.perf.timing import threads
from facerec.process import available_cores

_BATCHES, _THREADS = (1, 2, 4, 8, 16), (1, 2, 4)


@dataclass(frozen=True)
class PaperSpeed:
    """The highest number of images per second of five batch sizes and up to three numbers of threads, with those that
    gave it, and the peak memory of a pass of 8 images in 10^6 bytes."""

    images_per_second: float
    batch: int
    threads: int
    peak_memory_mb: float


@torch.inference_mode()
def measure_as_in_paper(network: nn.Module, image_size: tuple[int, int], seconds: float = 0.2) -> PaperSpeed:
    """Measure ``network``, reparameterised for inference; the network itself is not modified.

    ``seconds`` are spent on each batch size and number of threads, of which there are no more than cores.
    """
    deployed = reparameterize(network).cpu().to(memory_format=torch.channels_last)
    rates: dict[tuple[int, int], float] = {}
    for batch, number in product(_BATCHES, [n for n in _THREADS if n <= max(1, available_cores())]):
        images = torch.randn(batch, 3, *image_size).to(memory_format=torch.channels_last)
        with threads(number):
            rates[batch, number] = batch / median(time_passes(deployed, images, seconds))
    best = max(rates, key=lambda key: rates[key])
    peak = measure_runtime(network, image_size, seconds=0).peak_memory_mb
    return PaperSpeed(round(rates[best], 1), *best, peak)
