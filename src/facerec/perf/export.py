"""Speed of exported files: TVConv and filters on a coarse grid against the depthwise convolution, each in the runtime's
own operators and in facerec's, which fuse the depthwise network too.

The TVConv paper found TVConv at half the width and the depthwise convolution at full width equally accurate, so each is
taken in its fastest file. The same two networks are also measured in PyTorch, with facerec's own kernels.

TVConv's weights are exact, or rounded to float16 where that is said: only a trained network shows how good a low-rank
approximation would be.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import nn

from facerec.backbones.mobilefacenet import MobileFaceNet
from facerec.backbones.mobilenet_v2 import MobileNetV2
from facerec.deploy import in_format, reparameterize
from facerec.exporting import formats as files
from facerec.exporting.deployed_network import EmbedsPixels, export_form
from facerec.exporting.folding import fold_batch_norms
from facerec.exporting.formats import Model
from facerec.operators.grid_depthwise import GridDepthwise
from facerec.perf.comparison import Case, Goal, Rounds
from facerec.perf.network_speed import DEPTHWISE, KINDS, OURS, Kind
from facerec.perf.timing import Effort, alternate, per_second

GRID = "grid"
_KINDS = {**KINDS, GRID: Kind(GridDepthwise)}
_NO_FILE, _ROUNDED, _BATCHES = "PyTorch", "native float16", (1, 2, 4, 8, 16)


def _native_form(backbone: nn.Module, half: bool = False) -> nn.Module:
    from facerec.exporting.native.rewrite import native_form  # which imports timm, and that is slow

    return native_form(backbone, half)


# Format and network of each form.
_FORMS: dict[str, tuple[str, Callable[[nn.Module], nn.Module]]] = {
    "onnx": ("onnx", export_form),
    "pt2": ("pt2", export_form),
    "torchscript": ("torchscript", export_form),
    "native": ("onnx", _native_form),
    _ROUNDED: ("onnx", partial(_native_form, half=True)),
}
Models = dict[str, dict[str, Model]]  # by network, then by form


@dataclass(frozen=True)
class Network:
    """A network and the forms in which it is measured.

    Attributes:
        stages: of the operator; None: all.
        backbone: its class.
    """

    operator: str
    width: float
    forms: tuple[str, ...]
    stages: tuple[int, ...] | None = None
    backbone: type[nn.Module] = MobileNetV2

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.operator} x{self.width}{'' if self.stages is None else ', last stages'}"

    def build(self, side: int) -> nn.Module:
        """Build it for square images of ``side`` pixels."""
        kind = _KINDS[self.operator]
        network = self.backbone(self.width, kind.operator, (side, side), operator_stages=self.stages)
        return in_format(network, kind.memory_format).eval()


def cases(effort: Effort) -> list[Case]:
    """Return the cases of each batch size. The files are written when the first of them runs."""
    if effort.quick:
        quick = Network(OURS, 0.1, ("torchscript",)), Network(DEPTHWISE, 0.1, ("torchscript", "native"))
        return _cases("", quick, lambda batch: [], effort)
    ours = Network(OURS, 0.5, (_NO_FILE, "onnx", "pt2", "native", _ROUNDED))
    theirs = Network(DEPTHWISE, 1.0, (_NO_FILE, "onnx", "pt2", "native"))
    headline = _cases("", (ours, theirs), partial(_headline, ours, theirs), effort)
    small, opponent = Network(OURS, 0.1, ("native",)), Network(DEPTHWISE, 0.1, ("onnx",))
    of_small = _cases("x0.1, ", (small, opponent), partial(_small, small, opponent), effort)
    # The operator in the last four stages alone, as experiment=embedded has it.
    last, opponent = Network(OURS, 0.5, ("native", _ROUNDED), (4, 5, 6, 7)), Network(DEPTHWISE, 0.5, ("onnx", "native"))
    embedded = _cases("embedded, ", (last, opponent), partial(_beside_best, last, opponent), effort)
    return headline + of_small + embedded + _of_grids(effort)


def _of_grids(effort: Effort) -> list[Case]:
    """Return the cases of filters on a grid, in MobileNetV2 and in the network of experiment=modern."""
    found = []
    for prefix, backbone, width in (("grid, ", MobileNetV2, 0.1), ("modern, ", MobileFaceNet, 0.25)):
        ours = Network(GRID, width, ("native",), backbone=backbone)
        opponent = Network(DEPTHWISE, width, ("onnx", "native"), backbone=backbone)
        found += _cases(prefix, (ours, opponent), partial(_beside_best, ours, opponent), effort)
    return found


def _headline(ours: Network, theirs: Network, batch: int) -> list[Goal]:
    """Return the goals of the two networks that are equally accurate: of exact files, and of rounded weights."""
    exact, rounded = {1: (1.3, 1.7), 2: (1.6, 2.0), 4: (2.0, 2.4)}.get(batch, (2.3, 2.4))
    best = _best(theirs.name)
    return [Goal(_best(ours.name), best, exact), Goal(f"{ours.name}, {_ROUNDED}", best, rounded)]


def _small(ours: Network, theirs: Network, batch: int) -> list[Goal]:
    target = {1: 0.7, 2: None}.get(batch, 0.95)
    return [Goal(f"{ours.name}, native", f"{theirs.name}, onnx", target)]


def _beside_best(ours: Network, theirs: Network, batch: int) -> list[Goal]:
    return [Goal(f"{ours.name}, {form}", _best(theirs.name), 0.9) for form in ours.forms]


def _cases(prefix: str, networks: Sequence[Network], goals: Callable[[int], list[Goal]], effort: Effort) -> list[Case]:
    batches, side = ((1,), 32) if effort.quick else (_BATCHES, 96)
    ready = cache(partial(_models, networks, side))
    measures = {batch: partial(_measure, ready, batch, side, effort) for batch in batches}
    return [
        Case("export", f"{prefix}batch {batch}", "images/s", measure, goals(batch))
        for batch, measure in measures.items()
    ]


def _models(networks: Sequence[Network], side: int) -> Models:
    with TemporaryDirectory() as folder:
        return {network.name: _forms(network, side, Path(folder)) for network in networks}


def _forms(network: Network, side: int, folder: Path) -> dict[str, Model]:
    backbone, pixels = network.build(side), torch.from_numpy(random_pixels(2, side))
    models: dict[str, Model] = {}
    for form in network.forms:
        if form == _NO_FILE:
            models[form] = _in_pytorch(backbone)
            continue
        format, of_form = _FORMS[form]
        path = folder / f"{network.name}, {form}{files.SUFFIXES[format]}"
        files.write(format, of_form(backbone), pixels, {"config": "{}"}, path)
        models[form] = files.read(path)
    return models


def _measure(ready: Callable[[], Models], batch: int, side: int, effort: Effort) -> Rounds:
    models, pixels = ready(), random_pixels(batch, side)
    calls = {
        f"{name}, {form}": partial(model.embed, pixels)
        for name, forms in models.items()
        for form, model in forms.items()
    }
    rates = per_second(alternate(calls, effort), batch)
    best = {
        _best(name): max((rates[f"{name}, {form}"] for form in forms if form not in (_NO_FILE, _ROUNDED)), key=median)
        for name, forms in models.items()
    }
    return rates | best


def _in_pytorch(backbone: nn.Module) -> Model:
    """Wrap the network for PyTorch with facerec's kernels, with BatchNorm folded as in a file."""
    network = in_format(EmbedsPixels(fold_batch_norms(reparameterize(backbone))))
    embed = torch.inference_mode()(network)
    return Model({}, lambda pixels: embed(torch.from_numpy(pixels)).numpy())


def random_pixels(batch: int, side: int) -> np.ndarray:
    """Draw noise, uint8 ``(B, H, W, 3)``."""
    return np.random.default_rng(0).integers(0, 256, (batch, side, side, 3), np.uint8)


def _best(name: str) -> str:
    return f"{name}, its best exact file"
