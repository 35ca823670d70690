"""Search for pairs of hashes that differ in few bits, without comparing all pairs."""

import sys
from collections.abc import Iterator

import numpy as np
from rich.console import Console
from rich.progress import track

from facerec.doctor.image_hashes import HASH_BITS

COMPLETE, FARTHEST = 12, 40  # bits
_CHUNK = 1 << 20  # comparisons at once, of 32 bytes per hash


def close_pairs(
    hashes: np.ndarray, complete: int = COMPLETE, farthest: int = FARTHEST, *, others: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the pairs of rows that differ in few bits; returns first rows, second rows, and distances, each pair once.

    The hashes are cut into ``complete + 1`` bands. Two hashes that differ in at most ``complete`` bits agree in a whole
    band, because there are more bands than differing bits. Comparing the rows that agree in a band therefore finds
    every such pair, and some of the pairs that differ in up to ``farthest`` bits.

    Args:
        hashes: uint64 ``(N, 4)``.
        complete: every pair up to this distance is found.
        farthest: no pair beyond this distance is found.
        others: table of the second rows, uint64 ``(M, 4)``; if None, they are later rows of ``hashes``.
    """
    found = [np.empty((0, 3), np.int64)]
    bands = np.array_split(np.arange(HASH_BITS), complete + 1)
    console = Console(file=sys.stderr)
    for band in track(bands, "comparing hashes", console=console, disable=len(hashes) < 100_000, transient=True):
        span = int(band[0]), len(band)
        agreeing = _agreeing(_bits(hashes, *span), None if others is None else _bits(others, *span))
        for first, second in agreeing:
            distance = np.bitwise_count(hashes[first] ^ (hashes if others is None else others)[second])
            rows = np.stack([first, second, distance.sum(1, dtype=np.int64)], 1)
            found.append(rows[rows[:, 2] <= farthest])
    first, second, distance = np.unique(np.concatenate(found), axis=0).T
    return first, second, distance


def _bits(hashes: np.ndarray, start: int, count: int) -> np.ndarray:
    """Return ``count`` (at most 64) bits of each row, from bit ``start`` on, as an integer."""
    word, shift = divmod(start, 64)
    bits = hashes[:, word] >> np.uint64(shift)
    if shift + count > 64:
        bits = bits | hashes[:, word + 1] << np.uint64(64 - shift)
    return bits & np.uint64((1 << count) - 1) if count < 64 else bits


def _agreeing(bands: np.ndarray, others: np.ndarray | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield indices of equal elements of ``bands`` and ``others``, by default each pair in ``bands`` once."""
    order = np.argsort(bands, kind="stable")  # equal elements are adjacent, in ascending order of their indices
    seconds = bands if others is None else others
    start = np.searchsorted(bands[order], seconds, side="left")
    if others is None:  # pair each row with earlier rows only
        end = np.empty_like(order)
        end[order] = np.arange(len(order))
    else:
        end = np.searchsorted(bands[order], seconds, side="right")
    rows, step = np.arange(len(seconds)), 0
    while len(rows := rows[start[rows] + step < end[rows]]):
        for chunk in np.array_split(rows, -(-len(rows) // _CHUNK)):
            yield order[start[chunk] + step], chunk
        step += 1
