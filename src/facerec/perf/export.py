"""Speed of exported files: TVConv at half the width against the depthwise convolution, in each runtime and then each in
its fastest one. The TVConv paper found these two networks equally accurate.

The same networks are also measured in PyTorch, with facerec's own kernels.

TVConv's weights are exact: only a trained network shows how good a low-rank approximation would be.
"""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import nn

from facerec.deploy import in_format, reparameterize
from facerec.exporting import formats as files
from facerec.exporting.deployed_network import EmbedsPixels, export_form
from facerec.exporting.folding import fold_batch_norms
from facerec.exporting.formats import Model
from facerec.perf.comparison import Case, Goal, Rounds
from facerec.perf.network_speed import DEPTHWISE, KINDS, OURS, build_network
from facerec.perf.setting import Setting
from facerec.perf.timing import Effort, alternate, per_second

_FORMATS, _QUICK_FORMATS, _BATCHES = ("onnx", "pt2"), ("torchscript",), (1, 2, 4, 8, 16)
_NO_FILE = "PyTorch"
Models = dict[str, dict[str, Model]]  # by network, then by format


def cases(effort: Effort) -> list[Case]:
    """Return one case per batch size. The files are written when the first of them runs."""
    formats, batches = (_QUICK_FORMATS, (1,)) if effort.quick else (_FORMATS, _BATCHES)
    ours, theirs = (Setting(0.1, 2, 32),) * 2 if effort.quick else (Setting(0.5, 2), Setting(1.0, 2))
    names = f"{OURS} x{ours.width}", f"{DEPTHWISE} x{theirs.width}"
    ready = cache(partial(_models, {names[0]: (OURS, ours), names[1]: (DEPTHWISE, theirs)}, formats))
    goals = (Goal(_best(names[0]), _best(names[1]), 2.5),)
    return [
        Case("export", f"batch {batch}", "images/s", partial(_measure, ready, batch, ours.side, effort), goals)
        for batch in batches
    ]


def _models(networks: dict[str, tuple[str, Setting]], formats: tuple[str, ...]) -> Models:
    models: Models = {}
    with TemporaryDirectory() as folder:
        for name, (kind, setting) in networks.items():
            backbone = build_network(KINDS[kind], setting).eval()
            network = export_form(backbone)
            pixels = torch.from_numpy(random_pixels(setting.batch, setting.side))
            models[name] = {_NO_FILE: _in_pytorch(backbone)}
            for form in formats:
                path = Path(folder, f"{kind}{files.SUFFIXES[form]}")
                files.write(form, network, pixels, {"config": "{}"}, path)
                models[name][form] = files.read(path)
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
        _best(name): max((rates[f"{name}, {form}"] for form in forms if form != _NO_FILE), key=median)
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
    return f"{name}, its best file"
