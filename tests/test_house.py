"""The package's structure: where a module may be."""

import re
import tomllib
from collections import Counter

from running import ROOT

PACKAGE = ROOT / "src" / "facerec"
MODULES = [path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"]


def test_no_two_modules_have_the_same_file_name():
    counts = Counter(path.name for path in MODULES)
    assert len(counts) > 100 and max(counts.values()) == 1, counts.most_common(3)


def test_few_modules_are_outside_of_a_package():
    assert len(list(PACKAGE.glob("*.py"))) - 1 <= 9


def test_the_lowest_versions_that_are_tested_are_those_that_the_project_allows():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    pins = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / ".ci/lowest.lock").read_text(), re.MULTILINE))
    required = [*project["dependencies"], *extras["dev"], *extras["export"]]
    bounds = [re.match(r"([\w-]+)(?:\[\w+\])?>=([\w.]+)", requirement) for requirement in required]
    assert len(bounds) > 20 and all(bounds)
    for name, version in (bound.groups() for bound in bounds if bound):
        assert _version(pins[name]) == _version(version), name


def _version(text: str) -> list[str]:
    """Its parts without zeros at the end: 2.0 is 2.0.0."""
    return re.sub(r"(\.0)+$", "", text).split(".")
