"""Identification against searches one by one, over plain lists."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from says import refuses, says

from facerec.verification import identification
from facerec.verification.identification import FPIRS, Roles, identify, search
from facerec.verification.identification_summary import summary


def images(seed, people=20, alone=15, noise=0.6):
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people + alone), [*rng.integers(2, 6, people), *[1] * alone])
    rng.shuffle(person)
    return rng.normal(size=(people + alone, 5))[person] + rng.normal(0, noise, (len(person), 5)), person


def cosine(a, b):
    return a @ b / np.sqrt((a @ a) * (b @ b))


def by_hand(embeddings, person, roles):
    """Rates of rank 1 and 5 and FNIR by FPIR, of one division."""
    mated, non_mated = [], []
    for probe in [*roles.mated, *roles.non_mated]:
        similar = sorted(((cosine(embeddings[probe], embeddings[g]), person[g]) for g in roles.gallery), reverse=True)
        people = [who for _, who in similar]
        if person[probe] in people:
            mated.append((people.index(person[probe]) + 1, dict((who, c) for c, who in similar)[person[probe]]))
        else:
            non_mated.append(similar[0][0])
    rank = {n: np.mean([place <= n for place, _ in mated]) for n in (1, 5)}
    fnir = {}
    for key, fpir in FPIRS.items():
        # The lowest threshold of all similarities whose FPIR is small enough.
        good = [t for t in non_mated if np.mean([best > t for best in non_mated]) <= fpir]
        if fpir * len(non_mated) >= 1:
            fnir[key] = np.mean([place > 1 or own <= min(good) for place, own in mated])
    return rank, fnir


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 100, 1 << 22]))
def test_the_rates_of_each_draw_are_those_of_single_searches(seed, block):
    embeddings, person = images(seed)
    with (
        mock.patch.object(identification, "_BLOCK", block),
        mock.patch.object(identification, "search", side_effect=search) as searched,
    ):
        draws = identify(embeddings, person, draws=2, seed=seed)
    assert len(draws) == 2
    for draw, call in zip(draws, searched.call_args_list, strict=True):
        roles = call.args[2]
        rank, fnir = by_hand(embeddings, person, roles)
        assert draw.all.rank == pytest.approx(rank) and draw.all.fnir == pytest.approx(fnir) and not draw.groups
        assert (draw.gallery, draw.all.mated, draw.all.non_mated) == tuple(map(len, roles))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_each_image_has_one_role(seed):
    embeddings, person = images(seed)
    with mock.patch.object(identification, "search", side_effect=search) as searched:
        identify(embeddings, person, draws=3, seed=seed)
    galleries = []
    for call in searched.call_args_list:
        roles = call.args[2]
        assert sorted(np.concatenate(roles)) == list(range(len(person)))
        enrolled, mated, apart = (set(person[role]) for role in roles)
        assert len(enrolled) == len(roles.gallery) == 20 - 4 and mated == enrolled and not apart & enrolled
        assert {who for who in person if sum(person == who) == 1} <= apart
        galleries.append(tuple(roles.gallery))
    assert len(set(galleries)) == 3


def test_the_same_seed_draws_the_same():
    embeddings, person = images(1)
    assert identify(embeddings, person, 3, seed=4) == identify(embeddings, person, 3, seed=4)
    assert identify(embeddings, person, 3, seed=4) != identify(embeddings, person, 3, seed=5)


def test_who_is_as_similar_comes_before():
    rows, person = np.ones((5, 1), np.float32), np.array([0, 0, 1, 2, 3])
    found = search(rows, person, Roles(np.array([0, 2, 3]), np.array([1]), np.array([4])))
    assert found.rank.tolist() == [3] and found.own.tolist() == found.best.tolist()


def test_equal_embeddings_identify_nobody():
    (draw,) = identify(np.ones((80, 3)), np.arange(80) // 2, draws=1)
    assert draw.all.rank == {1: 0.0, 5: 0.0} and set(draw.all.fnir.values()) == {1.0}


def test_the_summary_has_mean_and_standard_deviation_over_draws():
    draws = identify(*images(2), draws=4)
    found = summary(draws)
    ranks = [draw.all.rank[1] for draw in draws]
    mean, std = found["rank"]["1"]["mean"], found["rank"]["1"]["std"]
    assert mean == pytest.approx(sum(ranks) / 4) and std == pytest.approx(np.std(ranks, ddof=1))
    fnirs = [draw.all.fnir["1e-1"] for draw in draws]
    assert found["fnir_at_fpir"]["1e-1"]["mean"] == pytest.approx(sum(fnirs) / 4)
    assert found["draws"] == 4 and found["gallery"] == 16
    # About 30 non-mated probes are fewer than a hundred.
    assert "1e-2" not in found["fnir_at_fpir"] and says(found["refused"]["1e-2"], "0.01", "non-mated probes", "bring")
    assert summary(draws[:1])["rank"]["5"]["std"] is None


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_the_probes_of_all_groups_are_all_probes(seed):
    embeddings, person = images(seed)
    groups = ["even" if who % 2 == 0 else "odd" for who in person]
    for draw in identify(embeddings, person, draws=2, seed=seed, groups=groups):
        assert set(draw.groups) == {"even", "odd"}
        for kind, number in (("rank", "mated"), ("fnir", "mated"), ("fpir", "non_mated")):
            for key, rate in getattr(draw.all, kind).items():
                sizes = [getattr(rates, number) for rates in draw.groups.values()]
                parts = [
                    getattr(rates, kind)[key] * size for rates, size in zip(draw.groups.values(), sizes, strict=True)
                ]
                assert sum(parts) == pytest.approx(rate * getattr(draw.all, number))
        for key, fpir in draw.all.fpir.items():
            assert fpir <= FPIRS[key]


def test_a_groups_rates_are_those_of_its_probes_alone():
    embeddings, person = images(9)
    group = ["some" if image % 3 == 0 else None for image in range(len(person))]
    with mock.patch.object(identification, "search", side_effect=search) as searched:
        (draw,) = identify(embeddings, person, draws=1, groups=group)
    roles = searched.call_args.args[2]
    some = Roles(roles.gallery, roles.mated[roles.mated % 3 == 0], roles.non_mated[roles.non_mated % 3 == 0])
    assert draw.groups["some"].rank == pytest.approx(by_hand(embeddings, person, some)[0])
    assert (draw.groups["some"].mated, draw.groups["some"].non_mated) == (len(some.mated), len(some.non_mated))


def test_the_gap_is_that_of_the_means_and_leaves_out_who_has_no_probe():
    embeddings, person = images(4)
    counts = np.bincount(person)
    groups = ["alone" if counts[who] == 1 else f"{who % 2}" for who in person]
    found = summary(identify(embeddings, person, draws=3, groups=groups))
    means = {name: group["rank"]["1"]["mean"] for name, group in found["groups"].items()}
    assert means["alone"] is None and found["gap"]["rank"]["1"] == pytest.approx(abs(means["0"] - means["1"]))
    assert found["groups"]["alone"]["fpir"]["1e-1"]["mean"] is not None


@pytest.mark.parametrize(
    ("people", "facts"),
    [([0, 0, 1, 1, 2, 3], ("2 of 4 people", "two or more")), ([0, 1, 2, 3, 4, 5], ("0 of 6 people",))],
)
def test_too_few_people_are_refused(people, facts):
    with refuses(*facts, "gallery", "bring more images"):
        identify(np.random.default_rng(0).normal(size=(6, 2)), people)


def test_a_nan_is_refused():
    embeddings, person = images(0)
    embeddings[7, 2] = np.nan
    with refuses("image 7", "NaN"):
        identify(embeddings, person)
