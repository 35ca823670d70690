"""Intervals of identification rates: against deleting people one by one, and against a model with known rates."""

from collections import defaultdict

import numpy as np
import pytest
from says import says

from facerec.perf.coverage import Searched, true_rates
from facerec.verification.all_pairs import unit_rows
from facerec.verification.identification import Roles, identify, search
from facerec.verification.identification_errors import Errors, errors_of
from facerec.verification.identification_intervals import falsely_returned, of_fnir, of_rank
from facerec.verification.identification_summary import summary


@pytest.mark.parametrize("rank", [1, 5])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_error_of_a_person_is_the_change_without_the_person(rank, seed):
    rows, draw = one_draw(seed)
    everyone = np.ones(len(draw.roles.mated), bool)
    hits, enrolled = draw.searches.rank <= rank, np.isin(np.arange(35), draw.person[draw.roles.gallery])
    person = draw.person[draw.roles.mated]
    errors = errors_of(hits, person, everyone, draw.searches.ahead[rank], -1, enrolled)
    changes = []
    for who in range(35):
        found = search(rows, draw.person, without(draw, who))
        left = len(found.rank)
        changes.append((np.mean(hits) - np.mean(found.rank <= rank)) * left / len(hits))
    rest = errors.total - changes
    np.testing.assert_allclose(rest[enrolled], rest[enrolled].mean(), atol=1e-9)
    np.testing.assert_allclose(rest[~enrolled], 0, atol=1e-9)
    assert errors.total.sum() == pytest.approx(0, abs=1e-9)
    assert (rest[enrolled].mean() > 1e-4) == (len(draw.searches.ahead[rank].probe) > 0)


def test_the_error_of_the_fpir_is_the_change_without_the_person():
    rows, draw = one_draw(3)
    step = int(np.median(draw.searches.best))
    enrolled = np.isin(np.arange(35), draw.person[draw.roles.gallery])
    errors = falsely_returned(draw, step)
    changes = []
    for who in range(35):
        best = search(rows, draw.person, without(draw, who)).best
        changes.append(
            (np.mean(draw.searches.best > step) - np.mean(best > step)) * len(best) / len(draw.searches.best)
        )
    rest = errors.total - changes
    np.testing.assert_allclose(rest[enrolled], rest[enrolled].mean(), atol=1e-9)
    np.testing.assert_allclose(rest[~enrolled], 0, atol=1e-9)
    assert rest[enrolled].mean() < 0


def test_what_two_people_share_counts_once():
    errors = Errors(np.array([0.3, -0.3, 0.0]), np.array([0.3, -0.1, -0.2]), np.array([1]), np.array([-0.2]))
    assert errors.variance(3) == pytest.approx(0.18 * 3 / 2)  # not below that of the own probes
    assert errors._replace(by_couple=np.array([0.0])).variance(3) == pytest.approx(0.18 * 3 / 2)
    wide = errors._replace(total=np.array([0.5, -0.1, -0.4]))
    assert wide.variance(3) == pytest.approx((0.25 + 0.01 + 0.16 - 0.04) * 3 / 2)


def test_the_intervals_contain_the_true_rates():
    design, rng, inside = Searched(people=60, alone=60, noise=0.9), np.random.default_rng(0), defaultdict(list)
    truth = true_rates(design, 150)
    for _ in range(150):
        for name, interval in design.intervals(rng, 2):
            inside[name].append(interval.low <= truth[name] <= interval.high)
    rates = {"rank 1", "rank 5", "FNIR at FPIR 1e-1"}
    assert set(inside) == rates | {f"gap of {name}" for name in rates}
    for name, hits in inside.items():
        assert 0.88 <= np.mean(hits) <= (1 if "gap" in name else 0.99), name


def test_more_people_make_an_interval_narrower():
    widths = []
    for people in (40, 160):
        interval = of_rank(identify(*images(5, people=people, alone=20), draws=3), 1).interval
        widths.append(interval.high - interval.low)
    assert 0.25 < widths[1] / widths[0] < 0.75


def test_rates_of_0_and_1_have_one_sided_intervals():
    draws = identify(*images(2, people=40, alone=130, noise=1e-4), draws=2)
    for estimate in (of_rank(draws, 1), of_rank(draws, 5)):
        assert estimate.interval.high == pytest.approx(1) and 0.8 < estimate.interval.low < 1
    assert of_fnir(draws, "1e-1").interval.low == pytest.approx(0)
    wrong = identify(np.ones((600, 3)), np.arange(600) // 2, draws=1)
    assert of_rank(wrong, 1).interval.low == pytest.approx(0) and of_fnir(wrong, "1e-1").interval.high == pytest.approx(
        1
    )


def test_an_interval_that_cannot_be_known_has_its_reason():
    embeddings, person = images(6)
    counts = np.bincount(person)
    one = int(np.flatnonzero(counts > 2)[0])
    groups = ["one" if who == one else "alone" if counts[who] == 1 else "rest" for who in person]
    found = summary(identify(embeddings, person, draws=6, groups=groups))
    low, high = found["rank"]["1"]["interval"]
    assert low < found["rank"]["1"]["mean"] < high
    # About 30 non-mated probes: 0.1 of them are 3.
    point = found["fnir_at_fpir"]["1e-1"]
    assert point["interval"] is None and says(point["no_interval"], "0.1", "allows", "below 10", "threshold")
    for name, number in (("one", "1 people"), ("alone", "0 people")):
        rank = found["groups"][name]["rank"]["1"]
        assert rank["interval"] is None and says(rank["no_interval"], number, "two")
    gap = found["gap"]
    assert gap["rank_interval"]["1"] is None and says(gap["rank_no_interval"]["1"], "group one", "two")


def test_many_images_of_few_people_do_not_tell_a_threshold():
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(20), 60)
    draws = identify(rng.normal(size=(20, 5))[person] + rng.normal(size=(1200, 5)), person, draws=1)
    estimate = of_fnir(draws, "1e-1")
    assert estimate.interval is None and says(estimate.reason, "4 people", "0.1")


def images(seed, people=20, alone=15, noise=0.6):
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people + alone), [*rng.integers(2, 6, people), *[1] * alone])
    return rng.normal(size=(people + alone, 5))[person] + rng.normal(0, noise, (len(person), 5)), person


def one_draw(seed):
    embeddings, person = images(seed)
    (draw,) = identify(embeddings, person, draws=1, seed=seed)
    return unit_rows(embeddings), draw


def without(draw, who):
    return Roles(*(role[draw.person[role] != who] for role in draw.roles))
