"""Fine-tuning: a network starts from the weights in a file, and so does its head if it has the same classes."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from facerec.errors import InputError
from facerec.heads import CosineHead
from facerec.operators.base import SpatialOperator
from facerec.operators.depthwise import Depthwise
from facerec.training.initial_weights import InitialWeights
from facerec.training.maps import resample_maps
from facerec.training.stored_nodes import class_name, node_of

TAKEN, NEW = "taken", "new"
RESAMPLED = "taken, resampled to this image size"
STARTED = "started from the depthwise filters"

_ADDED_TO_TIMM = ("embed.", "align.")  # parts of a `TimmNetwork` that timm's weights do not have
_MOST_NAMES = 3  # in a message


class FineTuning:
    """Loads the weights of a file, and keeps what was taken and what was left.

    Args:
        initial: the content of the file.
        config: of this run.

    Attributes:
        head: whether the head's weights were taken, or why they are new.
    """

    def __init__(self, initial: InitialWeights, config: Mapping[str, Any]) -> None:
        self.initial, self.head = initial, NEW
        self._config = config
        self._origins: dict[str, str] = {}  # of each tensor, by its name in a checkpoint
        self._sizes: dict[str, int] = {}
        self._used: set[str] = set()  # names in the file

    @property
    def has_started_operators(self) -> bool:
        """Whether operators were started from depthwise filters, so that their maps have not been trained."""
        return STARTED in self._origins.values()

    def load_backbone(self, backbone: nn.Module) -> None:
        """Load the backbone's weights.

        Maps are resampled to the backbone's image size. If the file has depthwise filters and the backbone another
        operator, each operator starts from its filters. Of timm's weights, the classifier is left.

        Raises:
            InputError: weights do not fit or are missing, or the operator cannot start from depthwise filters.
        """
        operators = self._operators_to_start(backbone)
        own, theirs = backbone.state_dict(), self._fitted(backbone)
        started = {name for path in operators for name in own if name.startswith(f"{path}.")}
        filters = {f"{path}.weight" for path in operators}
        self._refuse_misfits(_without(started, own), _without(filters, theirs), self._left_of_timm(backbone))
        taken = {name: weight for name, weight in theirs.items() if name in own and name not in started}
        backbone.load_state_dict(taken, strict=False)
        for path, operator in operators.items():
            self._start(path, operator)
        for name, weight in own.items():
            resampled = name in taken and weight.shape != self.initial.backbone[name].shape
            origin = RESAMPLED if resampled else TAKEN if name in taken else STARTED if name in started else NEW
            self._note(f"backbone.{name}", weight, origin)
        self._used |= {f"backbone.{name}" for name in taken.keys() | filters}

    def load_head(self, head: CosineHead, fingerprint: str | None) -> None:
        """Load the head's weights if they are of the same kind of head and of the training set ``fingerprint``."""
        why = self._why_new(head, fingerprint)
        self.head = TAKEN if why is None else f"{NEW}: {why}"
        if why is None:
            head.load_state_dict(self.initial.head)
            self._used |= {f"head.{name}" for name in self.initial.head}
        for name, weight in head.state_dict().items():
            self._note(f"head.{name}", weight, self.head)

    def summary(self) -> dict[str, Any]:
        """Return the file, its digest, and how many values of the backbone start from where, as plain values."""
        values = Counter[str]()
        for name, origin in self._origins.items():
            if name.startswith("backbone."):
                values[origin] += self._sizes[name]
        file = {"file": self.initial.path, "sha256": self.initial.sha256, "weights": self.initial.which}
        return {**file, "backbone_values": dict(values), "head": self.head}

    def rows(self) -> list[dict[str, str]]:
        """Return a table with a row for each module and where it starts from, then of what is left in the file."""
        counted = [(_module(name), origin, self._sizes[name]) for name, origin in self._origins.items()]
        counted += [(_module(name), "left in the file", size) for name, size in self._unused()]
        tensors = Counter((module, origin) for module, origin, _ in counted)
        values = Counter[tuple[str, str]]()
        for module, origin, size in counted:
            values[module, origin] += size
        return [
            {"module": module, "tensors": str(number), "values": f"{values[module, origin]:,}", "start": origin}
            for (module, origin), number in tensors.items()
        ]

    def differences(self) -> list[str]:
        """Return the settings of the network in which the file's run differs, with both values."""
        return self.initial.differences(self._config)

    def _note(self, name: str, weight: Tensor, origin: str) -> None:
        self._origins[name], self._sizes[name] = origin, weight.numel()

    def _unused(self) -> list[tuple[str, int]]:
        file = {f"backbone.{name}": weight for name, weight in self.initial.backbone.items()}
        file |= {f"head.{name}": weight for name, weight in self.initial.head.items()}
        return [(name, weight.numel()) for name, weight in file.items() if name not in self._used]

    def _fitted(self, backbone: nn.Module) -> dict[str, Tensor]:
        """Return the file's weights with maps of the backbone's image size."""
        theirs, size = self.initial.backbone, node_of(self.initial.config, "backbone").get("image_size")
        if size in (None, self._config["backbone"]["image_size"]):
            return theirs
        try:
            return resample_maps(theirs, backbone)
        except (RuntimeError, IndexError, ZeroDivisionError) as error:
            raise InputError(f"init={self.initial.path} has maps without values: use another file") from error

    def _operators_to_start(self, backbone: nn.Module) -> dict[str, SpatialOperator]:
        """Return the operators, by path, for which the file has depthwise filters."""
        if class_name(self._config["operator"]) == class_name(node_of(self.initial.config, "operator")):
            return {}
        operators = {path: operator for path, operator in _operators(backbone) if not isinstance(operator, Depthwise)}
        misfits = [f"{path} has no depthwise filters there" for path in operators if not self._has_filters(path)]
        if misfits:
            raise InputError(self._refusal(misfits))
        return operators

    def _has_filters(self, path: str) -> bool:
        """Return whether the file has filters ``(C, 1, k, k)`` for the module ``path``, and nothing else."""
        weight = self.initial.backbone.get(f"{path}.weight")
        alone = f"{path}.bias" not in self.initial.backbone
        return alone and weight is not None and weight.ndim == 4 and weight.shape[1] == 1 < weight.shape[3]

    def _left_of_timm(self, backbone: Any) -> tuple[str, ...]:
        """Return the beginnings of the names of the classifier, which only files of timm's have."""
        names = () if self.initial.config else backbone.features.pretrained_cfg.get("classifier") or ()
        return tuple(f"features.{name}." for name in ([names] if isinstance(names, str) else names))

    def _refuse_misfits(self, own: Mapping[str, Tensor], theirs: Mapping[str, Tensor], left: tuple[str, ...]) -> None:
        """Raise `InputError` if a weight has another shape, is missing in the file, or is only there."""
        new = () if self.initial.config else _ADDED_TO_TIMM
        missing = [name for name in own if name not in theirs and not name.startswith(new)]
        misfits = [
            f"{name} is {_shape(theirs[name])} there and {_shape(weight)} here"
            for name, weight in own.items()
            if name in theirs and theirs[name].shape != weight.shape
        ]
        # Files of old versions of PyTorch lack the counters.
        misfits += [f"{name} is not in the file" for name in missing if not name.endswith(".num_batches_tracked")]
        further = [name for name in theirs if name not in own and not name.startswith(left)]
        misfits += [f"{name} is not in this network" for name in further]
        if misfits:
            raise InputError(self._refusal(misfits))

    def _refusal(self, misfits: list[str]) -> str:
        more = f"; and {len(misfits) - _MOST_NAMES} more" if len(misfits) > _MOST_NAMES else ""
        differences = "".join(f", trained with {difference}" for difference in self.differences())
        return (
            f"init={self.initial.path} does not fit this network in {len(misfits)} tensors, "
            f"{'; '.join(misfits[:_MOST_NAMES])}{more}{differences}: give the settings of the file's network, or start "
            "without init"
        )

    def _start(self, path: str, operator: SpatialOperator) -> None:
        weight, name = self.initial.backbone[f"{path}.weight"], type(operator).__name__
        try:
            if operator.start_from(weight.float()):
                return
            why = f"and {name} cannot start from such: take operator=depthwise or tvconv, or"
        except RuntimeError:
            why = f"of {_shape(weight)} for {path}, and {name} has others: give it their operator.kernel_size, or"
        raise InputError(f"init={self.initial.path} has depthwise filters {why} start without init")

    def _why_new(self, head: CosineHead, fingerprint: str | None) -> str | None:
        """Return why the file's head cannot be taken, or None."""
        theirs, own = _shapes(self.initial.head), _shapes(head.state_dict())
        kind = class_name(self.initial.config.get("head"))
        if not theirs or kind != type(head).__name__:
            return f"the file's is {kind}" if theirs else "the file has none"
        if theirs != own:
            there, here = (f"{shapes['weight']}" if "weight" in shapes else "none" for shapes in (theirs, own))
            return f"class centres {there} there and {here} here"
        return None if fingerprint == self.initial.fingerprint is not None else "trained on other images"


def _operators(module: nn.Module, path: str = "") -> Iterator[tuple[str, SpatialOperator]]:
    """Yield the operators with their paths, without those that are part of another one."""
    for name, child in module.named_children():
        if isinstance(child, SpatialOperator):
            yield path + name, child
        else:
            yield from _operators(child, f"{path}{name}.")


def _without(names: set[str], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: weight for name, weight in weights.items() if name not in names}


def _module(name: str) -> str:
    """Return the part of the network that a tensor belongs to, such as ``backbone.features``."""
    return ".".join(name.split(".")[: 2 if name.startswith("backbone.") else 1])


def _shape(weight: Tensor) -> str:
    return f"({', '.join(map(str, weight.shape))})"


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, str]:
    return {name: _shape(weight) for name, weight in weights.items()}
