"""The folder of configurations, in the package or in a checkout, and the options of its groups."""

from pathlib import Path

_IN_PACKAGE = Path(__file__).resolve().parents[1] / "configs"
_IN_CHECKOUT = Path(__file__).resolve().parents[3] / "configs"
CONFIG_FOLDER = _IN_PACKAGE if _IN_PACKAGE.is_dir() else _IN_CHECKOUT


def options(group: str) -> list[str]:
    """Return the names of a group's files, sorted."""
    return sorted(file.stem for file in (CONFIG_FOLDER / group).glob("*.yaml"))
