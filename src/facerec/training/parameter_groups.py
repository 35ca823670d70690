"""Which parameters are trained, and with which weight decay and learning rate."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from torch import nn
from torch.optim import Optimizer

from facerec.checks import check_number
from facerec.errors import InputError
from facerec.operators.base import SpatialOperator

KINDS = ("norm", "bias", "prelu", "head")
_BATCH_NORMS = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)
_NORMS = (*_BATCH_NORMS, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_MOST_NAMES = 12  # in a message


class ParameterGroups:
    """Weight decay, learning rate and freezing of parameters, by kind or by name.

    A key is a kind or a pattern. Kinds are ``norm`` (parameters of normalisation layers), ``bias``, ``prelu`` (slopes
    of PReLU) and ``head`` (the class centres). A pattern, as in `fnmatch`, matches whole names: ``backbone.*``,
    ``*.affinity_maps``. The last key that matches a parameter counts. Parameters that an operator exempts from weight
    decay have none in any case.

    Args:
        weight_decay: per key; the optimizer's own where none matches.
        lr_factor: factor of the learning rate per key; 1 where none matches.
        freeze: keys of parameters that are not trained. Batch and instance norms without a trained parameter keep their
            running statistics.

    Raises:
        ValueError: a weight decay is negative, a factor is not positive, or either is not given per key.
    """

    def __init__(
        self,
        weight_decay: Mapping[str, float] | None = None,
        lr_factor: Mapping[str, float] | None = None,
        freeze: Sequence[str] = (),
    ) -> None:
        self.weight_decay = _checked("weight_decay", weight_decay)
        self.lr_factor, self.freeze = _checked("lr_factor", lr_factor), list(freeze)
        for key in [key for key, factor in self.lr_factor.items() if factor == 0]:
            raise ValueError(f"lr_factor of {key} is 0, with which nothing is trained: name it in freeze instead")

    def freeze_in(self, module: nn.Module) -> None:
        """Take the gradient from the frozen parameters of ``module``.

        Raises:
            InputError: a pattern matches nothing, or everything is frozen.
        """
        found = list(_described(module))
        self._refuse_unmatched("freeze", self.freeze, found)
        for parameter in found:
            if _last_match(self.freeze, parameter) is not None:
                parameter.value.requires_grad_(False)
        trained = [parameter for parameter in found if parameter.value.requires_grad]
        if not trained:
            raise InputError(
                f"parameter_groups.freeze={_typed(self.freeze)} freezes every parameter: leave some to train, out of "
                f"{_names(found)}"
            )
        for option in ("weight_decay", "lr_factor"):
            self._refuse_unmatched(option, list(getattr(self, option)), trained)

    def keep_frozen(self, module: nn.Module) -> None:
        """Set the batch and instance norms of ``module`` that are frozen to evaluation mode."""
        for name, norm in module.named_modules():
            if self.freeze and isinstance(norm, _BATCH_NORMS) and self._is_frozen(name, norm):
                norm.eval()

    def _is_frozen(self, name: str, norm: nn.Module) -> bool:
        own = list(norm.parameters(recurse=False))
        if own:
            return not any(parameter.requires_grad for parameter in own)
        return _last_match(self.freeze, _Described(f"{name}.running_mean", frozenset({"norm"}), None)) is not None

    def optimizer(self, make: Callable[[Any], Optimizer], module: nn.Module) -> Optimizer:
        """Return ``make(groups)`` for the trained parameters of ``module``, with the learning rates of the groups.

        Raises:
            InputError: the optimizer has no weight decay that groups could differ in.
        """
        groups = self._grouped(module)
        optimizer = make([group for group, _ in groups])
        if self.weight_decay and "weight_decay" not in optimizer.defaults:
            raise InputError(
                f"optimizer {type(optimizer).__name__} has no weight decay, and parameter_groups.weight_decay="
                f"{_typed(self.weight_decay)} sets one: take optimizer=sgd or adamw, or parameter_groups=uniform"
            )
        for group, (_, factor) in zip(optimizer.param_groups, groups, strict=True):
            group["lr"] *= factor
        return optimizer

    def _grouped(self, module: nn.Module) -> list[tuple[dict[str, Any], float]]:
        """Return a group per weight decay and factor, with its factor; first what has neither."""
        exempt = {id(p) for m in module.modules() if isinstance(m, SpatialOperator) for p in m.no_weight_decay()}
        groups: dict[tuple[float | None, float], list[nn.Parameter]] = {(None, 1.0): []}
        for found in _described(module):
            if found.value.requires_grad:
                decay = 0.0 if id(found.value) in exempt else _value(self.weight_decay, found)
                factor = _value(self.lr_factor, found)
                groups.setdefault((decay, 1.0 if factor is None else factor), []).append(found.value)
        return [
            ({"params": members} | ({} if decay is None else {"weight_decay": decay}), factor)
            for (decay, factor), members in groups.items()
            if members
        ]

    @staticmethod
    def _refuse_unmatched(option: str, keys: Sequence[str], found: "Sequence[_Described]") -> None:
        for key in keys:
            if key not in KINDS and not any(fnmatchcase(parameter.name, key) for parameter in found):
                kind = "parameter" if option == "freeze" else "trained parameter"
                raise InputError(
                    f"parameter_groups.{option} names {key!r}, which matches no {kind}: write one of the kinds "
                    f"{', '.join(KINDS)}, or a pattern that matches names out of {_names(found)}"
                )


class _Described(NamedTuple):
    name: str
    kinds: frozenset[str]
    value: Any  # nn.Parameter


def _checked(option: str, values: Any) -> dict[str, float]:
    if values is not None and not isinstance(values, Mapping):
        raise ValueError(f"{option} must have a number per key, got {values!r}: write {option}={{norm:0}}, for example")
    for key, value in (values or {}).items():
        check_number(f"{option} of {key}", value)
    return dict(values or {})


def _described(module: nn.Module) -> Iterator[_Described]:
    """Yield each parameter once, in the order of ``module.parameters()``."""
    kinds: dict[int, set[str]] = {}
    for owner in module.modules():
        for key, parameter in owner.named_parameters(recurse=False):
            kinds.setdefault(id(parameter), set()).update(_kinds(owner, key))
    for name, parameter in module.named_parameters():
        of_head = {"head"} if name.startswith("head.") else set()
        yield _Described(name, frozenset(kinds[id(parameter)] | of_head), parameter)


def _kinds(owner: nn.Module, key: str) -> set[str]:
    found = {"bias"} if key == "bias" else set()
    if isinstance(owner, _NORMS):
        found.add("norm")
    return found | ({"prelu"} if isinstance(owner, nn.PReLU) else set())


def _last_match(keys: Sequence[str], parameter: _Described) -> str | None:
    found = [key for key in keys if key in parameter.kinds or (key not in KINDS and fnmatchcase(parameter.name, key))]
    return found[-1] if found else None


def _value(of_key: Mapping[str, float], parameter: _Described) -> float | None:
    key = _last_match(list(of_key), parameter)
    return None if key is None else of_key[key]


def _names(found: Sequence[_Described]) -> str:
    """Return the first two parts of the names, as patterns."""
    parts = [parameter.name.split(".") for parameter in found]
    patterns = list(dict.fromkeys(".".join([*part[:2], "*"] if len(part) > 2 else part) for part in parts))
    more = [f"{len(patterns) - _MOST_NAMES} more"] if len(patterns) > _MOST_NAMES else []
    return ", ".join([*patterns[-_MOST_NAMES:], *more])


def _typed(value: Any) -> str:
    return str(value).replace("'", "").replace(" ", "")
