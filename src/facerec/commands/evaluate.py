"""Evaluate a checkpoint: facerec evaluate checkpoint=outputs/NAME/RUN/best.ckpt

A network that recognises faces is verified on benchmarks, one that segments on the unseen domain. With model= instead
of checkpoint=, a file that facerec export wrote (.onnx, .pt, .pt2, .safetensors) is evaluated on the CPU. Files ending
in .pt and .pt2 contain code: use only files that you trust. These settings of a run are accepted, as in train; their
defaults are the checkpoint's:
    data=... data.KEY=...     other data
    protocol=...              tvconv, tvconv_reference or insightface
    augmentation@data.test_augmentation=...
                              transforms of the test images, such as none, rotation, [shear,jitter]
    affine_strength=...       multiplier of the ranges of rotation, shear, scale and translation
    trainer=... trainer.KEY=...
Prints a table on stderr and, last, one JSON object. Epochs count from 1 in the table, as in report, and from 0 in the
JSON object, as in results.json and checkpoints.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from lightning_utilities.core.rank_zero import rank_zero_only
from omegaconf import DictConfig, OmegaConf
from torch import nn

from facerec.commands.evaluate_masks import evaluate_masks
from facerec.commands.operating_points import Asked
from facerec.config.build import build_faces, learner_class, refuse_other_sizes, verify
from facerec.config.settings import command, run_settings, setting
from facerec.config.stored import compose_trained
from facerec.config.trained import build_trained, read_model
from facerec.console import terminal
from facerec.data.datamodule import FaceDataModule
from facerec.data.shared_people import Shared
from facerec.deploy import position_shares, reparameterize
from facerec.errors import InputError
from facerec.exporting import formats as files
from facerec.exporting.formats import ModelBackbone
from facerec.files import LAST
from facerec.plots.network import refuse_no_figure, roc_figure, save_figure
from facerec.process import prepare_process
from facerec.runs.provenance import code_and_environment
from facerec.runs.scores import save_scores
from facerec.runs.table_formats import terminal_table
from facerec.runs.task_results import benchmark_fingerprints
from facerec.runs.training_overlap import found_by_run, found_in_training, overlap, say_overlap
from facerec.training.checkpoints import training_fingerprint
from facerec.training.evaluator import Evaluator
from facerec.training.mask_evaluator import MaskEvaluator
from facerec.training.verifier import Verifier
from facerec.verification.intervals import Interval
from facerec.verification.verify import VerificationResult


@dataclass
class Settings:
    """Settings:"""

    checkpoint: Path | None = setting("of a run", None)
    model: Path | None = setting("an exported file, instead of a checkpoint", None)
    library: Path | None = setting(
        "operator library of the exported file, whose code runs: only if you trust it; by default one is built", None
    )
    form: Literal["training", "deployed"] = setting(
        "the network as trained, or with the weights of its maps cached, and how much these depend on the position",
        "training",
    )
    image_size: int | None = setting("in pixels, if not that of training; maps are resampled", None, least=1)
    roc: Path | None = setting("figure of the ROC curves to write: .png, .svg or .pdf", None, written=True)
    scores: Path | None = setting(
        "file of distances, decisions, people, thresholds and centres to write, or of masks' scores: .npz",
        None,
        written=True,
    )
    overlays: Path | None = setting("of masks, figure of their contours to write", None, written=True)
    all_pairs: bool = setting("compare every image with every other one: FNMR at FMR 1e-2 to 1e-6, thresholds", False)
    identify: bool = setting("search images in galleries of one image per person", False)
    unlisted: bool = setting("with these two, also images of the benchmark's folder that no pair names", True)
    groups: Path | None = setting("with these two, list of lines PATH GROUP: the rates by group", None)
    det: Path | None = setting("with all_pairs, figure of the DET curves to write", None, written=True)
    draws: int = setting("galleries that identify draws", 10, least=1)
    shared: bool = setting(
        "look for the benchmarks' people and images in the training set, all of which is read", False
    )
    trust: bool = setting("also build classes that are not facerec's: only if you trust the file", False)
    overrides: tuple[str, ...] = run_settings(
        "see the list above",
        *("data", "trainer", "protocol", "augmentation@data.test_augmentation", "affine_strength"),
    )


def run(settings: Settings) -> dict[str, Any] | None:
    """Verify and show the results; return the summary to print, on the first of several devices."""
    prepare_process()
    for figure in (settings.roc, settings.overlays):
        if figure is not None:
            refuse_no_figure(figure)
    if settings.scores is not None and settings.scores.suffix != ".npz":
        raise InputError(f"scores={settings.scores} is not an .npz file: end its name in .npz")
    _asked(settings).refuse_useless()
    cfg, network, described = of_checkpoint(settings) if settings.model is None else of_model(settings, settings.model)
    refuse_other_sizes(cfg)
    return _EVALUATIONS[learner_class(cfg).evaluator](settings, cfg, network, described)


def _faces(settings: Settings, cfg: DictConfig, network: nn.Module, described: dict[str, Any]) -> dict[str, Any] | None:
    """Verify a network that recognises faces."""
    refuse_without_effect(settings, FOR_MASKS)
    asked = _asked(settings)
    data = build_faces(cfg)
    data.whole_folders = bool(asked) and settings.unlisted
    data.setup("validate")
    groups = asked.read(data)
    embeddings: dict[str, np.ndarray] = {}
    shared = _shared(settings, data, described.get("trained_on"))
    results = verify(cfg, data, network, embeddings if asked else None)
    overlaps = {name: of if isinstance(of, str) else overlap(results[name], of) for name, of in shared.items()}
    summary = {
        **described,
        "image_size": cfg.image_size,
        "protocol": cfg.protocol,
        "test_augmentation": OmegaConf.to_container(cfg.data.get("test_augmentation", OmegaConf.create())),
        **code_and_environment(),
        "data": benchmark_fingerprints(data),
        "benchmarks": {name: result.summary() | _told(overlaps.get(name)) for name, result in results.items()},
    }
    if settings.scores is not None and rank_zero_only.rank == 0:
        known = {name: of for name, of in shared.items() if isinstance(of, Shared)}
        save_scores(settings.scores, results, data.opened_benchmarks, known)
    published = publish(results, summary, settings.roc)
    if published:
        say_overlap(str(settings.model or settings.checkpoint), overlaps)
    return published | asked.measure(data, embeddings, groups) if published and asked else published


def _asked(settings: Settings) -> Asked:
    return Asked(
        settings.all_pairs, settings.identify, settings.unlisted, settings.groups, settings.det, settings.draws
    )


def _masks(settings: Settings, cfg: DictConfig, network: nn.Module, described: dict[str, Any]) -> dict[str, Any] | None:
    """Evaluate a network that segments."""
    refuse_without_effect(settings, FOR_FACES)
    return evaluate_masks(cfg, network, described, settings.scores, settings.overlays)


_EVALUATIONS: dict[type[Evaluator], Callable[..., dict[str, Any] | None]] = {Verifier: _faces, MaskEvaluator: _masks}
FOR_FACES = ("roc", "all_pairs", "identify", "unlisted", "groups", "det", "draws", "shared")
FOR_MASKS = ("overlays",)


def refuse_without_effect(settings: Settings, keys: Iterable[str]) -> None:
    """Raise `InputError` if one of these settings, of another task, is given."""
    for key in keys:
        if getattr(settings, key) != getattr(Settings, key):
            raise InputError(f"{key}={getattr(settings, key)} has no effect on the task of this network: leave it out")


def _shared(settings: Settings, data: FaceDataModule, trained_on: str | None) -> dict[str, Shared | str]:
    """Return what each benchmark shares with the training set, or why that is unknown; on the first device only."""
    if rank_zero_only.rank != 0:
        return {}
    if settings.shared:
        return dict(found_in_training(data, trained_on))
    if settings.checkpoint is None:
        return {benchmark.name: "an exported file does not tell" for benchmark in data.opened_benchmarks}
    return found_by_run(settings.checkpoint.parent, data.opened_benchmarks)


def _told(of: dict[str, Any] | str | None) -> dict[str, Any]:
    return {"shared_unknown": of} if isinstance(of, str) else of or {}


def of_checkpoint(settings: Settings) -> tuple[DictConfig, nn.Module, dict[str, Any]]:
    """Return configuration and network of a checkpoint, and what identifies it in the summary."""
    if settings.checkpoint is None:
        raise InputError("no checkpoint given: add checkpoint=FILE, or model=FILE for an exported one")
    if settings.library is not None:
        raise InputError(f"library={settings.library} has no effect on a checkpoint: leave it out")
    path, overrides = str(settings.checkpoint), list(settings.overrides)
    if settings.image_size is not None:
        sides = f"[{settings.image_size},{settings.image_size}]"
        overrides += [
            f"image_size={settings.image_size}",
            *(f"{node}.image_size={sides}" for node in ("backbone", "data")),
        ]
    try:
        backbone, cfg, checkpoint = build_trained(path, overrides, settings.trust)
    except InputError as error:
        if settings.checkpoint.suffix not in files.SUFFIXES.values():
            raise
        raise InputError(f"{error}, or give an exported file as model=") from error
    described = {"checkpoint": path, "epoch": checkpoint["epoch"], "form": settings.form}
    described["trained_on"] = training_fingerprint(checkpoint)
    if settings.form == "training":
        return cfg, backbone, described
    network = reparameterize(backbone)
    shares = position_shares(network)
    return cfg, network, described | ({"position_share": shares} if shares else {})


def of_model(settings: Settings, path: Path) -> tuple[DictConfig, nn.Module, dict[str, Any]]:
    """Return the same of an exported file; raise `InputError` for settings that cannot be applied to one."""
    for key in ("checkpoint", "form", "image_size"):
        if getattr(settings, key) != getattr(Settings, key):
            raise InputError(f"{key} has no effect on an exported file: leave {key}= or model= out")
    if path.suffix == Path(LAST).suffix:
        raise InputError(f"model={path} is a checkpoint: give it as checkpoint=")
    model = read_model(path, settings.trust, settings.library)
    try:
        config, epoch = json.loads(model.metadata["config"]), int(model.metadata["epoch"])
        described = {"model": str(path), "checkpoint": model.metadata["checkpoint"], "epoch": epoch}
    except (KeyError, ValueError, RecursionError) as error:
        raise InputError(f"model {path} contains no configuration: use a file that facerec export wrote") from error
    cfg = compose_trained(config, [*files.ON_CPU, *settings.overrides], settings.trust)
    sides = config["data"].get("image_size")
    if not isinstance(sides, list) or [type(side) for side in sides] != [int, int]:
        raise InputError(
            f"model {path} has image_size={sides} in its configuration: use a file that facerec export wrote"
        )
    if list(cfg.data.image_size) != sides:
        height, width = sides
        raise InputError(f"model {path} needs images of {height}x{width}: leave data.image_size out")
    return cfg, ModelBackbone(model), described


@rank_zero_only
def publish(results: dict[str, VerificationResult], summary: dict[str, Any], roc: Path | None) -> dict[str, Any]:
    """Print the table, draw the ROC curves and return the summary, on the first device only."""
    show(results, summary)
    if roc is not None:
        save_figure(roc_figure(results), roc)
    return summary


def show(results: dict[str, VerificationResult], summary: dict[str, Any]) -> None:
    """Print one row per benchmark, in percent with 95 % intervals, under a title that names protocol, epoch and
    transforms."""
    title = (
        f"verification in percent [95 % interval], protocol {summary['protocol']}, epoch {summary['epoch'] + 1} "
        f"(counted from 1), test images {transforms(summary['test_augmentation'])}"
    )
    fars = sorted({far for result in results.values() for far in result.tar_at_far}, reverse=True)
    rows = []
    for name, r in results.items():
        intervals = r.tar_intervals()
        rates = {
            far: _rate(r.tar_at_far[far], intervals.get(far)) if far in r.tar_at_far else "too few" for far in fars
        }
        row = {"benchmark": name, "pairs": str(r.num_pairs), "accuracy": _rate(r.accuracy, r.accuracy_interval())}
        row |= {"AUC": f"{100 * r.auc:.2f}", "EER": f"{100 * r.eer:.2f}"}
        rows.append(row | {f"TAR at FAR {far:g}": rate for far, rate in rates.items()})
    terminal(120).print(terminal_table(rows, title=title))
    if shares := summary.get("position_share"):
        rows = [
            {"layer": name} | {where: _percent(share) for where, share in of.items()} for name, of in shares.items()
        ]
        title = "part of the weights that varies over the positions, in percent of their mean square"
        terminal(120).print(terminal_table(rows, title=title))


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _rate(rate: float, interval: Interval | None) -> str:
    bounds = "n/a" if interval is None else f"{100 * interval.low:.1f}, {100 * interval.high:.1f}"
    return f"{100 * rate:.2f} [{bounds}]"


def transforms(nodes: dict[str, dict[str, Any]]) -> str:
    """Return the test transforms with their settings: ``under rotation(degrees=15, strength=2.0)``."""
    shown = []
    for name, node in nodes.items():
        settings = ", ".join(f"{key}={value}" for key, value in node.items() if key != "_target_")
        shown.append(f"{name}({settings})")
    return f"under {', '.join(shown)}" if shown else "unchanged"


main = command(Settings, run)
