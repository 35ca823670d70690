"""The one number by which networks of any task are compared."""

import math
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Headline:
    """A mean over ``number`` ``parts`` of the data.

    Attributes:
        name: of what is measured, such as "accuracy".
        value: from 0 to 1.
        deviation: standard deviation over the parts (ddof 0).
        number: how many parts.
        parts: what they are, such as "folds".
        protocol: name of the protocol.
    """

    name: str
    value: float
    deviation: float
    number: int
    parts: str
    protocol: str

    @property
    def error(self) -> float:
        """The standard error of the value, if the parts are independent."""
        return self.deviation / math.sqrt(self.number)


class HasHeadline(Protocol):
    """The result of a network on a set of images."""

    @property
    def headline(self) -> Headline: ...

    def summary(self) -> dict[str, Any]:
        """Return the result for `json.dump`."""
        ...
