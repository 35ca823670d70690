"""Pairs of hashes that differ in few bits, without comparing all with all."""

import sys
from collections.abc import Iterator

import numpy as np
from rich.console import Console
from rich.progress import track

from facerec.doctor.features import HASH_BITS

COMPLETE, FARTHEST = 12, 40  # bits
_CHUNK = 1 << 20  # comparisons at a time, 32 bytes a hash


def close_pairs(
    hashes: np.ndarray, complete: int = COMPLETE, farthest: int = FARTHEST
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of rows that differ in few bits, each once: first and second row, ascending, and the distance.

    The hashes are cut into ``complete + 1`` bands. Two that differ in at most ``complete`` bits agree in a whole band,
    for there are more bands than differences, so comparing the rows that agree in a band finds every such pair; of
    those that differ in up to ``farthest`` bits it finds the ones that agree in a band.

    Args:
        hashes: uint64 ``(N, 4)``.
        complete: every pair up to this distance is found.
        farthest: no pair beyond this distance is.
    """
    found = [np.empty((0, 3), np.int64)]
    bands = np.array_split(np.arange(HASH_BITS), complete + 1)
    console = Console(file=sys.stderr)
    for band in track(bands, "comparing hashes", console=console, disable=len(hashes) < 100_000, transient=True):
        found += _agreeing(hashes, _bits(hashes, int(band[0]), len(band)), farthest)
    first, second, distance = np.unique(np.concatenate(found), axis=0).T
    return first, second, distance


def _bits(hashes: np.ndarray, start: int, count: int) -> np.ndarray:
    """Bits ``start`` to ``start + count - 1`` of each row as a number; at most 64."""
    word, shift = divmod(start, 64)
    bits = hashes[:, word] >> np.uint64(shift)
    if shift + count > 64:
        bits = bits | hashes[:, word + 1] << np.uint64(64 - shift)
    return bits & np.uint64((1 << count) - 1) if count < 64 else bits


def _agreeing(hashes: np.ndarray, band: np.ndarray, farthest: int) -> Iterator[np.ndarray]:
    """``(first, second, distance)`` of the rows with the same ``band`` that are not too far from each other."""
    order = np.argsort(band, kind="stable")  # rows that agree stand beside each other, in ascending order
    in_order = band[order]
    places, step = np.arange(len(order)), 0
    while len(places):  # those whose neighbour so many steps on still agrees
        step += 1
        places = places[places + step < len(order)]
        places = places[in_order[places] == in_order[places + step]]
        for start in range(0, len(places), _CHUNK):
            some = places[start : start + _CHUNK]
            first, second = order[some], order[some + step]
            distance = np.bitwise_count(hashes[first] ^ hashes[second]).sum(1, dtype=np.int64)
            near = distance <= farthest
            yield np.stack([first[near], second[near], distance[near]], 1)
