import json

import numpy as np
import pytest
import torch
from says import refuses, says

from facerec.verification.verify import PROTOCOLS, same_person, tar_at_far, verify

every_protocol = pytest.mark.parametrize("protocol", list(PROTOCOLS))


def on_circle(*degrees):
    return np.stack([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))], axis=1)


def gaussian_pairs(num_pairs=200, dim=32, noise=2.0, seed=0):
    """Left, right and alternating is_same; the right side of a same pair is the left one plus noise."""
    rng = np.random.default_rng(seed)
    is_same = np.arange(num_pairs) % 2 == 0
    left = rng.standard_normal((num_pairs, dim)) + 0.3
    other = rng.standard_normal((num_pairs, dim)) + 0.3
    return left, np.where(is_same[:, None], left + noise * rng.standard_normal(left.shape), other), is_same


def assert_same_numbers(result, other):
    assert other.scores == pytest.approx(result.scores, abs=1e-12)
    assert other.thresholds == pytest.approx(result.thresholds, abs=1e-12)
    assert other.fold_accuracies.tolist() == result.fold_accuracies.tolist()


def test_six_pairs_on_the_circle_by_hand():
    # Angles of the pairs: 20, 90, 40 | 30, 60, 120 degrees, squared distances 2 - 2 cos: 0.12, 2, 0.47 | 0.27, 1, 3.
    left = on_circle(0, 10, 200, 300, 5, 70)
    right = on_circle(20, 100, 240, 270, 65, 190)
    is_same = [True, False, True, True, False, False]
    result = verify(left, right, is_same, protocol="insightface", num_folds=2)
    assert result.thresholds == pytest.approx([0.27, 0.47])
    assert result.fold_accuracies == pytest.approx([2 / 3, 1])  # 40 degrees are too far at 0.27
    assert (result.accuracy, result.std) == pytest.approx((5 / 6, 1 / 6))
    assert result.scores == pytest.approx(2 - 2 * np.cos(np.deg2rad([20, 90, 40, 30, 60, 120])))
    assert (result.auc, result.eer, result.refused.keys()) == (1, 0, {1e-1, 1e-2, 1e-3, 1e-4})


def test_centring_removes_what_all_faces_share():
    # Pairs and their reflections at the origin: the mean of any fold is the third coordinate, which centring removes.
    angles = np.array([[0, 20], [180, 200], [40, 130], [220, 310], [100, 140], [280, 320], [0, 60], [180, 240]])
    left, right = (np.column_stack([on_circle(*side), np.full(8, 5.0)]) for side in angles.T)
    is_same = [True, True, False, False, True, True, False, False]
    result = verify(left, right, is_same, num_folds=2)
    squared = 2 - 2 * np.cos(np.deg2rad([20, 90, 40, 60]))
    assert result.thresholds == pytest.approx([(squared[2] + squared[3]) / 2, (squared[0] + squared[1]) / 2])
    assert result.fold_accuracies.tolist() == [1, 0.5]  # 60 degrees are near at the other fold's 1.06
    assert result.scores == pytest.approx(np.repeat(squared, 2))
    assert verify(left, right, is_same, "insightface", num_folds=2).scores.max() < 0.1


@every_protocol
def test_perfect_embeddings_are_perfect(protocol):
    result = verify(*gaussian_pairs(noise=1e-3), protocol)
    assert (result.accuracy, result.std, result.auc, result.eer, result.tar_at_far) == (1, 0, 1, 0, {0.1: 1, 0.01: 1})
    assert (result.scores[result.is_same] < 0.1).all()


@every_protocol
def test_inverted_embeddings_are_worse_than_chance(protocol):
    left, right, is_same = gaussian_pairs(noise=1e-3)
    left, right = left - 0.3, right - 0.3
    result = verify(left, np.where(is_same[:, None], -left, left + 0.01), is_same, protocol)
    assert (result.auc, result.eer, result.tar_at_far) == (0, 1, {0.1: 0, 0.01: 0})
    assert result.accuracy <= 0.5


@every_protocol
def test_random_embeddings_are_at_chance(protocol):
    rng = np.random.default_rng(1)
    result = verify(
        rng.standard_normal((2000, 16)), rng.standard_normal((2000, 16)), np.arange(2000) % 2 == 0, protocol
    )
    assert result.accuracy == pytest.approx(0.5, abs=0.05)  # 4.5 standard deviations
    assert (result.auc, result.eer) == pytest.approx((0.5, 0.5), abs=0.06)
    assert result.tar_at_far[0.1] == pytest.approx(0.1, abs=0.05)


@pytest.mark.parametrize(("protocol", "accuracy"), [("tvconv", 0.5), ("insightface", 0.5), ("tvconv_reference", 0)])
@pytest.mark.parametrize("value", [0.1, 1.0])
def test_embeddings_that_are_all_alike_are_at_chance_where_ties_are_not_errors(protocol, accuracy, value):
    embeddings = np.full((40, 8), value)
    result = verify(embeddings, embeddings, np.arange(40) % 2 == 0, protocol)
    assert (result.accuracy, result.auc, result.eer) == (accuracy, 0.5, 0.5)


