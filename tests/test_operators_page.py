"""Every operator is on its page, and every setting, command, number, formula and link of the page is real."""

import re
import shlex
from functools import cache
from pathlib import Path

import pytest
import torch
import yaml
from operator_files import FILES, FOLDER, operator, read
from torch import nn

from facerec.backbones import MobileNetV2
from facerec.backbones.mlp_mixer import MLPMixer
from facerec.commands.main import module_of
from facerec.config.compose import check_command_line, compose
from facerec.config.settings import parse
from facerec.cost import Cost, measure_cost
from facerec.operators.base import OperatorFactory
from facerec.operators.tvconv import TVConv

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "docs" / "operators.md"
PAGE = FILE.read_text(encoding="utf-8")
PROSE = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
NAMES = [file.stem for file in FILES]
WIDTHS = (0.1, 1.0)
FILTERS = torch.zeros(48, 1, 3, 3)


def section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def chapters() -> dict[str, str]:
    """The text below the heading of each operator."""
    parts = re.split(r"^### (.*)$", section("One by one"), flags=re.MULTILINE)[1:]
    return {
        name: text
        for title, text in zip(parts[::2], parts[1::2], strict=True)
        for name in re.findall("`([^`]+)`", title)
    }


CHAPTERS = chapters()


def commands() -> list[list[str]]:
    lines = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def table(text: str) -> list[list[str]]:
    """The cells of the rows below the head."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return rows[2:]


def options(text: str) -> list[tuple[str, object]]:
    """The operator's own settings in ``text``."""
    return [(key, yaml.safe_load(value)) for key, value in re.findall(r"`operator\.([a-z_]+)=([^`]+)`", text)]


def make(name: str, settings: list[tuple[str, object]]):
    assert {key for key, _ in settings} <= read(FOLDER / f"{name}.yaml").keys()
    return operator(FOLDER / f"{name}.yaml", **dict(settings))


@pytest.fixture
def unfilled():
    """Networks without initial values, which counting does not read."""
    with pytest.MonkeyPatch.context() as patch:
        for fill in ("kaiming_normal_", "kaiming_uniform_", "xavier_uniform_", "normal_", "uniform_"):
            patch.setattr(nn.init, fill, lambda tensor, *_, **__: tensor.data.zero_())
        yield


@cache
def cost(words: str, width: float) -> Cost:
    """Of the network that a row of the table names."""
    name, *settings = words.split()
    made = make(name, options("".join(f"`{setting}`" for setting in settings)))
    return measure_cost(MobileNetV2(width, made), (96, 96))


# Operators and their settings.


def test_every_operator_has_a_heading_and_none_is_made_up():
    assert sorted(CHAPTERS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_options_are_those_of_the_operator_with_their_defaults(name):
    listed = re.search(r"^- Options: (.*?)(?=^- )", CHAPTERS[name], re.DOTALL | re.MULTILINE).group(1)
    assert dict(options(listed)) == {
        key: value for key, value in read(FOLDER / f"{name}.yaml").items() if key[0] != "_"
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_chapter_links_to_the_source_and_has_an_equation(name):
    (source,) = re.findall(r"\(\.\./(src/facerec/operators/[a-z_]+\.py)\)", CHAPTERS[name])
    assert source == read(FOLDER / f"{name}.yaml")["_target_"].rpartition(".")[0].replace(".", "/").join(
        ("src/", ".py")
    )
    assert re.search(r"^\$\$.*\$\$$", CHAPTERS[name], re.MULTILINE)
    for paper in re.findall(r"arxiv\.org/abs/([\d.]+)", CHAPTERS[name]):
        assert paper in (ROOT / source).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_in_a_chapter_makes_an_operator(name):
    for setting in options(CHAPTERS[name] + (section("TVConv's knobs") if name == "tvconv" else "")):
        # WeightNet's are given together: its multiplier is a multiple of its groups.
        with_it = [("groups", 1)] if setting[0] == "multiplier" else []
        make(name, [setting, *with_it])(48, stride=2, out_size=(3, 3))


def test_the_knobs_are_all_options_of_tvconv_each_with_its_default_first():
    rows = [options(first) for first, *_ in table(section("TVConv's knobs")) if "`operator." in first]
    defaults = {key: value for key, value in read(FOLDER / "tvconv.yaml").items() if key[0] != "_"}
    assert dict(setting for row in rows for setting in row) == defaults


@pytest.mark.parametrize(
    "words", sorted(set(re.findall(r"`((?:operator|backbone|width|image_size)[.=][^`]*)`", PROSE)))
)
def test_a_setting_of_the_page_is_one_that_the_configuration_has(words):
    first, *others = words.split()
    if first.startswith("operator."):
        assert any(first[9:].partition("=")[0] in read(file) for file in FILES)
    elif first.startswith("operator=") and first not in ("operator=", "operator=NAME", "operator=none"):
        make(first[9:], options("".join(f"`{word}`" for word in others)))(48, stride=1, out_size=(3, 3))
    elif "=" in first and first[-1] != "=" and first != "operator=NAME":
        compose([first, *others])
    elif first == "backbone.where":
        assert "where" in yaml.safe_load((ROOT / "configs/backbone/timm.yaml").read_text())


# Commands.


@pytest.mark.parametrize("words", [words for words in commands() if words[0] == "train.py"], ids=" ".join)
def test_a_training_of_the_page_composes(words):
    check_command_line([word for word in words[1:] if word != "-m"])


def test_the_table_holds_what_its_commands_measure():
    measured, listed = (
        module_of("measure"),
        [cells[0].strip("`") for cells in table(section("What they cost").split("One layer")[0])],
    )
    cells = [cell for _, *words in commands_of("measure") for cell in measured.combinations(words)]
    assert {" ".join(cell)[len("operator=") :] for cell in cells} == {
        f"{row} width={w}" for row in listed for w in WIDTHS
    }


def commands_of(program: str) -> list[list[str]]:
    return [words for words in commands() if words[0] == program]


def test_the_verification_at_another_size_is_one_that_the_program_takes():
    evaluate = module_of("evaluate")
    ((_, *words),) = commands_of("evaluate")
    settings = parse(evaluate.Settings, words)
    assert settings.image_size == 112 and not settings.overrides
    compose([f"image_size={settings.image_size}"])


def test_the_program_replaces_some_convolutions_and_keeps_the_others(unfilled):
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict = {}
    exec(compile(program, "operators.md", "exec"), names)
    replaced = [name for name, module in names["replaced"].named_modules() if isinstance(module, TVConv)]
    assert replaced and all(name.startswith("blocks.3.") for name in replaced)


# Numbers.


def millions(*numbers: int, digits: int) -> str:
    return " / ".join(f"{number / 1e6:,.{digits}f}" for number in numbers) if any(numbers) else "0"


@pytest.mark.parametrize("cells", table(section("What they cost").split("One layer")[0]), ids=lambda cells: cells[0])
def test_a_row_of_the_table_is_what_is_measured(cells, unfilled):
    costs = [cost(cells[0].strip("`"), width) for width in WIDTHS]
    digits = {"macs_paper": 2, "params": 3, "params_deployed": 3, "weight_map_elements": 3, "macs_once": 0}
    assert cells[1:] == [millions(*(getattr(cost, key) for cost in costs), digits=n) for key, n in digits.items()]


def cost_of_a_layer(module: nn.Module, channels: int, side: int) -> int:
    """Behind a 1x1 convolution that brings the image to the channels, whose multiply-adds are taken off again."""
    conv = nn.Conv2d(3, channels, 1, bias=False)
    return measure_cost(nn.Sequential(conv, module), (side, side)).macs_core - 3 * channels * side**2


@pytest.mark.parametrize("cells", table(section("What they cost").split("One layer")[1]), ids=lambda cells: cells[0])
@pytest.mark.parametrize(("channels", "side"), [(48, 6), (96, 3), (320, 2)])
def test_the_formula_of_a_layer_is_what_is_measured(cells, channels, side):
    names, formula, width = (cell.replace("`", "") for cell in cells)
    values = {"C": channels, "n": side**2, "S": side}
    if width:
        values["m"] = eval(width.partition("= ")[2], values)
    expected = eval(formula.replace("·", "*").replace("²", "**2"), values)
    for name in names.split(", "):
        layer = make(name, [])(channels, stride=1, out_size=(side, side))
        assert cost_of_a_layer(layer, channels, side) == expected


def beside_the_products(name: str) -> int:
    return cost(name, 0.1).macs_paper - cost(name, 0.1).macs_core


def parts(network: nn.Module, kind: type[nn.Module]) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, kind)]


