"""The exception for unusable user input, and what its messages share."""

import difflib
import errno
import os
from collections.abc import Iterable, Mapping

_CONTROLS = {
    code: ascii(chr(code))[1:-1] for code in (*range(32), *range(127, 160), 0x2028, 0x2029) if code != ord("\t")
}
_NO_SPACE = "free space or choose another folder"
_NO_FOLDER = "a file, or a link that leads nowhere, is where a folder must be; move it away or choose another folder"
_REMEDIES = {
    errno.EACCES: "change its permissions or choose another place",
    errno.EPERM: "change its permissions or choose another place",
    errno.EROFS: "choose a place that can be written to",
    errno.ENOSPC: _NO_SPACE,
    errno.EDQUOT: _NO_SPACE,
    errno.ENAMETOOLONG: "give it a shorter name",
    errno.ELOOP: "replace the link, which leads to itself",
    errno.EEXIST: _NO_FOLDER,
    errno.ENOTDIR: _NO_FOLDER,
    errno.EISDIR: "it is a folder; name a file",
    errno.EMFILE: "let a process open more files, with ulimit -n",
}


class InputError(ValueError):
    """A file, list, archive, checkpoint or setting that cannot be used.

    The message is one sentence, on one line (`one_line`), that names the thing, its value and the remedy. The
    command-line programs print it without a traceback and exit with status 1; every other exception is a bug in the
    program and keeps its traceback.
    """

    def __init__(self, message: str) -> None:
        # PyTorch's workers put their traceback into the message, which ends in the original sentence.
        if message.startswith("Caught InputError in DataLoader worker"):
            message = message.rstrip().rpartition(f"\n{__name__}.InputError: ")[2]
        super().__init__(one_line(message))


def one_line(text: str) -> str:
    """Escape control characters, which file names may contain, in ``text``: a line break becomes ``\\n``."""
    return text.translate(_CONTROLS)


def of_system(error: OSError) -> InputError | None:
    """Return the error of the operating system as a sentence with a remedy, or None if it names no file, and no full
    disk: then it is a defect of the program."""
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    if not isinstance(error.filename, str | bytes | os.PathLike) and not is_full:
        return None
    what = "the disk" if error.filename is None else os.fsdecode(error.filename)
    remedy = _REMEDIES.get(error.errno or 0, "check the path and the disk")
    return InputError(f"{what} cannot be used ({error.strerror or error}): {remedy}")


def suggestion(word: str, allowed: Iterable[str], meant: Mapping[str, str] | None = None) -> str:
    """Return ``did you mean 'operator'?``, or the whole list if no allowed word is similar.

    ``meant`` has what to write for words of another spelling and the same meaning, and ``""`` for those that are
    spelled like an allowed word and mean something else.
    """
    allowed, remedy = list(allowed), (meant or {}).get(word.lower())
    known = f"known are {', '.join(allowed)}" if allowed else "none is known here"
    if remedy is not None:
        return f"write {remedy}" if remedy else known
    near = difflib.get_close_matches(word, allowed, n=1)
    return f"did you mean {near[0]!r}?" if near else known