@every_protocol
def test_auc_is_the_chance_that_a_same_pair_is_closer(protocol):
    result = verify(*gaussian_pairs(), protocol)
    same, different = result.scores[result.is_same], result.scores[~result.is_same]
    wins = np.mean([np.mean(distance < different) + np.mean(distance == different) / 2 for distance in same])
    assert result.auc == pytest.approx(wins)
    assert 0.5 < result.accuracy < 1
    fpr, tpr = result.roc()
    assert np.trapezoid(tpr, fpr) == pytest.approx(result.auc)
    assert result.tar_at_far == {far: tar_at_far(result.scores, result.is_same, far) for far in (0.1, 0.01)}


@every_protocol
def test_sides_and_order_within_a_fold_do_not_matter(protocol):
    left, right, is_same = gaussian_pairs()
    result = verify(left, right, is_same, protocol)
    order = np.arange(200).reshape(10, 20)[:, ::-1].ravel()
    for other in (verify(right, left, is_same, protocol), verify(left[order], right[order], is_same[order], protocol)):
        assert other.fold_accuracies.tolist() == result.fold_accuracies.tolist()
        assert other.thresholds == pytest.approx(result.thresholds, abs=1e-3)
        assert (other.auc, other.eer) == pytest.approx((result.auc, result.eer))


@every_protocol
def test_duplicated_pairs_change_nothing(protocol):
    left, right, is_same = gaussian_pairs()
    result = verify(left, right, is_same, protocol)
    doubled = verify(left.repeat(2, axis=0), right.repeat(2, axis=0), is_same.repeat(2), protocol)
    assert doubled.fold_accuracies.tolist() == result.fold_accuracies.tolist()
    assert (doubled.auc, doubled.eer) == pytest.approx((result.auc, result.eer))


@every_protocol
def test_length_of_embeddings_does_not_matter(protocol):
    left, right, is_same = gaussian_pairs()
    lengths = np.geomspace(1e-3, 1e3, len(left))[:, None]
    assert verify(left * lengths, right / lengths, is_same, protocol).scores == pytest.approx(
        verify(left, right, is_same, protocol).scores, abs=1e-5
    )


@every_protocol
def test_tensors_arrays_and_precisions_agree(protocol):
    left, right, is_same = gaussian_pairs()
    left, right = left.astype(np.float32), right.astype(np.float32)
    result = verify(left, right, is_same, protocol)
    tensor = torch.tensor(left, requires_grad=True)
    assert_same_numbers(result, verify(tensor, torch.tensor(right), torch.tensor(is_same), protocol))
    assert_same_numbers(result, verify(left.astype(np.float64), right, is_same.tolist(), protocol))


def test_memory_layout_does_not_change_the_last_digit():
    left, right, is_same = gaussian_pairs()
    result = verify(left, right, is_same, "insightface")
    for order in (np.asfortranarray, lambda side: torch.tensor(side.T).T):
        assert (verify(order(left), order(right), is_same, "insightface").scores == result.scores).all()


@every_protocol
def test_verifying_leaves_its_arguments_alone_and_repeats_itself(protocol):
    pairs = gaussian_pairs()
    copies = [side.copy() for side in pairs]
    for side in pairs:
        side.setflags(write=False)
    assert_same_numbers(verify(*pairs, protocol), verify(*pairs, protocol))
    assert all((side == copy).all() for side, copy in zip(pairs, copies, strict=True))


