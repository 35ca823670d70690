"""Text files with one entry per line: lists of training images, of pairs, of landmarks."""

from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from facerec.errors import InputError
from facerec.files import refuse_no_regular_file

BLANKS = " \t"  # other white space may be part of a name
_BLOCK = 1 << 22  # bytes of a file that are decoded at a time
_SHOWN = 100  # characters of a line


def numbered_lines(file: Path, kind: str, remedy: str, *, comments: bool = False) -> Iterator[tuple[int, str]]:
    """Yield number, from 1, and text of each line of ``file`` that is not blank, with a progress bar for long files.

    The file is UTF-8, with or without a byte order mark, with line ends of any system (``\\n``, ``\\r\\n``, ``\\r``).
    With ``comments``, lines whose first character other than white space is # are skipped. Lines are not stripped,
    since outer spaces may belong to a name.

    Raises `InputError` for a file that cannot be read, called a ``kind``, such as "pair list", with the ``remedy``, and
    for one that is not UTF-8 text or contains NUL.
    """
    refuse_no_regular_file(file)
    before = 0
    for text in _texts(file, kind, remedy):
        lines = text.split("\n")
        for number, line in enumerate(lines, start=before + 1):
            first = line.lstrip()[:1]
            if first and not (comments and first == "#"):
                yield number, line
        before += len(lines)


def words(line: str) -> list[str]:
    """Split ``line`` at `BLANKS`."""
    return [word for word in line.replace("\t", " ").split(" ") if word]


def quote(line: str) -> str:
    """Quote ``line`` for a message, without outer white space, and truncated if it is long."""
    line = line.strip()
    return repr(line if len(line) <= _SHOWN else f"{line[:_SHOWN]}...")


def _texts(file: Path, kind: str, remedy: str) -> Iterator[str]:
    """Yield the text of ``file`` in blocks of whole lines, each without its last ``\\n``."""
    start = line = 0
    for block in _blocks(file, kind, remedy):
        try:
            text, wrong = block.decode(), block.find(0)
        except UnicodeDecodeError as error:
            text, wrong = "", error.start
        if wrong >= 0:
            number = line + 1 + block[:wrong].replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n")
            problem = f"{kind} {file} is not UTF-8 text (byte {start + wrong})"
            raise InputError(f"{problem}: save it as UTF-8, or correct line {number}")
        if start == 0:
            text = text.removeprefix("\ufeff")
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        yield text.removesuffix("\n")
        start, line = start + len(block), line + text.count("\n")


def _blocks(file: Path, kind: str, remedy: str) -> Iterator[bytes]:
    try:
        with (
            file.open("rb") as binary,
            tqdm(desc=f"reading {file.name}", total=file.stat().st_size, unit="B", unit_scale=True, delay=2) as bar,
        ):
            while block := binary.read(_BLOCK) + binary.readline():
                yield block
                bar.update(len(block))
    except OSError as error:
        raise InputError(f"{kind} {file} cannot be read ({error.strerror}): {remedy}") from error
