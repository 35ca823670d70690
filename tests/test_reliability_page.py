"""The table of docs/reliability.md is what `make attack` has written."""

import ast
import re

from running import ROOT

PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.+) \| (\d+) \| (.+) \| (\d+) \| \d+ \| [0-9a-f, +]+ \|$", PAGE, re.MULTILINE)


def titles() -> set[str]:
    """The first lines of the tests' documentation."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / "tests" / "attack").glob("test_*.py")]
    found = [node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)]
    documented = {node.name: ast.get_docstring(node) for node in found if node.name.startswith("test_")}
    return {(text or name).splitlines()[0].removesuffix(".") for name, text in documented.items()}


def test_each_row_of_the_attack_is_there_once():
    assert sorted(title for title, *_ in ROWS) == sorted(titles())


def test_no_trial_failed_and_endings_are_counted():
    for title, count, endings, failures in ROWS:
        assert failures == "0", title
        assert sum(map(int, re.findall(r" (\d+)(?:,|$)", endings))) == int(count) or not int(count), title
