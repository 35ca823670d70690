"""Lists of the groups of images: lines ``PATH GROUP``."""

from collections.abc import Sequence
from pathlib import Path

from facerec.data.readers.text_lines import BLANKS, numbered_lines, quote, words
from facerec.data.source import Benchmark, slashes
from facerec.errors import InputError


def read_groups(file: Path, benchmarks: Sequence[Benchmark]) -> dict[str, list[str | None]]:
    """Return the group of each image of each benchmark, by its name; None for images that ``file`` does not name.

    PATH is the image's name in the pair list, and GROUP any word; a single tab separates them if one has spaces. Empty
    lines and lines that start with # are ignored. A path counts in every benchmark that has it. Raises `InputError` for
    a line of another format, an image of no benchmark, one with two groups, and for a file without a line.
    """
    places: dict[str, list[tuple[str, int]]] = {}
    for benchmark in benchmarks:
        for index in range(len(benchmark.images)):
            places.setdefault(benchmark.images.name(index), []).append((benchmark.name, index))
    groups: dict[str, list[str | None]] = {b.name: [None] * len(b.images) for b in benchmarks}
    known = ", ".join(groups)
    number = 0
    for number, line in numbered_lines(file, "group list", "check its name", comments=True):
        path, group = _parsed(line, number, file)
        if path not in places:
            problem = f"line {number} of {file} names image {path!r}, which is in no benchmark ({known})"
            raise InputError(f"{problem}: {slashes(path)}write it as in the pair list, or remove the line")
        for name, index in places[path]:
            if groups[name][index] not in (None, group):
                problem = f"line {number} of {file} puts {path!r} in {group!r}, and a line above in"
                raise InputError(f"{problem} {groups[name][index]!r}: keep one of them")
            groups[name][index] = group
    if not number:
        raise InputError(f"group list {file} has no line PATH GROUP: write one per image")
    return groups


def _parsed(line: str, number: int, file: Path) -> tuple[str, str]:
    fields = [field.strip(BLANKS) for field in line.split("\t")]
    if len(fields) != 2 or not all(fields):
        fields = words(line)
    if len(fields) != 2:
        remedy = "write PATH GROUP, separated by a tab if one has spaces"
        raise InputError(f"line {number} of {file} is {quote(line)}: {remedy}")
    return fields[0], fields[1]
