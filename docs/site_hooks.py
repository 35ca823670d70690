"""Called by MkDocs for each page: what the repository's own viewer does and a site has to be told."""

import re

from latex2mathml.converter import convert

_SOURCE = re.compile(r"\[([^\]]+)\]\(\.\./src/([\w/]+)(\.py)?\)")
_EQUATION = re.compile(r"^\$\$(.+)\$\$$", re.MULTILINE)


def on_page_markdown(markdown: str, page, **_) -> str:
    """Source links lead to the API reference, and equations become MathML, which needs no script."""
    markdown = _SOURCE.sub(_reference, markdown)
    return _EQUATION.sub(lambda equation: convert(equation[1], display="block"), markdown)


def _reference(link: re.Match[str]) -> str:
    """A package's folder has no page of its own: its name stays as text."""
    module = link[2].replace("/", ".")
    package = module.split(".")[1]
    return f"[{link[1]}](reference/{package}.md#{module})" if link[3] else link[1]
