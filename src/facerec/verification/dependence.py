"""The variance of sums over verification pairs, which depend on each other because they share people."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


class PairPeople(NamedTuple):
    """Who is in the pairs: ``one`` and ``other``, int64 ``(P,)``, number the people ``0 .. num_people - 1``.

    ``known`` is False if the source does not name people; they are then those whom same-person pairs connect.
    """

    one: np.ndarray
    other: np.ndarray
    num_people: int
    known: bool

    def of(self, chosen: np.ndarray) -> "PairPeople":
        """Return who is in the ``chosen`` pairs, bool ``(P,)``, alone."""
        return named_people(self.one[chosen], self.other[chosen])._replace(known=self.known)


def named_people(one: np.ndarray, other: np.ndarray) -> PairPeople:
    """Return the people of pairs whose two images show ``one`` and ``other``, names or numbers ``(P,)``."""
    names, numbers = np.unique(np.stack([one, other]), return_inverse=True)
    numbers = numbers.reshape(2, -1)
    return PairPeople(numbers[0], numbers[1], len(names), known=True)


def connected_people(left: np.ndarray, right: np.ndarray, is_same: np.ndarray) -> PairPeople:
    """Return the people as far as the pairs tell: images that same-person pairs connect are one person.

    ``left`` and ``right`` number the images, ``(P,)``. A person whose images no pair connects counts as several, which
    makes variances a little too small.
    """
    images, numbers = np.unique(np.stack([left, right]), return_inverse=True)
    left, right = numbers.reshape(2, -1)
    links = coo_array((np.ones(int(is_same.sum())), (left[is_same], right[is_same])), shape=(len(images),) * 2)
    _, person = connected_components(links, directed=False)
    return named_people(person[left], person[right])._replace(known=False)


class PairSums(NamedTuple):
    """Sums over pairs of one term per pair: all that `variance_of` needs of them.

    ``of_person`` ``(G,)`` is the sum over the pairs of each person, ``couples`` that of the squared sums over the pairs
    of two people, and ``squares`` that of the squared terms.
    """

    of_person: np.ndarray
    couples: float
    squares: float


def dependent_variance(terms: np.ndarray, people: PairPeople) -> float:
    """Return the variance of ``terms.sum()``, for one term ``(P,)`` per pair, each of mean zero."""
    one, other, number = people.one, people.other, people.num_people
    mixed = one != other
    of_person = np.bincount(one, terms, number) + np.bincount(other[mixed], terms[mixed], number)
    couple = couples(one[mixed], other[mixed], number)
    _, couple = np.unique(couple, return_inverse=True)
    of_couple = np.bincount(couple, terms[mixed])
    return variance_of(PairSums(of_person, float(np.square(of_couple).sum()), float(np.square(terms).sum())))


def couples(one: np.ndarray, other: np.ndarray, number: int) -> np.ndarray:
    """Return a number for the two people of each pair, whichever comes first, of ``number`` people."""
    return np.minimum(one, other).astype(np.int64) * number + np.maximum(one, other)


def variance_of(sums: PairSums) -> float:
    """Return the variance of the sum of all terms, each of mean zero.

    Products of two terms count if their pairs share a person. With S_i the sum over the pairs of person i, and S_ij
    over the pairs of two people i and j, that is the sum of all S_i^2 minus that of all S_ij^2, which it has twice. The
    factor G / (G - 1) for G people corrects small samples, and the result is never below the variance of independent
    pairs, as it can be in small samples. Source: Aronow, Samii and Assenova, Cluster-robust variance estimation for
    dyadic data (Political Analysis 2015); Fogliato, Patil and Perona (arXiv 2306.01198) for matching.
    """
    number = len(sums.of_person)
    dependent = np.square(sums.of_person).sum() - sums.couples
    return float(max(dependent, sums.squares) * number / max(number - 1, 1))
