"""The values of a node are of its constructor's types."""

import inspect
import re
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from hydra.utils import get_object
from says import refuses
from torch import Tensor, nn

from facerec.config.node_types import check_classes, check_node, fits
from facerec.config.options import CONFIG_FOLDER
from facerec.config.schema import LISTS_OF_TEXT, TEXTS
from facerec.errors import InputError


@pytest.mark.parametrize(
    ("hint", "values", "others"),
    [
        (bool, [True, False], [0, 1, "true", None, [True]]),
        (int, [0, -3], [True, 1.5, 2.0, "3", None]),
        (float, [0, 1.5, float("inf")], [True, "1.5", None]),
        (str, ["", "a"], [2024, None, True, ["a"]]),
        (str | None, ["a", None], [2024]),
        (float | Tensor, [1, 0.5], ["abc"]),
        (str | Path, ["a"], [1]),
        (Literal["a", 16], ["a", 16], ["b", "16", True]),
        (Sequence[int], [[], [1, 2]], ["12", [1, "2"], 3, None]),
        (Iterable[int], [[1]], [1]),
        (list[int] | str | int, [[0], "auto", 2], [[0.5], 0.5]),
        (tuple[int, ...], [[1, 2]], [["a"]]),
        (Any, [1, "a", None], []),
        (Mapping[str, nn.Module], [{"a": 1}, None], []),
        (Callable[[int], int] | None, [None, "by name"], []),
        (int, [{"_target_": "a.b"}], []),
    ],
    ids=str,
)
def test_a_value_is_of_a_type_or_not(hint, values, others):
    assert [value for value in values if not fits(value, hint)] == []
    assert [value for value in others if fits(value, hint)] == []


class Net:
    def __init__(
        self,
        operator: nn.Module,
        pretrained: bool = False,
        stages: Sequence[int] | None = None,
        image_size: Sequence[int] = (96, 96),
    ) -> None: ...


NET = {"_target_": f"{__name__}.Net"}


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        ({"pretrained": "weights.safetensors"}, ("net.pretrained", "true or false", "'weights.safetensors'")),
        ({"stages": 3}, ("net.stages", "list", "integer", "null", "3", "net.stages=[3]")),
        ({"pretraned": True}, ("Net", "pretraned", "~net.pretraned", "'pretrained'")),
        *(
            ({"_target_": target}, ("net._target_", "name of a class", f"got {shown}", "configs/"))
            for target, shown in ((5, "5"), (None, "null"), (["a"], '["a"]'), ("", "''"))
        ),
        *(
            ({"image_size": size}, ("net.image_size", "height", "width", f"got {size}", f"net.image_size={remedy}"))
            for size, remedy in (
                (32, "[32,32]"),
                ([32], "[32,32]"),
                ([32, 0], "[32,32]"),
                ([48, 32, 3], "[48,48]"),
                ([32.5, True], "[112,112]"),
                ([], "[112,112]"),
            )
        ),
        ({"operator": {**NET, "stages": ["a"]}}, ("net.operator.stages", "list", "integer", "a")),
    ],
)
def test_another_is_refused_at_any_depth(settings, facts):
    with refuses(*facts, error=InputError):
        check_node({**NET, **settings}, "net")


@pytest.mark.parametrize(
    "key",
    ["learner", "backbone", "operator", "head", "data", "optimizer", "lr_scheduler", "parameter_groups", "trainer"],
)
def test_a_node_that_lacks_its_class_is_refused(key):
    nodes = ("learner", "backbone", "head", "data", "optimizer", "lr_scheduler", "parameter_groups", "trainer")
    classes = dict.fromkeys(nodes, NET)
    check_classes({**classes, "operator": {}, "callbacks": {}, "width": 0.1})
    for node in ({"width": 0.1}, 5):
        with refuses(f"{key}._target_", "name of a class", "null", "configs/", error=InputError):
            check_classes({**classes, key: node})


def test_what_is_missing_and_who_cannot_be_imported_is_left_to_the_constructor():
    check_node({**NET, "pretrained": "???", "_partial_": "yes"}, "net")
    check_node({"_target_": "no.such.Net", "pretrained": 3}, "net")


def test_every_key_of_text_is_known():
    """The names and paths that constructors in configs/ take; one of few words is refused by them."""
    few_words = {
        "activation",
        "align",
        "gradient_clip_algorithm",
        "pooling",
        "where",
        "sampling",
        "combine",
        "padding",
        "mode",
        "interpolation",
        "monitor",
    }
    found = {key for key, hint in _hints_of_nodes() if hint in (str, str | None)}
    texts = {
        key
        for key in found
        if not key.rpartition(".")[2].startswith("generator_") and not few_words & set(key.split("."))
    }
    assert texts == {key for key in TEXTS if "." in key}
    assert {key for key, hint in _hints_of_nodes() if hint in (Sequence[str], Sequence[str] | None)} == set(
        LISTS_OF_TEXT
    )


def _hints_of_nodes() -> list[tuple[str, Any]]:
    """The keys of the nodes at the root, with their types."""
    found = []
    for file in CONFIG_FOLDER.glob("*/*.yaml"):
        for name in re.findall(r"^_target_: (facerec\.\S+)", file.read_text(), re.MULTILINE):
            made = get_object(name)
            hints = typing.get_type_hints(made.__init__ if inspect.isclass(made) else made)
            found += [(f"{file.parent.name}.{key}", hint) for key, hint in hints.items()]
    return found


@pytest.mark.parametrize("value", ["a\0b", ["lfw", "a\0b"], {"folder": {"path": "a\0b"}}], ids=str)
def test_no_text_has_a_character_that_no_path_can_have(value):
    with refuses("net.name", "a\\x00b", "NUL", "without", error=InputError):
        check_node({"name": value}, "net")
