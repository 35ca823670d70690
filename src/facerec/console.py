"""Messages of a program to its user."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def log(message: str) -> None:
    """Print one line to standard error."""
    print(message, file=sys.stderr, flush=True)


def terminal(width: int) -> "Console":
    """Return rich's console on standard error, ``width`` columns wide if that is not a terminal."""
    from rich.console import Console  # takes longer to import than a command has to print its help

    # Names of runs, benchmarks and folders may look like rich's markup.
    return Console(stderr=True, width=None if sys.stderr.isatty() else width, markup=False, emoji=False)
