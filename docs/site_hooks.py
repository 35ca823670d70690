"""Called by MkDocs for each page: what the repository's own viewer does and a site has to be told."""

import re

from latex2mathml.converter import convert

_SOURCE = re.compile(r"\[([^\]]+)\]\(\.\./src/([\w/]+)(\.py)?\)")
_EQUATION = re.compile(r"^\$\$(.+)\$\$$", re.MULTILINE)


def on_page_markdown(markdown: str, page, files, **_) -> str:
    """Source links lead to the API reference, and equations become MathML, which needs no script."""
    markdown = _SOURCE.sub(lambda link: _reference(link, files), markdown)
    return _EQUATION.sub(lambda equation: convert(equation[1], display="block"), markdown)


def _reference(link: re.Match[str], files) -> str:
    """Folders and internal packages have no page in the reference: their names stay as text."""
    module = link[2].replace("/", ".")
    page = f"reference/{module.split('.')[1]}.md"
    return f"[{link[1]}]({page}#{module})" if link[3] and files.get_file_from_path(page) else link[1]
