"""The operators of configs/operator, made as Hydra makes them."""

import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

FOLDER = Path(__file__).parents[1] / "configs" / "operator"
FILES = sorted(file for file in FOLDER.glob("*.yaml") if file.stem != "none")


def read(file: Path) -> dict[str, Any]:
    return OmegaConf.to_container(OmegaConf.load(file))  # pyright: ignore[reportReturnType]


def constructor(file: Path) -> Callable[..., Any]:
    module, _, name = read(file)["_target_"].rpartition(".")
    return getattr(importlib.import_module(module), name)


def operator(file: Path, **changed: Any) -> Callable[..., Any]:
    """The callable that a backbone receives."""
    arguments = {key: value for key, value in read(file).items() if key[0] != "_"} | changed
    make = constructor(file)
    return partial(make, **arguments) if read(file).get("_partial_") else make(**arguments)
