"""The exception for unusable user input, and what its messages share."""

import difflib
from collections.abc import Iterable

_CONTROLS = {
    code: ascii(chr(code))[1:-1] for code in (*range(32), *range(127, 160), 0x2028, 0x2029) if code != ord("\t")
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


def suggestion(word: str, allowed: Iterable[str]) -> str:
    """Return ``did you mean 'operator'?``, or the whole list if no allowed word is similar."""
    allowed = list(allowed)
    near = difflib.get_close_matches(word, allowed, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(allowed)}"
