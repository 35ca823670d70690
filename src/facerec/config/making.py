"""Instantiate a node of the configuration; what goes wrong is one sentence that names the node."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from facerec.config.node_types import check_node
from facerec.config.sentences import sentence
from facerec.errors import InputError, suggestion

_REFUSED = (
    InstantiationException,
    OmegaConfBaseException,
    RuntimeError,
    ValueError,
    TypeError,
    ImportError,
    AssertionError,
    ArithmeticError,
    MemoryError,
)


def make_all(parts: DictConfig, group: str) -> list[Any]:
    """Return what the nodes in ``parts`` describe; they are entries of the config group ``group``."""
    for name, part in parts.items():
        if not isinstance(part, DictConfig) or "_target_" not in part:
            known = [str(other) for other in parts if other != name]
            raise InputError(f"config entry {group}.{name} has no _target_; {suggestion(str(name), known)}")
    return [make(part, f"{group}.{name}") for name, part in parts.items()]


def make(node: DictConfig, key: str, **parts: Any) -> Any:
    """Return what ``node`` describes, with ``parts`` as further arguments; ``key`` is its name in sentences."""
    check(node, key)
    return refusing(instantiate, key)(node, _convert_="all", **parts)


def check(node: DictConfig, key: str) -> None:
    """Raise `InputError` for a value of a type that the constructor does not take."""
    refusing(_check, key)(node, key)


def _check(node: DictConfig, key: str) -> None:
    check_node(OmegaConf.to_container(node, resolve=True), key)


def refusing(make: Callable[..., Any], key: str) -> Callable[..., Any]:
    """Return ``make`` with its errors turned into one-sentence `InputError`s that name the config node ``key``."""

    @wraps(make, updated=())
    def call(*args: Any, **parts: Any) -> Any:
        try:
            return make(*args, **parts)
        except _REFUSED as error:
            cause = error.__cause__ if isinstance(error, InstantiationException) and error.__cause__ else error
            if isinstance(cause, InputError):
                raise cause from None
            raise _refusal(cause, key) from error

    return call


def _refusal(cause: BaseException, key: str) -> InputError:
    if isinstance(cause, OmegaConfBaseException):
        return InputError(sentence(cause))
    if isinstance(cause, MemoryError) or "can't allocate memory" in str(cause):
        return InputError(f"the {key} takes more memory than there is: make it smaller")
    said = " ".join(str(cause).split()) or f"{type(cause).__name__} in its constructor"
    return InputError(f"{said} (config node: {key})")