@every_protocol
def test_labels_of_a_fold_do_not_reach_its_threshold(protocol):
    left, right, is_same = gaussian_pairs()
    flipped = np.where(np.arange(200) // 20 == 4, ~is_same, is_same)
    result, other = verify(left, right, is_same, protocol), verify(left, right, flipped, protocol)
    assert other.thresholds[4] == result.thresholds[4]
    assert other.fold_accuracies[4] == pytest.approx(1 - result.fold_accuracies[4])
    assert (np.delete(other.thresholds, 4) != np.delete(result.thresholds, 4)).any()


def test_embeddings_of_a_fold_reach_its_threshold_in_the_reference_only():
    left, right, is_same = gaussian_pairs()
    moved = left + np.where(np.arange(200) // 20 == 4, 3.0, 0.0)[:, None]
    change = {
        name: verify(left, right, is_same, name).thresholds[4] - verify(moved, right, is_same, name).thresholds[4]
        for name in PROTOCOLS
    }
    assert change["tvconv"] == change["insightface"] == 0
    assert change["tvconv_reference"] != 0


def test_tvconv_and_its_reference_agree_on_the_first_fold_and_part_after_it():
    pairs = gaussian_pairs()
    fixed, reference = verify(*pairs, "tvconv"), verify(*pairs, "tvconv_reference")
    assert fixed.scores[:20] == pytest.approx(reference.scores[:20], abs=1e-5)
    assert abs(fixed.scores[20:] - reference.scores[20:]).max() > 1e-3


@every_protocol
def test_summary_is_json_and_names_its_protocol(protocol):
    result = verify(*gaussian_pairs(), protocol)
    summary = json.loads(json.dumps(result.summary()))
    assert summary == result.summary()
    assert summary.keys() == (
        {"protocol", "num_pairs", "accuracy", "std", "thresholds", "fold_accuracies"}
        | {"auc", "eer", "tar_at_far", "refused", "decision"}
        | {"accuracy_error", "accuracy_interval", "tar_intervals", "num_people", "people_known"}
    )
    assert (summary["protocol"], summary["num_pairs"], result.num_folds) == (protocol, 200, 10)
    assert summary["accuracy"] == pytest.approx(np.mean(summary["fold_accuracies"]))
    assert summary["std"] == pytest.approx(np.std(summary["fold_accuracies"], ddof=0))
    assert (list(summary["tar_at_far"]), list(summary["refused"])) == (["1e-1", "1e-2"], ["1e-3", "1e-4"])
    assert summary["refused"]["1e-4"].startswith("FAR 0.0001 cannot be resolved with 100 different-person pairs")


@every_protocol
@pytest.mark.parametrize("mean", [0, 3])
def test_pairs_decided_one_by_one_with_what_is_stored_give_the_accuracy(protocol, mean):
    left, right, is_same = gaussian_pairs(noise=3)
    left, right = left + mean, right + mean
    result = verify(left, right, is_same, protocol)
    right_of_fold = np.zeros(10)
    for pair, flag in enumerate(is_same):
        fold = pair // 20
        stored = result.thresholds[fold], result.centres_of(fold)
        (decided,) = same_person(left[pair : pair + 1], right[pair : pair + 1], *stored, protocol)
        right_of_fold[fold] += decided == flag
    assert (right_of_fold / 20).tolist() == result.fold_accuracies.tolist()
    assert np.mean(right_of_fold / 20) == result.accuracy


def test_the_threshold_of_the_default_protocol_is_of_no_use_without_its_centre():
    left, right, is_same = gaussian_pairs(noise=1)
    left, right = left + 9, right + 9
    result = verify(left, right, is_same)
    plain = same_person(left, right, result.thresholds.mean(), protocol="insightface")
    assert result.accuracy > 0.8 and np.mean(plain == is_same) == 0.5


@every_protocol
def test_a_threshold_says_what_it_applies_to(protocol):
    summary = verify(*gaussian_pairs(), protocol).summary()
    facts = {"tvconv": "minus", "tvconv_reference": "each fold", "insightface": "mirror image"}[protocol]
    assert says(str(summary["decision"]), "squared distance", "below", "length 1", facts)


def with_pair(side, pair, value):
    return np.where(np.arange(len(side))[:, None] == pair, value, side)


ONES, FLAGS = np.ones((12, 3)), np.arange(12) % 2 == 0


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        ((ONES, ONES, FLAGS, "tvcnv"), ("protocol", "tvconv, tvconv_reference, insightface", "tvcnv")),
        ((ONES, ONES[:, :2], FLAGS), ("(12, 3)", "(12, 2)", "(pairs, embedding_dim)")),
        ((ONES[0], ONES[0], FLAGS), ("(3,)", "(pairs, embedding_dim)")),
        ((ONES, ONES, FLAGS[:5]), ("is_same", "(5,)", "12 pairs")),
        (
            (ONES, with_pair(ONES, 7, np.nan), FLAGS),
            ("pair 7", "NaN", "infinite", "right"),
        ),
        (
            (with_pair(ONES, 3, -np.inf), with_pair(ONES, 7, np.nan), FLAGS),
            ("pair 3", "NaN", "infinite", "left"),
        ),
        (
            (with_pair(ONES, 11, 0), ONES, FLAGS),
            ("pair 11", "zero", "left"),
        ),
        (
            (ONES, ONES, np.where(FLAGS, 1, -1)),
            ("is_same", "-1, 1", "flags > 0"),
        ),
        ((ONES, ONES, FLAGS | True), ("is_same", "12 same-person", "different-person")),
        (
            (ONES, ONES, FLAGS & False),
            ("is_same", "12 different-person", "same-person"),
        ),
        ((ONES[:0], ONES[:0], FLAGS[:0]), ("0 pairs", "bring")),
        ((ONES, ONES, FLAGS, "tvconv", 13), ("12 pairs", "13 folds", "bring more")),
        (
            (ONES, ONES, FLAGS, "tvconv", 1),
            ("num_folds", "2", "1"),
        ),
    ],
)
def test_pairs_that_cannot_be_verified_are_refused_in_one_sentence(arguments, facts):
    with refuses(*facts):
        verify(*arguments)


@pytest.mark.parametrize("length", [1e38, 1e60, 1e-13, 1e-40])
def test_what_float32_cannot_square_is_refused_where_it_is_used(length):
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, 40, 8))
    is_same = np.arange(40) % 2 == 0
    scaled = with_pair(left, 7, left[7] * length / np.linalg.norm(left[7]))
    with refuses("pair 7", "left", f"{length:.3g}", "float32", "tvconv_reference", "another protocol"):
        verify(scaled, right, is_same, "tvconv_reference")
    expected = verify(left, right, is_same)
    np.testing.assert_allclose(verify(left * length, right * length, is_same).scores, expected.scores, rtol=1e-6)
