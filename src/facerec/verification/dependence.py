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


def dependent_variance(terms: np.ndarray, people: PairPeople) -> float:
    """Return the variance of ``terms.sum()``, for one term ``(P,)`` per pair, each of mean zero.

    Products of two terms count if their pairs share a person. With S_i the sum over the pairs of person i, and S_ij
    over the pairs of two people i and j, that is the sum of all S_i^2 minus that of all S_ij^2, which it has twice. The
    factor G / (G - 1) for G people corrects small samples, and the result is never below the variance of independent
    pairs, as it can be in small samples. Source: Aronow, Samii and Assenova, Cluster-robust variance estimation for
    dyadic data (Political Analysis 2015); Fogliato, Patil and Perona (arXiv 2306.01198) for matching.
    """
    one, other, number = people.one, people.other, people.num_people
    mixed = one != other
    of_person = np.bincount(one, terms, number) + np.bincount(other[mixed], terms[mixed], number)
    couple = np.minimum(one, other)[mixed] * number + np.maximum(one, other)[mixed]
    _, couple = np.unique(couple, return_inverse=True)
    of_couple = np.bincount(couple, terms[mixed])
    dependent = np.square(of_person).sum() - np.square(of_couple).sum()
    return float(max(dependent, np.square(terms).sum()) * number / max(number - 1, 1))
