"""Messages are held to their facts (the thing, the value, the remedy), never to their wording."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


def says(text: str, *facts: str) -> bool:
    """Whether every one of ``facts``, at least one, occurs in ``text``, in capitals or not."""
    assert facts and all(facts), "name the facts that the text must have"
    return all(fact.lower() in text.lower() for fact in facts)


@contextmanager
def refuses(*facts: str, error: type[Exception] = ValueError) -> Iterator[None]:
    """An ``error`` in one sentence that says the ``facts``."""
    with pytest.raises(error) as raised:
        yield
    message = str(raised.value)
    assert says(message, *facts), message
    assert "\n" not in message, message
