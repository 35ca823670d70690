"""Every command, program, setting and path of the README and of the guide in docs/ is real."""

import importlib.util
import re
import shlex
import sys
from pathlib import Path

import pytest
import torch
import yaml
from omegaconf import OmegaConf

from facerec.config.compose import check_command_line, compose
from facerec.config.settings import take_own

ROOT = Path(__file__).resolve().parents[1]
FILES = ["README.md", "CONTRIBUTING.md"] + [
    f"docs/{name}.md"
    for name in ("index", "data", "runs", "verification", "deployment", "library", "adding", "code", "experiment")
]
PAGES = {file: (ROOT / file).read_text(encoding="utf-8") for file in FILES}
README = PAGES["README.md"]
GUIDE = "\n".join(PAGES.values())


def blocks(language: str, pages: str = GUIDE) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", pages, re.DOTALL)


def commands() -> list[list[str]]:
    lines = [shlex.split(line, comments=True) for block in blocks("sh") for line in block.splitlines()]
    return [words for words in lines if words]


def script(name: str):
    spec = importlib.util.spec_from_file_location(f"readme_{name}", ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


COMMANDS_WITH_OPTIONS = {
    f"scripts/{name}.py" for name in ("align_faces", "prepare_benchmark", "recordio", "train_frontal")
}
# What is set apart in the text and is not for one of the scripts alone.
_MENTIONED = re.findall(r"`((?:data|operator|backbone|trainer|head|augmentation@data)[.=a-z_]*=[^`]+)`", GUIDE)
SETTINGS = sorted(set(_MENTIONED) - {"operator=blur"})  # that one is the reader's own
PYTHON_COMMANDS = sorted({tuple(words[1:]) for words in commands() if words[0] == "python"})


def test_what_is_made_has_a_rule():
    named = set(re.findall(r"(?:^ *|`)make (\w+)", README, re.MULTILINE))
    rules = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"demo", "test"} <= named <= set(rules)


@pytest.mark.parametrize("words", PYTHON_COMMANDS, ids=" ".join)
def test_a_command_names_a_program_and_settings_that_exist(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # not where somebody may have typed them before
    program, *arguments = words
    assert (ROOT / program).is_file()
    if program == "train.py":
        check_command_line(arguments)
    elif program == "scripts/check_data.py":
        compose(take_own(arguments, script("check_data")._OWN_KEYS)[1])
    elif program in ("scripts/filter_frontal.py", "scripts/plant_defects.py"):
        compose(script(Path(program).stem).split(arguments)[1])
    elif program in COMMANDS_WITH_OPTIONS:
        # What they are given is not there, which is said in a sentence; a wrong option would end otherwise.
        assert script(Path(program).stem).main(arguments) == 1
    elif program == "scripts/evaluate.py":
        own, overrides = script("evaluate").split(arguments)
        assert own["checkpoint"] or own["model"]
        compose(overrides)
    elif program == "scripts/sensitivity.py":
        checkpoints, _, overrides = script("sensitivity").split(arguments)
        assert checkpoints
        compose(overrides)
    elif program == "scripts/export.py":
        own, overrides = script("export").split(arguments)
        assert own["output"].suffix == ".onnx" and not overrides
    elif program == "scripts/benchmark.py":
        assert script("benchmark").read_settings(arguments)["sections"]
    elif program == "scripts/measure.py":
        assert script("measure").main(arguments) == 0
    else:
        assert program in ("scripts/report.py", "scripts/plot_runs.py")
        assert arguments[0].startswith("outputs/")


@pytest.mark.parametrize("settings", SETTINGS)
def test_each_setting_that_is_mentioned_composes(settings):
    check_command_line(settings.split())


def test_the_program_of_the_readme_gives_embeddings():
    (program,) = blocks("python", README)
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
