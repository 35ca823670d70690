"""Sentences of the page: notes, lists, and what is folded away."""

from collections.abc import Sequence

from facerec.pages.markup import Html, element


def say(sentence: str, kind: str = "say") -> Html:
    """Return a paragraph."""
    return element("p", sentence, class_=kind)


def sentence_case(text: str) -> str:
    """Return ``text`` with a capital first letter."""
    return text[:1].upper() + text[1:]


def count(number: int, what: str) -> str:
    """Return a number with what is counted."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def listed(sentences: Sequence[str]) -> list[Html]:
    """Return the sentences as a list; folded away if there are more than three, and nothing if there are none."""
    if not sentences:
        return []
    found = element("ul", *(element("li", sentence) for sentence in sentences), class_="findings")
    return [found] if len(sentences) < 4 else [folded(f"Left out: {count(len(sentences), 'reason')}", found)]


def folded(title: str, content: Html, is_open: bool = False) -> Html:
    """Return ``content`` under a title that opens it."""
    return element("details", element("summary", title), content, open="" if is_open else None)
