"""Every command, program, setting and path of the README and of the guide in docs/ is real."""

import re
import shlex
import sys
from pathlib import Path

import pytest
import torch
import yaml
from omegaconf import OmegaConf

from facerec.commands.main import module_of
from facerec.config.compose import check_command_line, compose
from facerec.config.search_space import parse_space
from facerec.config.settings import parse

ROOT = Path(__file__).resolve().parents[1]
FILES = ["README.md", "CONTRIBUTING.md"] + [
    f"docs/{name}.md"
    for name in (
        "index",
        "data",
        "runs",
        "training",
        "search",
        "fine_tuning",
        "distillation",
        "verification",
        "deployment",
        "recognise",
        "segmentation",
        "heads",
        "library",
        "adding",
        "code",
        "experiment",
        "paper",
        "results",
        "single_runs",
    )
]
PAGES = {file: (ROOT / file).read_text(encoding="utf-8") for file in FILES}
README = PAGES["README.md"]
GUIDE = "\n".join(PAGES.values())


def blocks(language: str, pages: str = GUIDE) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", pages, re.DOTALL)


def commands() -> list[list[str]]:
    in_tables = re.findall(r"`(facerec [^`]+ [^`]+)`", PAGES["docs/paper.md"])
    whole = [line for block in blocks("sh") for line in block.replace("\\\n", " ").splitlines()]
    lines = [shlex.split(line, comments=True) for line in whole]
    lines += map(shlex.split, in_tables)
    return [words for words in lines if words]


# What is set apart in the text and is not for one of the scripts alone.
_MENTIONED = re.findall(
    r"`((?:data|operator|backbone|trainer|head|optimizer|augmentation@data)(?=[.=])[.=a-z_]*=[^`]+)`", GUIDE
)
SETTINGS = sorted(set(_MENTIONED) - {"operator=blur"})  # that one is the reader's own
PROGRAMS = [words for words in commands() if words[0] in ("python", "facerec")]


def test_what_is_made_has_a_rule():
    named = set(re.findall(r"(?:^ *|`)make (\w+)", README, re.MULTILINE))
    rules = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"demo", "test"} <= named <= set(rules)


@pytest.mark.parametrize("words", PROGRAMS, ids=" ".join)
def test_a_command_names_a_program_and_settings_that_exist(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)  # not where somebody may have typed them before
    name, arguments = (Path(words[1]).stem if words[0] == "python" else words[1]), words[2:]
    assert words[0] == "facerec" or (ROOT / words[1]).is_file()
    if name == "train":
        return check_command_line(arguments)
    module = module_of(name)
    if not hasattr(module, "Settings") or name == "measure":
        status = module.main(arguments)  # a wrong setting would be said in other words than a file that is not there
        assert status == 0 or not re.search(
            "is written|is not a setting|not taken here|must be", capsys.readouterr().err
        )
        return None
    settings = parse(module.Settings, arguments)
    if name == "search":
        space = parse_space(settings.overrides, settings.compare, settings.trials)
        for cells in map(space.cells, space.compared):
            for _, overrides in cells:
                compose(overrides)
        return None
    if hasattr(settings, "overrides"):
        compose(list(settings.overrides))


@pytest.mark.parametrize("settings", SETTINGS)
def test_each_setting_that_is_mentioned_composes(settings):
    check_command_line(shlex.split(settings))


def test_the_program_of_the_readme_gives_embeddings():
    (program,) = [block for block in blocks("python", README) if "MobileNetV2(" in block]
    names = {}
    exec(compile(program, "README.md", "exec"), names)
    assert names["embeddings"].shape == (8, 512)


def test_the_program_that_verifies_runs(capsys):
    (program,) = [block for block in blocks("python") if "verify(" in block]
    torch.manual_seed(0)
    exec(compile(program, "library.md", "exec"), {})
    assert 0 <= float(capsys.readouterr().out.split()[0]) <= 1


def test_the_network_of_another_library_takes_the_operator():
    (program,) = [block for block in blocks("python") if "replace_depthwise(" in block]
    names = {}
    exec(compile(program, "library.md", "exec"), names)
    replaced = [name for name, module in names["network"].named_modules() if isinstance(module, names["TVConv"])]
    assert replaced and all(re.match(r"blocks\.[23]\.", name) for name in replaced)
    assert names["network"].eval()(torch.zeros(1, 3, 96, 96)).shape[0] == 1


def test_the_added_operator_keeps_the_contract(monkeypatch):
    (program,) = [block for block in blocks("python") if "class Blur" in block]
    (config,) = blocks("yaml")
    module = type(sys)("facerec.operators.blur")
    exec(compile(program, "blur.py", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, "facerec.operators.blur", module)
    node = yaml.safe_load(config)
    assert node.pop("_partial_") is True
    cls = getattr(module, node.pop("_target_").rpartition(".")[2])
    out = cls(4, stride=2, out_size=(3, 4), **OmegaConf.to_container(OmegaConf.create(node)))(torch.randn(2, 4, 5, 7))
    assert out.shape == (2, 4, 3, 4)


PATHS = r"(?<![\w./-])((?:src/facerec|configs|docs|scripts|tests)/[\w/.]*(?:\.\w+|/))"
NOT_THERE = ("blur", "NAME", "docs/runs/")  # the reader's own, and the results of runs to come


@pytest.mark.parametrize("path", sorted(set(re.findall(PATHS, GUIDE))))
def test_every_path_of_the_project_exists(path):
    assert (ROOT / path).exists() or any(name in path for name in NOT_THERE)


LINKS = [(file, link) for file, page in PAGES.items() for link in re.findall(r"\]\((?!https://)([^)#]+)", page)]


@pytest.mark.parametrize(("file", "link"), sorted(set(LINKS)))
def test_a_link_between_pages_leads_to_a_file(file, link):
    assert ((ROOT / file).parent / link).is_file()
