"""How far accuracy falls when faces are not where training saw them:

    python scripts/sensitivity.py checkpoint=outputs/affine/RUN/best.ckpt checkpoint=outputs/affine/OTHER/best.ckpt

Verifies each checkpoint on the images as they are, then under each affine transform alone, at growing strength. Takes
    checkpoint=FILE           once for each network to compare, on the same benchmarks and by the same protocol
    transforms=...            default: rotation,shear,scale,translation
    strengths=...             multiples of the ranges in configs/augmentation; default: 0.5,1,2
    out=FOLDER                of sensitivity.json and sensitivity.png; default: outputs/sensitivity
    protocol=...              tvconv, tvconv_reference or insightface; default: the checkpoints'
    data=... data.KEY=...     other data than the checkpoints', as for train.py; data.cache=FOLDER decodes once
    trainer=... trainer.KEY=...
An image is changed in the same way for every network and in every run. All is written at the end, with a table on
stderr and, last, one JSON object.
"""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from facerec.program import run

from lightning_utilities.core.rank_zero import rank_zero_only
from omegaconf import DictConfig
from rich.console import Console
from torch import nn
from tqdm import tqdm

from facerec.config.build import build_data, build_trained, build_trainer, build_verifier
from facerec.config.compose import compose_trained
from facerec.config.settings import split_arguments
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
_OWN_KEYS = {"transforms": ",".join(TRANSFORMS), "strengths": "0.5,1,2", "out": "outputs/sensitivity"}


class Network(NamedTuple):
    """A checkpoint, by what stands beside its results."""

    name: str
    path: str
    backbone: nn.Module
    config: dict[str, Any]


def main(arguments: list[str]) -> int:
    if not arguments or {"-h", "--help"} & set(arguments):
        print(__doc__)
        return 0 if arguments else 1
    prepare_process()
    try:
        paths, own, overrides = split(arguments)
        plans = planned(*(own[key].strip("[]").split(",") for key in ("transforms", "strengths")))
        conditions = composed(opened(paths), plans, overrides)
        publish(*study(conditions), Path(own["out"]))
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def split(arguments: list[str]) -> tuple[list[str], dict[str, Any], list[str]]:
    """The checkpoints, this program's other settings, and the overrides for the configuration."""
    paths = [a.removeprefix("checkpoint=") for a in arguments if a.startswith("checkpoint=")]
    others = [a for a in arguments if not a.startswith("checkpoint=")]
    own, overrides = split_arguments(others, "sensitivity.py", _OWN_KEYS)
    if not paths:
        raise InputError("no checkpoint given: add checkpoint=FILE, once for each network")
    check_output_folder(Path(own["out"]), f"out={own['out']}")
    for override in overrides:
        if override.lstrip("+").startswith("data.test_augmentation"):
            raise InputError(f"sensitivity.py changes the test images itself: leave {override} out")
    return paths, own, overrides


def opened(paths: Sequence[str]) -> list[Network]:
    """The checkpoints' networks."""
    for number, path in enumerate(paths):
        if Path(path).resolve() in [Path(earlier).resolve() for earlier in paths[:number]]:
            raise InputError(f"checkpoint {path} is given twice: give each once")
    trained = [build_trained(path) for path in paths]
    configs = [checkpoint["config"] for _, _, checkpoint in trained]
    backbones = [backbone for backbone, _, _ in trained]
    return [Network(*parts) for parts in zip(run_names(configs), paths, backbones, configs, strict=True)]


def planned(transforms: Sequence[str], strengths: Sequence[str]) -> list[list[str]]:
    """The overrides of each condition, the images as they are first."""
    for name in transforms:
        if name not in TRANSFORMS:
            raise InputError(f"transforms must be of {', '.join(TRANSFORMS)}, got {name!r}")
    for strength in strengths:
        if not is_positive(strength):
            raise InputError(f"strengths must be numbers above 0 with commas between them, got {strength!r}")
    factors = dict.fromkeys(f"affine_strength={float(strength):g}" for strength in strengths)
    shifts = [[f"{_GROUP}={name}", factor] for name in dict.fromkeys(transforms) for factor in factors]
    return [[f"{_GROUP}=none"], *shifts]


def is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False


def composed(
    networks: Sequence[Network], plans: Sequence[list[str]], overrides: list[str]
) -> list[tuple[Network, DictConfig]]:
    """Every network under every plan; what would be refused later is refused at once."""
    conditions = []
    for plan in plans:
        for network in networks:
            config = {**network.config, "logger": {}, "callbacks": {}}
            cfg = compose_trained(config, [*overrides, *plan, "+trainer.enable_progress_bar=false"])
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
    verifier = build_verifier(cfg, network.backbone)
    build_trainer(cfg).validate(verifier, datamodule=data, verbose=False)
    return Measurement(network.name, shift_of(cfg), verifier.results), benchmark_fingerprints(data)


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


if __name__ == "__main__":
    run(main)
