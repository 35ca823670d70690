"""Messages of a program to its user."""

import sys


def log(message: str) -> None:
    """Print one line to standard error."""
    print(message, file=sys.stderr, flush=True)
