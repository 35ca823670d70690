"""Time and memory of a network's inference on this machine's CPU."""

import gc
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from facerec.deploy import reparameterize

_BATCH = 8


@dataclass(frozen=True)
class Runtime:
    """Time and memory of a forward pass of 8 images in float32, as in arXiv 2203.10489, section 4.1.

    Attributes:
        images_per_second: from the median of the passes within one second, in channels_last memory.
        threads: number of threads used.
        peak_memory_mb: peak memory of weights, images and all intermediate results together, in 10^6 bytes.
    """

    images_per_second: float
    threads: int
    peak_memory_mb: float


@torch.inference_mode()
def measure_runtime(network: nn.Module, image_size: tuple[int, int], seconds: float = 1.0) -> Runtime:
    """Measure ``network``, reparameterised for inference; the network itself is not modified."""
    deployed = reparameterize(network).cpu().to(memory_format=torch.channels_last)
    images = torch.randn(_BATCH, 3, *image_size).to(memory_format=torch.channels_last)
    resting = sum(tensor.nbytes for tensor in (*deployed.parameters(), *deployed.buffers(), images))
    peak = resting + peak_allocated(lambda: deployed(images))
    passes = time_passes(deployed, images, seconds)
    return Runtime(round(_BATCH / median(passes), 1), torch.get_num_threads(), round(peak / 1e6, 2))


def time_passes(network: nn.Module, images: Tensor, seconds: float) -> list[float]:
    """Return the seconds of each pass; there are at least five passes."""
    passes: list[float] = []
    while len(passes) < 5 or sum(passes) < seconds:
        start = time.perf_counter()
        network(images)
        passes.append(time.perf_counter() - start)
    return passes


def peak_allocated(call: Callable[[], object]) -> int:
    """Return the peak number of bytes that one call allocates, from the events of PyTorch's allocator."""
    return max(allocated_over_time(call))


def allocated_over_time(call: Callable[[], object]) -> list[int]:
    """Return the number of bytes that one call has allocated after each event; its result is kept until the last."""
    gc.collect()  # what was there before is not to be freed meanwhile, which would count as less
    is_enabled = gc.isenabled()
    gc.disable()
    try:
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            result = call()
    finally:
        if is_enabled:
            gc.enable()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder, "trace.json")
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    steps = sorted((event["ts"], event["args"]["Bytes"]) for event in events if event["name"] == "[memory]")
    del result
    return list(accumulate((step for _, step in steps), initial=0))
