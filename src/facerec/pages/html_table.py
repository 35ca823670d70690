"""A table of the page, sorted by a click on the name of a column."""

import re
from collections.abc import Collection, Mapping, Sequence

from facerec.pages.markup import Html, element
from facerec.pages.texts import sentence_case
from facerec.runs.table_formats import LEFT, Row, columns_of

_LONG = 40  # characters; longer text is broken into lines


def html_table(
    rows: Sequence[Row],
    text: Sequence[str] = LEFT,
    muted: Sequence[bool] = (),
    images: Sequence[Mapping[str, Html]] = (),
    as_is: Collection[str] = (),
) -> Html:
    """Return the rows as a table that scrolls in its own box.

    Columns in ``text`` are aligned on the left, the others hold numbers. Rows that are ``muted`` are drawn in grey.
    ``images`` are above the text of a row's cells, by column. The names of columns in ``as_is`` get no capital.
    """
    columns = columns_of(list(rows))
    header = element("tr", *(_header(c if c in as_is else sentence_case(c), c not in text) for c in columns))
    body = [
        element("tr", *(_cell(row.get(c, ""), c not in text, above.get(c)) for c in columns), class_=grey)
        for row, grey, above in zip(rows, _classes(rows, muted), images or [{}] * len(rows), strict=True)
    ]
    table = element("table", element("thead", header), element("tbody", *body))
    return element("div", table, class_="scroll", tabindex=0)


def _classes(rows: Sequence[Row], muted: Sequence[bool]) -> list[str | None]:
    return ["muted" if grey else None for grey in muted or [False] * len(rows)]


def _header(column: str, number: bool) -> Html:
    return element("th", element("button", column, type="button"), class_="n" if number else None, scope="col")


def _cell(text: str, number: bool, image: Html | None) -> Html:
    """Return a cell; an interval in brackets at its end is set apart."""
    found = re.fullmatch(r"(.*?) (\[[^\[\]]*\])", text) if number else None
    parts: list[str] = [text] if found is None else [found[1], " ", element("span", found[2])]
    kind = "n" if number else "wrap" if len(text) > _LONG else None
    return element("td", *([] if image is None else [image]), *parts, class_=kind)
