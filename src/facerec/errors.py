"""The one exception for what a user brought and the program cannot use."""

_CONTROLS = {
    code: ascii(chr(code))[1:-1] for code in (*range(32), *range(127, 160), 0x2028, 0x2029) if code != ord("\t")
}


class InputError(ValueError):
    """A file, list, archive, checkpoint or setting that cannot be used.

    The message is one sentence that names the thing, its value and the remedy, in one line (`one_line`). The
    command-line programs print it without a traceback and exit with status 1; every other exception is a defect of the
    program and keeps its traceback.
    """

    def __init__(self, message: str) -> None:
        # PyTorch's loading processes hand over their traceback inside the message; the sentence is its end.
        if message.startswith("Caught InputError in DataLoader worker"):
            message = message.rstrip().rpartition(f"\n{__name__}.InputError: ")[2]
        super().__init__(one_line(message))


def one_line(text: str) -> str:
    """``text`` with control characters, which names of files may have, written as escapes: a line break as ``\\n``."""
    return text.translate(_CONTROLS)
