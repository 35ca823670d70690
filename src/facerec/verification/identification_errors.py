"""The error of identification rates over people: a delete-one-person jackknife, to first order.

A rate is a mean over probes. Without a person, it changes in two ways: the person's own probes leave the mean, and as
one of the gallery, the person no longer decides searches of others. A search is decided by one of the gallery if it
ends otherwise without that person: somebody at rank 2 would be at rank 1 without the one who stands ahead. With A_i the
change by the own probes of person i, and B_i that by the place in the gallery, minus the mean over the gallery since
its size is given, the variance is the sum of all (A_i + B_i)^2. A search that j decides against a probe of i is in A_i
and in B_j, though, and what is special to these two people would count twice. So the sum of all B_ij^2, of the searches
for i that j decides, is subtracted, as for pairs (`dependence.variance_of`). The result is never below the sum of all
A_i^2, and the factor G / (G - 1) for G people corrects small samples.

A and B of a mean over galleries are the means over the galleries. The variance thus contains the choice of images and
of people who stay apart, since it makes the people's contributions differ. Sources: Efron and Stein, The jackknife
estimate of variance (Annals of Statistics 1981); Aronow, Samii and Assenova (Political Analysis 2015).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Decided(NamedTuple):
    """Searches that one ``person`` of the gallery decides, and the index of the ``probe``, both ``(C,)``."""

    probe: np.ndarray
    person: np.ndarray

    def of(self, chosen: np.ndarray) -> "Decided":
        """Return those of ``chosen`` probes, bool ``(P,)``."""
        return Decided(*(column[chosen[self.probe]] for column in self))


class Errors(NamedTuple):
    """The error of a rate by person, ``(G,)``: from the ``own`` probes, and ``total``, with the place in the gallery.

    ``couples`` number the probe's person and the one of the gallery who decides, and ``by_couple`` is the error from
    these searches, both ``(C,)``.
    """

    own: np.ndarray
    total: np.ndarray
    couples: np.ndarray
    by_couple: np.ndarray

    def variance(self, num_people: int) -> float:
        """Return the variance of the rate, for probes that show ``num_people`` people."""
        squares = self.total @ self.total - self.by_couple @ self.by_couple
        return float(max(squares, self.own @ self.own) * num_people / max(num_people - 1, 1))


def errors_of(
    hits: np.ndarray, person: np.ndarray, chosen: np.ndarray, decided: Decided, effect: int, gallery: np.ndarray
) -> Errors:
    """Return the errors of the rate of ``hits`` among ``chosen`` probes, both bool ``(P,)``, of ``person`` ``(P,)``.

    ``effect`` is +1 if those who decide make searches of chosen probes hits, and -1 if they prevent it. ``gallery``
    ``(G,)`` says for each person whether an image is in the gallery.
    """
    number, people = int(chosen.sum()), len(gallery)
    own = np.bincount(person[chosen], hits[chosen] - np.mean(hits[chosen]), people) / number
    by_gallery = np.bincount(decided.person, minlength=people) / number
    by_gallery[gallery] -= by_gallery[gallery].mean()
    couples = person[decided.probe] * people + decided.person
    return Errors(own, own + effect * by_gallery, couples, np.full(len(couples), effect / number))


def weighted(errors: Sequence[Errors], weights: Sequence[float]) -> Errors:
    """Return the errors of the sum of rates with these weights."""
    own, total = (sum(w * getattr(of, key) for w, of in zip(weights, errors, strict=True)) for key in ("own", "total"))
    couples, index = np.unique(np.concatenate([of.couples for of in errors]), return_inverse=True)
    values = np.concatenate([w * of.by_couple for w, of in zip(weights, errors, strict=True)])
    return Errors(np.asarray(own), np.asarray(total), couples, np.bincount(index, values, len(couples)))


def mean_of(errors: Sequence[Errors]) -> Errors:
    """Return the errors of the mean of rates."""
    return weighted(errors, [1 / len(errors)] * len(errors))
