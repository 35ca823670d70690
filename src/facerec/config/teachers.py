"""Open the teacher that ``teacher=`` names. Its file is data: nothing in it is executed."""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from facerec.backbones.weight_files import timm_weights
from facerec.config.build import build_distillation, size_of
from facerec.config.trained import build_trained
from facerec.data.loading import normalise
from facerec.data.teacher import NetworkTeacher, StoredTeacher, Teacher, TeacherInput
from facerec.data.whole_arrays import read_whole
from facerec.deploy import reparameterize
from facerec.errors import InputError
from facerec.exporting.formats import open_network
from facerec.files import digest_of_file, in_home, refuse_no_regular_file

_TIMM = "timm:"


def open_teacher(cfg: DictConfig) -> Teacher | None:
    """Return the teacher of ``cfg``, or None without distillation.

    Raises `InputError` for a file that is missing or no teacher, and for an input that is not stated where the file
    does not say it, or is stated differently.
    """
    distillation = build_distillation(cfg)
    if distillation is None:
        return None
    stated, flip, device = distillation.input, distillation.flip, _device(cfg)
    if cfg.teacher.startswith(_TIMM):
        return _of_timm(cfg.teacher, stated, flip, device)
    path = Path(in_home(cfg.teacher))
    refuse_no_regular_file(path)
    if not path.is_file():
        raise InputError(f"teacher {path} does not exist: check the path, or write timm:NAME for a network of timm")
    if path.suffix == ".npz":
        return _of_embeddings(path)
    if path.suffix == ".onnx":
        return _of_onnx(path, stated, flip)
    if not _is_archive(path):
        raise InputError(
            f"teacher {path} is no checkpoint: take one of facerec train, a file .onnx or .npz, or timm:NAME:FILE"
        )
    return _of_checkpoint(path, stated, flip, device)


def _is_archive(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def _ours(image_size: tuple[int, int] | None) -> TeacherInput:
    """Return what the project's networks take."""
    return TeacherInput(image_size, "rgb", (127.5,) * 3, (127.5,) * 3)


def _device(cfg: DictConfig) -> torch.device:
    on_gpu = torch.cuda.is_available() and cfg.trainer.get("accelerator", "auto") in ("auto", "gpu", "cuda")
    return torch.device("cuda" if on_gpu else "cpu")


def _of_checkpoint(path: Path, stated: TeacherInput, flip: bool, device: torch.device) -> Teacher:
    backbone, trained, _ = build_trained(path)
    height, width = size_of(trained.backbone) or size_of(trained.data) or (trained.image_size, trained.image_size)
    taken = _ours((height, width)).agreed(stated, str(path))
    network = reparameterize(backbone).to(device)

    def embed(pixels: np.ndarray) -> np.ndarray:
        return _run(network, normalise(torch.from_numpy(np.ascontiguousarray(pixels)).to(device)))

    return NetworkTeacher(str(path), digest_of_file(path)[:16], "checkpoint", taken, flip, embed)


def _of_onnx(path: Path, stated: TeacherInput, flip: bool) -> Teacher:
    network = open_network(path)
    known = _ours(network.image_size) if network.takes_pixels else TeacherInput(network.image_size)
    taken = known.agreed(stated, str(path))

    def embed(pixels: np.ndarray) -> np.ndarray:
        return network.run(pixels if network.takes_pixels else taken.apply(pixels))

    return NetworkTeacher(str(path), digest_of_file(path)[:16], "onnx", taken, flip, embed)


def _of_timm(name: str, stated: TeacherInput, flip: bool, device: torch.device) -> Teacher:
    import timm  # slow to import

    model, _, weights = name.removeprefix(_TIMM).partition(":")
    if not timm.is_model(model):
        raise InputError(f"teacher {name} names no network of timm: timm.list_models() lists them")
    try:
        network = timm.create_model(model, pretrained=not weights, num_classes=0)
    except (RuntimeError, OSError) as error:
        first = str(error).splitlines()[0]
        raise InputError(
            f"teacher {name} cannot be made with timm's weights ({first}): give a file, as in timm:{model}:FILE"
        ) from error
    if weights:
        _load_timm(network, Path(in_home(weights)), name)
    network = network.eval().to(device)
    taken = TeacherInput(None, "rgb").agreed(stated, name)

    def embed(pixels: np.ndarray) -> np.ndarray:
        return _run(network, torch.from_numpy(taken.apply(pixels)).to(device))

    try:
        return NetworkTeacher(name, _digest_of(network), "timm", taken, flip, embed)
    except (AssertionError, RuntimeError) as error:
        raise InputError(
            f"teacher {name} does not work with images of the size that is stated ({str(error).splitlines()[0]})"
        ) from error


def _load_timm(network: nn.Module, path: Path, name: str) -> None:
    """Load the weights of the file, without those of its classifier."""
    refuse_no_regular_file(path)
    if not path.is_file():
        raise InputError(f"the weights {path} of teacher {name} do not exist: check the path")
    state, own = timm_weights(f"the file {path} of teacher {name}", path), network.state_dict()
    try:
        network.load_state_dict({key: value for key, value in state.items() if key in own})
    except RuntimeError as error:
        raise InputError(
            f"the weights {path} do not fit teacher {name} ({_second_line(error)}): give those of this network, as "
            "timm saves them"
        ) from error


def _of_embeddings(path: Path) -> Teacher:
    try:
        arrays = read_whole(path, compressed=True)
        rows, fingerprint = arrays["embeddings"], str(arrays["fingerprint"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"teacher {path} holds no arrays embeddings and fingerprint: write them with numpy.savez"
        ) from error
    if rows.ndim != 2 or rows.dtype.kind != "f" or 0 in rows.shape:
        raise InputError(
            f"teacher {path} has embeddings of type {rows.dtype} and shape {rows.shape}: write floating-point numbers "
            "with one row per image"
        )
    return StoredTeacher(str(path), digest_of_file(path)[:16], rows, fingerprint)


@torch.inference_mode()
def _run(network: nn.Module, images: Tensor) -> np.ndarray:
    return network(images).float().cpu().numpy()


def _digest_of(network: nn.Module) -> str:
    sha = hashlib.sha256()
    for name, weight in network.state_dict().items():
        sha.update(json.dumps([name, list(weight.shape)]).encode())
        sha.update(weight.cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()[:16]


def _second_line(error: Exception) -> str:
    """Return the first detail of an error of PyTorch's, whose first line only names the class."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[:2][-1].rstrip(".")
