"""Speed and memory of trained networks by the paper's method, kept in a file, so that each is measured once."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.progress import track

from facerec.config.build import build_backbone
from facerec.config.stored import compose_trained
from facerec.console import terminal
from facerec.files import write_json
from facerec.perf.machine import describe_machine
from facerec.perf.paper_speed import measure_as_in_paper
from facerec.runs.paper_runs import TrainedNetwork
from facerec.runs.speeds_file import kept_speeds


def measured_speeds(networks: Sequence[TrainedNetwork], kept: Path, trust: bool) -> dict[str, dict[str, Any]]:
    """Measure each network that the file ``kept`` lacks, and write it after each; another machine starts over."""
    where = machine_name()
    before = kept_speeds(kept)
    speeds = before["networks"] if before.get("machine") == where else {}
    waiting = [network for network in networks if network.name not in speeds]
    for network in track(waiting, "networks", console=terminal(120), transient=True, disable=not waiting):
        cfg = compose_trained(network.runs[0].config, [], trust)
        height, width = cfg.backbone.get("image_size", (cfg.image_size, cfg.image_size))
        speeds[network.name] = asdict(measure_as_in_paper(build_backbone(cfg), (int(height), int(width))))
        write_json(kept, {"machine": where, "networks": speeds})
    return {network.name: speeds[network.name] for network in networks}


def machine_name() -> str:
    """Return processor, cores and PyTorch of this machine, on which speeds depend."""
    machine = describe_machine()
    return f"{machine.cpu}, {machine.cores} cores, torch {machine.torch}"
