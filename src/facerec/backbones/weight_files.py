"""Files of weights in the formats of timm, read without running anything that is in them."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import torch
from torch import Tensor

from facerec.errors import InputError
from facerec.files import check_zip, in_home

TIMM_FILES = (".safetensors", ".pth", ".pt", ".bin")


def timm_weights(what: str, file: Path) -> dict[str, Tensor]:
    """Return the weights in a file of timm's; raise `InputError` that begins with ``what`` if they cannot be read."""
    from timm.models import load_state_dict  # slow to import

    try:
        if is_zipfile(file):  # as PyTorch writes it
            check_zip(file)
        weights = load_state_dict(str(file), weights_only=True)
    except OSError as error:
        raise InputError(f"{what} cannot be read ({error.strerror or 'no such file'}): check the path") from error
    except Exception as error:
        raise InputError(f"{what} is damaged or holds more than weights: give a file of timm's weights") from error
    for name, weight in weights.items():
        if not isinstance(name, str) or not is_whole(weight):
            raise InputError(f"{what} holds no weights under {name!r}: give a file of timm's weights")
    return weights


def is_whole(weight: Any) -> bool:
    """Return whether ``weight`` is a tensor on the CPU with a stored value for every element."""
    if not isinstance(weight, Tensor) or weight.layout is not torch.strided or weight.device.type != "cpu":
        return False
    return weight.nbytes <= weight.untyped_storage().nbytes()


def located(weights: str) -> Path:
    """Return the file that ``weights`` names: its path, or an installed package that contains one file of weights.

    The package is not imported. Raises `InputError` if there is neither, or no single file in the package.
    """
    file = Path(in_home(weights))
    if file.is_file():
        return file
    package = weights.replace("-", "_")  # as its distribution may be spelled
    spec = find_spec(package) if package.isidentifier() else None
    if spec is None:
        raise InputError(f"weights={weights} is neither a file nor an installed package: check the path, or install it")
    folders = spec.submodule_search_locations or []
    files = sorted(path for folder in folders for path in Path(folder).rglob("*") if path.suffix in TIMM_FILES)
    if len(files) != 1:
        endings = ", ".join(TIMM_FILES)
        found = f"{len(files)} files that end in {endings}"
        raise InputError(f"the package weights={weights} contains {found}, and one is needed: give the file's path")
    return files[0]
