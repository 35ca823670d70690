"""Text files with an entry a line: lists of training images, of pairs, of landmarks."""

from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from facerec.errors import InputError

BLANKS = " \t"  # other white space belongs to the names that it is in
_BLOCK = 1 << 22  # bytes of a file that are decoded at a time
_SHOWN = 100  # letters of a line


def numbered_lines(file: Path, kind: str, remedy: str, *, comments: bool = False) -> Iterator[tuple[int, str]]:
    """The number, as an editor counts, and the text of each line of ``file`` that holds something.

    The file is UTF-8, with or without a byte order mark, its lines end as on any system (``\\n``, ``\\r\\n``, ``\\r``),
    and it may be long: there is a progress bar on standard error. Lines of white space alone are passed over, and where
    the form has ``comments`` those whose first character beside white space is #. Nothing else is taken away, since
    outer spaces may belong to a name.

    `InputError` calls the file a ``kind``, such as "pair list", where it cannot be read, and ends with the ``remedy``;
    and where it is not UTF-8 text, a NUL included.
    """
    before = 0
    for text in _texts(file, kind, remedy):
        lines = text.split("\n")
        for number, line in enumerate(lines, start=before + 1):
            first = line.lstrip()[:1]
            if first and not (comments and first == "#"):
                yield number, line
        before += len(lines)


def words(line: str) -> list[str]:
    """What stands between the `BLANKS` of ``line``."""
    return [word for word in line.replace("\t", " ").split(" ") if word]


def quote(line: str) -> str:
    """``line`` as a sentence shows it: in quotes, without outer white space, cut off where it is long."""
    line = line.strip()
    return repr(line if len(line) <= _SHOWN else f"{line[:_SHOWN]}...")


def _texts(file: Path, kind: str, remedy: str) -> Iterator[str]:
    """The text of ``file`` in blocks of whole lines, which end with ``\\n``; without that between two blocks."""
    start = line = 0
    for block in _blocks(file, kind, remedy):
        try:
            text = block.decode()
        except UnicodeDecodeError as error:
            raise _not_text(file, kind, start + error.start, line + _line_at(block, error.start)) from error
        if "\0" in text:
            raise _not_text(file, kind, start + block.index(0), line + _line_at(block, block.index(0)))
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


def _line_at(block: bytes, place: int) -> int:
    """The number, from 1, of the line of the byte at ``place``, which ends none."""
    return block[:place].replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n") + 1


def _not_text(file: Path, kind: str, place: int, line: int) -> InputError:
    return InputError(
        f"{kind} {file} is not UTF-8 text (byte {place}): save it as UTF-8, or mend line {line}, the first that is not"
    )
