"""How far accuracy falls when faces are not where training saw them:

    python scripts/sensitivity.py checkpoint=outputs/affine/RUN/best.ckpt,outputs/affine/OTHER/best.ckpt

Verifies each checkpoint on the images as they are, then under each affine transform alone, at growing strength. Takes
    checkpoint=FILE,FILE      the networks to compare, on the same benchmarks
    transforms=...            default: rotation,shear,scale,translation
    strengths=...             multiples of the ranges in configs/augmentation; default: 0.5,1,2
    out=FOLDER                of sensitivity.json and sensitivity.png; default: outputs/sensitivity
    protocol=...              tvconv, tvconv_reference or insightface; default: the checkpoint's
    data=... data.KEY=...     other data than the checkpoint's, as for train.py; data.cache=FOLDER decodes once
    trainer=... trainer.KEY=...
An image is changed in the same way for every network and in every run. Prints a table on stderr and, last, one JSON
object.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

from facerec.program import run

from omegaconf import DictConfig
from rich.console import Console
from torch import nn
from tqdm import tqdm

from facerec.build import build_data, build_trained, build_trainer, build_verifier
from facerec.checkpoints import load_checkpoint
from facerec.command_line import split_arguments
from facerec.errors import InputError
from facerec.plots import save_figure
from facerec.process import prepare_process
from facerec.report import network_name
from facerec.runs import code_and_environment, log, write_json
from facerec.sensitivity import TRANSFORMS, Measurement, Shift, sensitivity_figure, sensitivity_table

_GROUP = "augmentation@data.test_augmentation"
_OWN_KEYS = {
    "checkpoint": None,
    "transforms": ",".join(TRANSFORMS),
    "strengths": "0.5,1,2",
    "out": "outputs/sensitivity",
}


def main(arguments: list[str]) -> int:
    if not arguments or {"-h", "--help"} & set(arguments):
        print(__doc__)
        return 0 if arguments else 1
    prepare_process()
    try:
        own, overrides = split(arguments)
        summary = study(own, overrides)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(summary))
    return 0


def split(arguments: list[str]) -> tuple[dict[str, Any], list[str]]:
    """This program's own settings, and the overrides for the configuration."""
    own, overrides = split_arguments(arguments, "sensitivity.py", _OWN_KEYS)
    if not own["checkpoint"]:
        raise InputError("no checkpoint given: add checkpoint=FILE, or checkpoint=FILE,FILE to compare")
    for override in overrides:
        if override.lstrip("+").startswith("data.test_augmentation"):
            raise InputError(f"sensitivity.py changes the test images itself: leave {override} out")
    return own, overrides


def study(own: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """Measure, write and show; what is printed for programs."""
    networks = named(own["checkpoint"].split(","))
    plans = planned(own["transforms"].split(","), own["strengths"].split(","))
    cells = [(name, plan) for plan in plans for name in networks]
    for name, plan in cells:
        build_data(configured(networks[name], [*overrides, *plan])[1])  # what is refused is refused at once
    measurements: list[Measurement] = []
    data: dict[str, Any] = {}
    for name, plan in tqdm(cells, "verifying", unit=" conditions"):
        measurement, verified = measure(name, networks[name], [*overrides, *plan])
        if verified != (data or verified):
            raise InputError(
                f"{networks[name]} is verified on other pairs than the first: give both data=... and its keys"
            )
        measurements, data = [*measurements, measurement], verified
    summary = {
        "checkpoints": networks,
        **code_and_environment(),
        "data": data,
        "measurements": [measurement.summary() for measurement in measurements],
    }
    write(measurements, summary, Path(own["out"]))
    return summary


def named(paths: list[str]) -> dict[str, str]:
    """The checkpoints by what stands beside their results: the network, and the file where networks are alike."""
    if len(set(paths)) < len(paths):
        raise InputError(f"a checkpoint is given twice in {','.join(paths)}: give each once")
    names = [network_name(load_checkpoint(path)["config"]) for path in paths]
    are_plain = len(set(names)) == len(names)
    return {name if are_plain else f"{name}\n{path}": path for name, path in zip(names, paths, strict=True)}


def planned(transforms: list[str], strengths: list[str]) -> list[list[str]]:
    """The overrides of each condition, the images as they are first."""
    for name in transforms:
        if name not in TRANSFORMS:
            raise InputError(f"transforms must be of {', '.join(TRANSFORMS)}, got {name!r}")
    for strength in strengths:
        if not is_positive(strength):
            raise InputError(f"strengths must be numbers above 0 with commas between them, got {strength!r}")
    shifts = [[f"{_GROUP}={name}", f"affine_strength={float(s):g}"] for name in transforms for s in strengths]
    return [[f"{_GROUP}=none"], *shifts]


def is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False


def configured(path: str, overrides: list[str]) -> tuple[nn.Module, DictConfig]:
    """A checkpoint's network, and its configuration with the overrides."""
    backbone, cfg, _ = build_trained(path, [*overrides, "+trainer.enable_progress_bar=false"])
    return backbone, cfg


def measure(name: str, path: str, overrides: list[str]) -> tuple[Measurement, dict[str, Any]]:
    """The network's results, and which pairs they are of."""
    backbone, cfg = configured(path, overrides)
    data = build_data(cfg)
    data.setup("validate")
    verifier = build_verifier(cfg, backbone)
    build_trainer(cfg).validate(verifier, datamodule=data, verbose=False)
    pairs = {b.name: {"pairs": len(b), "fingerprint": b.fingerprint()} for b in data.opened_benchmarks}
    return Measurement(name, shift_of(cfg), verifier.results), pairs


def shift_of(cfg: DictConfig) -> Shift | None:
    """Which one the configuration chooses; the settings of a transform are its class, its range and the strength."""
    for transform, node in cfg.data.test_augmentation.items():
        ((unit, reach),) = ((key, node[key]) for key in node if key not in ("_target_", "strength"))
        return Shift(str(transform), node.strength, str(unit), node.strength * reach)
    return None


def write(measurements: list[Measurement], summary: dict[str, Any], out: Path) -> None:
    Console(stderr=True, width=None if sys.stderr.isatty() else 120).print(sensitivity_table(measurements))
    save_figure(sensitivity_figure(measurements), out / "sensitivity.png")
    write_json(out / "sensitivity.json", summary)
    log(f"written: {out / 'sensitivity.json'} and sensitivity.png")


if __name__ == "__main__":
    run(main)
