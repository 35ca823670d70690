"""Every number and command of the page about networks is real."""

import re
import shlex
from pathlib import Path

import pytest

from facerec.backbones import MobileFaceNet, MobileNetV2
from facerec.config.compose import check_command_line
from facerec.cost import Cost, measure_cost
from facerec.operators.tvconv import TVConv

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line) for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]


def test_every_backbone_of_the_configuration_has_a_row():
    listed = re.findall(r"^\| `(\w+)` \|", PAGE.split("\n## ")[0], re.MULTILINE)
    named = sorted(file.stem for file in (ROOT / "configs" / "backbone").glob("*.yaml"))
    assert sorted([*listed, "deeplab"]) == named  # which segments, and has a page of its own


@pytest.mark.parametrize("words", [words for words in COMMANDS if words[1] == "train.py"], ids=" ".join)
def test_a_training_of_the_page_composes(words):
    check_command_line(words[2:])


def millions(*numbers: int) -> str:
    return " / ".join(f"{number / 1e6:.3f}" for number in numbers)


@pytest.mark.parametrize("pooling", ["average", "gdconv", "flatten"])
def test_a_row_of_the_poolings_is_what_is_measured(pooling):
    costs: list[Cost] = [measure_cost(MobileNetV2(width, pooling=pooling), (96, 96)) for width in (0.1, 1.0)]
    columns = [millions(*(getattr(cost, key) for cost in costs)) for key in ("macs_paper", "macs_core", "params")]
    assert f"| `{pooling}` | {' | '.join(columns)} |" in PAGE


@pytest.mark.parametrize(("stages", "words"), [((4, 5, 6, 7), "caches {} million"), (None, "in place of\n{}")])
def test_the_cached_values_of_the_stages_are_what_is_measured(stages, words):
    cost = measure_cost(MobileNetV2(0.1, TVConv, operator_stages=stages), (96, 96))
    assert words.format(f"{cost.weight_map_elements / 1e6:.3f}") in PAGE


def test_the_costs_of_mobilefacenet_are_what_is_measured():
    costs = [measure_cost(MobileFaceNet(width), (96, 96)).macs_core for width in (0.375, 0.5)]
    text = PAGE.replace("\n", " ")
    assert all(f"{cost / 1e6:.1f} million" in text for cost in costs)
