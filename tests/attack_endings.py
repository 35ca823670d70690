"""How a program that was attacked has ended."""

import json
import os
import resource
from pathlib import Path

from forked_program import Program
from says import says

ENDED_WELL, REFUSED = "ended well", "refused in a sentence"


def ending(program: Program, *facts: str, within: float = 60) -> str:
    """One of the above; a refusal's last line says the ``facts``, and only if there are none the program ends well.

    Raises `AssertionError` or `TimeoutError` for any other end.
    """
    status, said = program.status(within), program.said
    last = (said.strip().splitlines() or [""])[-1]
    assert "Traceback" not in said + program.printed, said[-2000:]
    assert status == int(bool(facts)), f"status {status}: {last}"
    assert not facts or says(last, *facts), last
    return REFUSED if facts else ENDED_WELL


def limit_memory(more: int = 3 << 30) -> None:
    """Let this process take so many bytes of addresses ``more`` than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, resource.RLIM_INFINITY))


def check_results(run: Path) -> None:
    """Raise `AssertionError` unless the run has results, whose accuracies are rates."""
    results = json.loads((run / "results.json").read_text())
    accuracies = [each["accuracy"] for best in ("best", "last") for each in results[best]["benchmarks"].values()]
    assert accuracies and all(0 <= accuracy <= 1 for accuracy in accuracies), accuracies


def become_nobody() -> None:
    """Go on as the user who owns nothing; only root can."""
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


def set_environment(name: str, value: str | None) -> None:
    os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value
