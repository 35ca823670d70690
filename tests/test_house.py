"""The package's structure: where a module may be."""

from collections import Counter

from running import ROOT

PACKAGE = ROOT / "src" / "facerec"
MODULES = [path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"]


def test_no_two_modules_have_the_same_file_name():
    counts = Counter(path.name for path in MODULES)
    assert len(counts) > 100 and max(counts.values()) == 1, counts.most_common(3)


def test_few_modules_are_outside_of_a_package():
    assert len(list(PACKAGE.glob("*.py"))) - 1 <= 9
