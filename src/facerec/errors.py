"""The one exception for what a user brought and the program cannot use."""


class InputError(ValueError):
    """A file, list, archive, checkpoint or setting that cannot be used.

    The message is one sentence that names the thing, its value and the remedy. The command-line programs print it
    without a traceback and exit with status 1; every other exception is a defect of the program and keeps its
    traceback.
    """

    def __init__(self, message: str) -> None:
        # PyTorch's loading processes hand over their traceback inside the message; the sentence is its last line.
        if message.startswith("Caught InputError in DataLoader worker"):
            message = message.rstrip().splitlines()[-1].partition("InputError: ")[2]
        super().__init__(message)
