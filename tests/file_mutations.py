"""Random changes of a file's content."""

import random
import re

_TOKEN = re.compile(rb"[\w.+-]+")
_LONGEST = 64  # bytes of a block


def mutated(content: bytes, draw: random.Random) -> bytes:
    """``content`` with one change: bits, bytes, a block or two tokens."""
    while (changed := draw.choice(_CHANGES)(content, draw)) == content:
        pass
    return changed


def _flip(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        changed[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _overwrite(content: bytes, draw: random.Random) -> bytes:
    start, end = _block(content, draw)
    return content[:start] + draw.randbytes(end - start) + content[end:]


def _insert(content: bytes, draw: random.Random) -> bytes:
    start, end = _block(content, draw)
    return content[:start] + draw.randbytes(end - start) + content[start:]


def _cut(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.randrange(len(content))]


def _remove(content: bytes, draw: random.Random) -> bytes:
    start, end = _block(content, draw)
    return content[:start] + content[end:]


def _repeat(content: bytes, draw: random.Random) -> bytes:
    start, end = _block(content, draw)
    return content[:end] + content[start:end] + content[end:]


def _zero(content: bytes, draw: random.Random) -> bytes:
    start, end = _block(content, draw)
    return content[:start] + bytes(end - start) + content[end:]


def _swap(content: bytes, draw: random.Random) -> bytes:
    tokens = list(_TOKEN.finditer(content))
    if len(tokens) < 2:
        return content
    first, second = sorted(draw.sample(tokens, 2), key=lambda token: token.start())
    between = content[first.end() : second.start()]
    return content[: first.start()] + second[0] + between + first[0] + content[second.end() :]


_CHANGES = (_flip, _overwrite, _insert, _cut, _remove, _repeat, _zero, _swap)


def _block(content: bytes, draw: random.Random) -> tuple[int, int]:
    start = draw.randrange(len(content))
    return start, min(len(content), start + draw.randint(1, _LONGEST))