def test_the_numbers_between_the_tables_are_what_is_measured(unfilled):
    linear = [beside_the_products(name) - beside_the_products("depthwise") for name in ("condconv", "tvconv_dynamic")]
    network = MobileNetV2(0.1, make("tvconv", []))
    norms = sum(p.numel() for norm in parts(network, nn.LayerNorm) for p in norm.parameters())
    maps = sum(module.affinity_maps.numel() for module in parts(network, TVConv))
    mixer = [round(measure_cost(MLPMixer(width), (96, 96)).macs_core / 1e6) for width in (0.125, 0.75)]
    for number in (*linear, norms, maps, *mixer):
        assert re.search(rf"\b{number:,}\b", PROSE), number


# The map.


def traits() -> list[tuple[str, str, str]]:
    """Operator, image size and whether it takes a convolution over, of each row of the map."""
    rows = table(section("A map of the field"))
    return [(name, size, over) for _, names, size, over in rows for name in re.findall(r"\[`(\w+)`\]", names)]


def test_operators_that_take_a_convolution_over_offer_to():
    found: dict[str, set[str]] = {}
    for name, _, over in traits():
        found.setdefault(name, set()).add(over)
    for name, said in found.items():
        made = operator(FOLDER / f"{name}.yaml")
        takes_over = not OperatorFactory.of(made).make_pointwise and made(48, out_size=(3, 3)).start_from(FILTERS)
        assert ("yes" in said) == takes_over, name


@pytest.mark.parametrize(("name", "size"), sorted({(name, size.split(",")[0]) for name, size, _ in traits()}))
def test_operators_are_bound_to_an_image_size_as_the_map_says(name, size):
    small, large = (operator(FOLDER / f"{name}.yaml")(16, out_size=(side, side)).state_dict() for side in (3, 4))
    assert (size == "bound") == any(small[key].shape != large[key].shape for key in small)


# Links.


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)]+)\)", PAGE))))
def test_a_link_leads_somewhere(link):
    path, _, anchor = link.partition("#")
    if path.startswith("https://"):
        assert re.fullmatch(r"https://(arxiv\.org/abs/\d{4}\.\d{5}|github\.com/[\w-]+/[\w-]+)", path)
        return
    target = (FILE.parent / path).resolve() if path else FILE
    assert target.is_file() and target.is_relative_to(ROOT)
    assert not anchor or anchor in anchors(target.read_text(encoding="utf-8"))


def test_equations_hold_nothing_that_markdown_would_take_for_its_own():
    equations = re.findall(r"\$\$(.*?)\$\$", PAGE)
    assert len(equations) == len(NAMES)
    for equation in equations:
        assert not re.search(r"[})]_|\\[^a-z]|[*<>|`]", equation), equation
        assert equation.count("{") == equation.count("}") and equation.count("(") == equation.count(")")
