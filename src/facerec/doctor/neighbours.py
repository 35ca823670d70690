"""Pairs of hashes that differ in few bits, without comparing all with all."""

import sys
from collections.abc import Iterator

import numpy as np
from rich.console import Console
from rich.progress import track

from facerec.doctor.image_hashes import HASH_BITS

COMPLETE, FARTHEST = 12, 40  # bits
_CHUNK = 1 << 20  # comparisons at a time, 32 bytes a hash


def close_pairs(
    hashes: np.ndarray, complete: int = COMPLETE, farthest: int = FARTHEST, *, others: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of rows that differ in few bits, each once: first row, second row, and the distance.

    The hashes are cut into ``complete + 1`` bands. Two that differ in at most ``complete`` bits agree in a whole band,
    for there are more bands than differences, so comparing the rows that agree in a band finds every such pair; of
    those that differ in up to ``farthest`` bits it finds the ones that agree in a band.

    Args:
        hashes: uint64 ``(N, 4)``.
        complete: every pair up to this distance is found.
        farthest: no pair beyond this distance is.
        others: uint64 ``(M, 4)`` in which the second rows stand; None: in ``hashes``, after the first.
    """
    found = [np.empty((0, 3), np.int64)]
    bands = np.array_split(np.arange(HASH_BITS), complete + 1)
    console = Console(file=sys.stderr)
    for band in track(bands, "comparing hashes", console=console, disable=len(hashes) < 100_000, transient=True):
        place = int(band[0]), len(band)
        agreeing = _agreeing(_bits(hashes, *place), None if others is None else _bits(others, *place))
        for first, second in agreeing:
            distance = np.bitwise_count(hashes[first] ^ (hashes if others is None else others)[second])
            rows = np.stack([first, second, distance.sum(1, dtype=np.int64)], 1)
            found.append(rows[rows[:, 2] <= farthest])
    first, second, distance = np.unique(np.concatenate(found), axis=0).T
    return first, second, distance


def _bits(hashes: np.ndarray, start: int, count: int) -> np.ndarray:
    """Bits ``start`` to ``start + count - 1`` of each row as a number; at most 64."""
    word, shift = divmod(start, 64)
    bits = hashes[:, word] >> np.uint64(shift)
    if shift + count > 64:
        bits = bits | hashes[:, word + 1] << np.uint64(64 - shift)
    return bits & np.uint64((1 << count) - 1) if count < 64 else bits


def _agreeing(bands: np.ndarray, others: np.ndarray | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of ``bands`` and of ``others`` where the two are equal; of ``bands`` alone each pair once, ascending."""
    order = np.argsort(bands, kind="stable")  # rows that agree stand beside each other, in ascending order
    seconds = bands if others is None else others
    start = np.searchsorted(bands[order], seconds, side="left")
    # A row alone is paired with those before it.
    end = _inverse(order) if others is None else np.searchsorted(bands[order], seconds, side="right")
    rows, step = np.arange(len(seconds)), 0
    while len(rows := rows[start[rows] + step < end[rows]]):
        for chunk in np.array_split(rows, -(-len(rows) // _CHUNK)):
            yield order[start[chunk] + step], chunk
        step += 1


def _inverse(order: np.ndarray) -> np.ndarray:
    inverse = np.empty_like(order)
    inverse[order] = np.arange(len(order))
    return inverse
