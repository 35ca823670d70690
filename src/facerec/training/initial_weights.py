"""A file of weights to start from: a checkpoint, or with a timm network weights of timm's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from facerec.backbones.weight_files import TIMM_FILES, timm_weights
from facerec.errors import InputError
from facerec.files import digest_of_file, in_home, refuse_no_regular_file
from facerec.training.checkpoints import load_checkpoint, training_fingerprint
from facerec.training.stored_nodes import class_name, node_of

_NOT_OF_WEIGHTS = ("image_size", "pretrained")  # settings with which the weights fit all the same


class InitialWeights(NamedTuple):
    """What is read from the file; nothing in it is run, and its configuration is only compared.

    Attributes:
        path: as the user typed it.
        sha256: digest of the file.
        which: in words, the weights of the file that are used.
        backbone: weights by their names in the backbone.
        head: weights by their names in the head; none in a file of timm's.
        config: of the run that wrote the file; empty for a file of timm's.
        fingerprint: of the images that the head was trained on; None if it is not known.
    """

    path: str
    sha256: str
    which: str
    backbone: dict[str, Tensor]
    head: dict[str, Tensor]
    config: dict[str, Any]
    fingerprint: str | None

    @classmethod
    def read(cls, path: str, config: Mapping[str, Any]) -> "InitialWeights":
        """Read the file ``path`` for a run with ``config``.

        Raises:
            InputError: the file holds no weights, or those of another class of backbone or operator or of another
                embedding size.
        """
        file, is_of_timm = Path(in_home(path)), class_name(config["backbone"]) == "TimmNetwork"
        if config["backbone"].get("pretrained"):
            raise InputError(f"backbone.pretrained=true and init={path} both give the first weights: leave one out")
        refuse_no_regular_file(file)
        if file.suffix not in TIMM_FILES:
            return cls._of_checkpoint(path, file, config)
        if not is_of_timm:
            raise InputError(f"init={path} is no checkpoint: give one of facerec train, or add backbone=timm")
        weights = {f"features.{name}": weight for name, weight in timm_weights(f"init={path}", file).items()}
        return cls(path, digest_of_file(file), "timm's, averaged ones if the file has them", weights, {}, {}, None)

    @classmethod
    def _of_checkpoint(cls, path: str, file: Path, config: Mapping[str, Any]) -> "InitialWeights":
        checkpoint = load_checkpoint(file)
        theirs, weights = checkpoint["config"], checkpoint["state_dict"]
        _refuse_other_kind(path, theirs, config)
        ema = theirs["trainer"].get("ema") if isinstance(theirs.get("trainer"), dict) else None
        which = f"of epoch {checkpoint['epoch']}" + ("" if ema is None else f", averaged with trainer.ema={ema}")
        backbone, head = _below("backbone.", weights), _below("head.", weights)
        return cls(path, digest_of_file(file), which, backbone, head, theirs, training_fingerprint(checkpoint))

    def differences(self, config: Mapping[str, Any]) -> list[str]:
        """Return the settings of the network in which the file's run differs from one with ``config``."""
        same_operator = class_name(self.config.get("operator")) == class_name(config["operator"])
        found: list[str] = []
        for node in ("backbone", "operator") if same_operator else ("backbone",):
            theirs, ours = (node_of(whole, node) for whole in (self.config, config))
            keys = sorted(ours.keys() & theirs.keys() - {*_NOT_OF_WEIGHTS})
            found += [f"{node}.{k}={theirs[k]} (here {ours[k]})" for k in keys if theirs[k] != ours[k]]
        return found


def _refuse_other_kind(path: str, theirs: dict[str, Any], ours: Mapping[str, Any]) -> None:
    """Raise `InputError` unless the weights of a run with the configuration ``theirs`` may fit one with ``ours``."""
    differing: list[tuple[str, Any, Any]] = []
    for node in ("backbone", "operator"):
        there, here = node_of(theirs, node), node_of(ours, node)
        if class_name(there) == class_name(here):
            differing.append((f"{node}.kernel_size", there.get("kernel_size"), here.get("kernel_size")))
        elif node == "backbone" or class_name(there) not in ("Depthwise", None):  # from which operators can start
            differing.append((node, class_name(there), class_name(here)))
    differing.append(("embedding_dim", theirs.get("embedding_dim"), ours["embedding_dim"]))
    for key, there, here in differing:
        if there != here:
            raise InputError(
                f"init={path} was trained with {key}={there}, and this run has {key}={here}: give it the file's, or "
                "start without init"
            )


def _below(prefix: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): weight for name, weight in weights.items() if name.startswith(prefix)}
