"""How far accuracy falls when faces are not where training saw them:

    facerec sensitivity checkpoint=outputs/affine/RUN/best.ckpt checkpoint=outputs/affine/OTHER/best.ckpt

Verifies each checkpoint on the images as they are, then under each affine transform alone, at growing strength: on the
same benchmarks and by the same protocol, tvconv, tvconv_reference or insightface; the checkpoints' if none is given.
An image is changed in the same way for every network and in every run. All is written at the end, with a table on
stderr and, last, one JSON object.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lightning_utilities.core.rank_zero import rank_zero_only
from omegaconf import DictConfig
from rich.console import Console
from torch import nn
from tqdm import tqdm

from facerec.config.build import build_data, build_trained, verify
from facerec.config.compose import compose_trained
from facerec.config.settings import command, run_settings, setting
from facerec.console import log
from facerec.errors import InputError
from facerec.files import check_output_folder, write_json
from facerec.plots.network import save_figure
from facerec.plots.sensitivity import TRANSFORMS, Measurement, Shift, sensitivity_figure, sensitivity_table
from facerec.process import prepare_process
from facerec.runs.provenance import code_and_environment
from facerec.runs.results import benchmark_fingerprints
from facerec.runs.run_names import run_names

_GROUP = "augmentation@data.test_augmentation"


@dataclass
class Settings:
    """Settings:"""

    checkpoint: tuple[Path, ...] = setting("of a run; once for each network to compare")
    transforms: tuple[str, ...] = setting("to study", ("rotation", "shear", "scale", "translation"))
    strengths: tuple[float, ...] = setting("multiples of the ranges in configs/augmentation", (0.5, 1, 2))
    out: Path = setting("folder of sensitivity.json and sensitivity.png", Path("outputs/sensitivity"))
    overrides: tuple[str, ...] = run_settings(
        "as for train: protocol=..., data=..., trainer=...; data.cache=FOLDER decodes once",
        *("data", "trainer", "protocol"),
    )


class Network(NamedTuple):
    """A checkpoint, by what stands beside its results."""

    name: str
    path: str
    backbone: nn.Module
    config: dict[str, Any]


def run(settings: Settings) -> None:
    """Verify, show and write."""
    prepare_process()
    check_output_folder(settings.out, f"out={settings.out}")
    for override in settings.overrides:
        if override.lstrip("+").startswith("data.test_augmentation"):
            raise InputError(f"the test images are changed here already: leave {override} out")
    plans = planned(settings.transforms, settings.strengths)
    conditions = composed(opened([str(path) for path in settings.checkpoint]), plans, list(settings.overrides))
    publish(*study(conditions), settings.out)


def opened(paths: Sequence[str]) -> list[Network]:
    """The checkpoints' networks."""
    for number, path in enumerate(paths):
        if Path(path).resolve() in [Path(earlier).resolve() for earlier in paths[:number]]:
            raise InputError(f"checkpoint {path} is given twice: give each once")
    trained = [build_trained(path) for path in paths]
    configs = [checkpoint["config"] for _, _, checkpoint in trained]
    backbones = [backbone for backbone, _, _ in trained]
    return [Network(*parts) for parts in zip(run_names(configs), paths, backbones, configs, strict=True)]


def planned(transforms: Sequence[str], strengths: Sequence[float]) -> list[list[str]]:
    """The overrides of each condition, the images as they are first."""
    for name in transforms:
        if name not in TRANSFORMS:
            raise InputError(f"transforms must be of {', '.join(TRANSFORMS)}, got {name!r}")
    for strength in strengths:
        if strength <= 0:
            raise InputError(f"strengths must be numbers above 0 with commas between them, got {strength:g}")
    factors = dict.fromkeys(f"affine_strength={strength:g}" for strength in strengths)
    shifts = [[f"{_GROUP}={name}", factor] for name in dict.fromkeys(transforms) for factor in factors]
    return [[f"{_GROUP}=none"], *shifts]


def composed(
    networks: Sequence[Network], plans: Sequence[list[str]], overrides: list[str]
) -> list[tuple[Network, DictConfig]]:
    """Every network under every plan; what would be refused later is refused at once."""
    conditions = []
    for plan in plans:
        for network in networks:
            cfg = compose_trained(network.config, [*overrides, *plan, "+trainer.enable_progress_bar=false"])
            try:
                build_data(cfg)
            except InputError as error:
                raise InputError(f"{' '.join(plan)}: {error}") from error
            conditions.append((network, cfg))
    protocols = {cfg.protocol: network.path for network, cfg in conditions}
    if len(protocols) > 1:
        found = " and ".join(f"{path} by {protocol}" for protocol, path in protocols.items())
        raise InputError(f"the checkpoints are verified by different protocols, {found}: add protocol=...")
    return conditions


def study(conditions: Sequence[tuple[Network, DictConfig]]) -> tuple[list[Measurement], dict[str, Any]]:
    """What is measured, and what is printed for programs."""
    measurements: list[Measurement] = []
    data: dict[str, Any] = {}
    for network, cfg in tqdm(conditions, "verifying", unit=" conditions", disable=bool(rank_zero_only.rank)):
        measurement, pairs = measure(network, cfg)
        if pairs != (data or pairs):
            raise InputError(
                f"{network.path} is verified on other pairs than the first: give both data=... and its keys"
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
    """The network's results, and which pairs they are of."""
    data = build_data(cfg)
    data.setup("validate")
    results = verify(cfg, data, network.backbone)
    return Measurement(network.name, shift_of(cfg), results), benchmark_fingerprints(data)


def shift_of(cfg: DictConfig) -> Shift | None:
    """Which one the configuration chooses; the settings of a transform are its class, its range and the strength."""
    for transform, node in cfg.data.test_augmentation.items():
        ((unit, reach),) = ((key, node[key]) for key in node if key not in ("_target_", "strength"))
        return Shift(str(transform), node.strength, str(unit), node.strength * reach)
    return None


@rank_zero_only
def publish(measurements: list[Measurement], summary: dict[str, Any], out: Path) -> None:
    """For people on stderr and as a picture, for programs on stdout and in a file; once, however many devices there
    are."""
    Console(stderr=True, width=None if sys.stderr.isatty() else 120).print(sensitivity_table(measurements))
    for name, path in summary["checkpoints"].items():
        log(f"{name}: {path}")
    print(json.dumps(summary), flush=True)
    write_json(out / "sensitivity.json", summary)
    save_figure(sensitivity_figure(measurements), out / "sensitivity.png")
    log(f"written: {out / 'sensitivity.json'} and sensitivity.png")


main = command(Settings, run)
