"""HTML elements whose text is escaped, so that names from a run cannot become part of the page's script."""

from collections.abc import Iterable
from html import escape


class Html(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()


_EMPTY = ("img", "meta", "br", "circle", "path")


def element(name: str, /, *children: str, **attributes: str | float | None) -> Html:
    """Return an element; children that are not `Html` and all attributes are escaped.

    ``class_`` and ``data_cell`` are the attributes class and data-cell; those that are None are left out.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_plain(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _EMPTY and not children:
        return Html(f"<{name}{given}>" if name in ("img", "meta", "br") else f"<{name}{given}/>")
    return Html(f"<{name}{given}>{joined(children)}</{name}>")


def joined(parts: Iterable[str]) -> Html:
    """Return the parts one after the other, escaped unless they are `Html`."""
    return Html("".join(part if isinstance(part, Html) else _plain(part) for part in parts))


def _plain(text: str) -> str:
    """Escape ``text``; what UTF-8 or HTML cannot hold, as in names of files, becomes a question mark."""
    encodable = text.encode(errors="replace").decode()
    return escape("".join(c if c.isprintable() or c in "\n\t\u00a0" else "?" for c in encodable))
