"""Measure how accuracy falls on misaligned faces: facerec sensitivity checkpoint=FILE checkpoint=FILE

Verifies each checkpoint on unchanged images, then under each affine transform alone, at increasing strength, on the
same benchmarks and by the same protocol. An image is transformed in the same way for every network and in every run.
Networks that segment are scored by the Dice of cup and disc, on images whose masks move with them.
Writes sensitivity.json and sensitivity.png at the end, and prints a table on stderr and, last, one JSON object.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lightning_utilities.core.rank_zero import rank_zero_only
from omegaconf import DictConfig
from torch import nn
from tqdm import tqdm

from facerec.config.build import build_data, evaluate
from facerec.config.settings import command, run_settings, setting
from facerec.config.stored import compose_trained
from facerec.config.trained import build_trained
from facerec.console import log, terminal
from facerec.errors import InputError
from facerec.files import check_output_folder, write_json
from facerec.plots.network import save_figure
from facerec.plots.sensitivity import TRANSFORMS, Measurement, Shift, sensitivity_figure, sensitivity_table
from facerec.process import prepare_process
from facerec.runs.provenance import code_and_environment
from facerec.runs.run_names import run_names
from facerec.runs.task_results import task_results

_GROUP = "augmentation@data.test_augmentation"


@dataclass
class Settings:
    """Settings:"""

    checkpoint: tuple[Path, ...] = setting("of a run; give one per network to compare")
    transforms: tuple[str, ...] = setting("to study", ("rotation", "shear", "scale", "translation"))
    strengths: tuple[float, ...] = setting("multiples of the ranges in configs/augmentation", (0.5, 1, 2))
    out: Path = setting("folder to write to", Path("outputs/sensitivity"))
    trust: bool = setting("also build classes that are not facerec's: only if you trust the checkpoints", False)
    overrides: tuple[str, ...] = run_settings(
        "as for train, by default the checkpoints': protocol=, data=, trainer=; data.cache=FOLDER decodes once",
        *("data", "trainer", "protocol"),
    )


class Network(NamedTuple):
    """The network of a checkpoint, with the name that identifies its results."""

    name: str
    path: str
    backbone: nn.Module
    config: dict[str, Any]


def run(settings: Settings) -> None:
    """Verify every network under every condition; print and write the results."""
    prepare_process()
    check_output_folder(settings.out, f"out={settings.out}")
    for override in settings.overrides:
        if override.lstrip("+").startswith("data.test_augmentation"):
            raise InputError(f"the study transforms the test images itself: leave {override} out")
    plans = planned(settings.transforms, settings.strengths)
    networks = opened([str(path) for path in settings.checkpoint], settings.trust)
    conditions = composed(networks, plans, list(settings.overrides))
    publish(*study(conditions), settings.out)


def opened(paths: Sequence[str], trust: bool = False) -> list[Network]:
    """Load the networks of the checkpoints."""
    for number, path in enumerate(paths):
        if Path(path).resolve() in [Path(earlier).resolve() for earlier in paths[:number]]:
            raise InputError(f"checkpoint {path} is given twice: give each once")
    built = (build_trained(path, trust=trust) for path in paths)
    trained = [(backbone, checkpoint["config"]) for backbone, _, checkpoint in built]
    names = run_names([config for _, config in trained])
    return [Network(name, path, *parts) for name, path, parts in zip(names, paths, trained, strict=True)]


def planned(transforms: Sequence[str], strengths: Sequence[float]) -> list[list[str]]:
    """Return the overrides of each condition, beginning with unchanged images."""
    for name in transforms:
        if name not in TRANSFORMS:
            raise InputError(f"transforms must be among {', '.join(TRANSFORMS)}, got {name!r}")
    for strength in strengths:
        if strength <= 0:
            raise InputError(f"strengths must be numbers above 0 with commas between them, got {strength:g}")
    factors = dict.fromkeys(f"affine_strength={strength:g}" for strength in strengths)
    shifts = [[f"{_GROUP}={name}", factor] for name in dict.fromkeys(transforms) for factor in factors]
    return [[f"{_GROUP}=none"], *shifts]


def composed(
    networks: Sequence[Network], plans: Sequence[list[str]], overrides: list[str]
) -> list[tuple[Network, DictConfig]]:
    """Return each network with its configuration under each plan; raise `InputError` before anything is verified."""
    conditions = []
    for plan in plans:
        for network in networks:
            # `opened` has refused what is not trusted.
            cfg = compose_trained(network.config, [*overrides, *plan, "+trainer.enable_progress_bar=false"], trust=True)
            try:
                build_data(cfg)
            except InputError as error:
                raise InputError(f"{' '.join(plan)}: {error}") from error
            conditions.append((network, cfg))
    protocols = {cfg.protocol: network.path for network, cfg in conditions}
    if len(protocols) > 1:
        found = " and ".join(f"{path} by {protocol}" for protocol, path in protocols.items())
        raise InputError(f"the checkpoints use different protocols, {found}: add protocol=...")
    return conditions


def study(conditions: Sequence[tuple[Network, DictConfig]]) -> tuple[list[Measurement], dict[str, Any]]:
    """Return all measurements, and the summary to print and write."""
    measurements: list[Measurement] = []
    data: dict[str, Any] = {}
    for network, cfg in tqdm(conditions, "verifying", unit=" conditions", disable=bool(rank_zero_only.rank)):
        measurement, pairs = measure(network, cfg)
        if pairs != (data or pairs):
            raise InputError(
                f"{network.path} is verified on other pairs than the first checkpoint: add data=... with all its keys"
            )
        measurements, data = [*measurements, measurement], pairs
    return measurements, {
        "checkpoints": {network.name: network.path for network, _ in conditions},
        "protocol": conditions[0][1].protocol,
        **code_and_environment(),
        "data": data,
        "measurements": [measurement.summary() for measurement in measurements],
    }


def measure(network: Network, cfg: DictConfig) -> tuple[Measurement, dict[str, Any]]:
    """Return the network's results, and what identifies the sets."""
    data = build_data(cfg)
    data.setup("validate")
    results = evaluate(cfg, data, network.backbone).results
    return Measurement(network.name, shift_of(cfg), results), task_results(network.config, data, is_first=False).sets()


def shift_of(cfg: DictConfig) -> Shift | None:
    """Return the configured shift. The settings of a transform are its class, its range and its strength."""
    for transform, node in cfg.data.test_augmentation.items():
        ((unit, reach),) = ((key, node[key]) for key in node if key not in ("_target_", "strength"))
        return Shift(str(transform), node.strength, str(unit), node.strength * reach)
    return None


@rank_zero_only
def publish(measurements: list[Measurement], summary: dict[str, Any], out: Path) -> None:
    """Print the table and the summary, and write summary and figure, on the first device only."""
    terminal(120).print(sensitivity_table(measurements))
    for name, path in summary["checkpoints"].items():
        log(f"{name}: {path}")
    print(json.dumps(summary), flush=True)
    write_json(out / "sensitivity.json", summary)
    save_figure(sensitivity_figure(measurements), out / "sensitivity.png")
    log(f"written: {out / 'sensitivity.json'} and sensitivity.png")


main = command(Settings, run)
