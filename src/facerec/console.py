"""What a program says to the person who waits."""

import sys


def log(message: str) -> None:
    """One line to the person who waits."""
    print(message, file=sys.stderr, flush=True)
