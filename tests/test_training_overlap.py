"""What a benchmark shares with the training set: the accuracy without it, and what is said."""

import json

import numpy as np
import pytest
from says import refuses, says
from scipy import stats
from test_report import results

from facerec.data.readers.bin import EncodedImages
from facerec.data.shared_people import Shared
from facerec.data.source import Benchmark
from facerec.data.synthetic.synthetic_faces import SyntheticFaces, synthetic_benchmark
from facerec.errors import InputError
from facerec.runs import training_overlap as module
from facerec.runs.report import find_runs
from facerec.runs.scores import save_scores
from facerec.runs.training_overlap import found_by_run, found_in_training, overlap, say_overlap, shared_sentences
from facerec.verification.dependence import named_people
from facerec.verification.intervals import accuracy_variance, balanced_terms, wilson
from facerec.verification.verify import verify

NUMBER = 40
IS_SAME = np.arange(NUMBER) % 2 == 0
PEOPLE = named_people(np.arange(NUMBER) % 12, np.where(IS_SAME, 0, 1) + np.arange(NUMBER) % 12)


@pytest.fixture
def result():
    left, right = np.random.default_rng(0).normal(size=(2, NUMBER, 4))
    return verify(left, right, IS_SAME, people=PEOPLE)


def benchmark(name="lfw"):
    pairs = np.arange(NUMBER) % 5, 5 + np.arange(NUMBER) % 10
    return Benchmark(name, EncodedImages([b""] * 15, [f"{n}.jpg" for n in range(15)]), *pairs, IS_SAME)


def test_the_accuracy_without_shared_pairs_weighs_both_kinds_alike_and_has_its_interval(result):
    shared = Shared(3, 2, np.arange(NUMBER) < 25)
    found = overlap(result, shared)
    one, two = (result.correct[[n for n in range(25, NUMBER) if (n % 2 == 0) == kind]] for kind in (True, False))
    assert (found["shared_people"], found["shared_images"], found["unshared_pairs"]) == (3, 2, 15)
    assert found["accuracy_unshared"] == pytest.approx((one.mean() + two.mean()) / 2)
    left = named_people(PEOPLE.one[25:], PEOPLE.other[25:])
    terms = np.where(IS_SAME[25:], (result.correct[25:] - one.mean()) / len(one), 0) / 2
    terms += np.where(IS_SAME[25:], 0, (result.correct[25:] - two.mean()) / len(two)) / 2
    expected = wilson(found["accuracy_unshared"], accuracy_variance(terms, left), left.num_people)
    assert found["accuracy_unshared_interval"] == pytest.approx(list(expected))
    assert found["unshared_people"] == left.num_people
    assert json.loads(json.dumps(found)) == found


def test_without_a_pair_of_a_kind_there_is_no_accuracy(result):
    found = overlap(result, Shared(None, 2, IS_SAME, "nobody is named"))
    assert (found["accuracy_unshared"], found["shared_unknown"]) == (None, "nobody is named")
    assert "accuracy_unshared_interval" not in found


def test_the_interval_contains_the_true_accuracy_as_often_as_it_says():
    """People shift all pairs that they are in; the rates of both kinds are known."""
    rng, hits = np.random.default_rng(2), []
    truth = np.mean([stats.norm.cdf(1.5 / np.sqrt(4 * 0.16 + 0.5)), stats.norm.cdf(1.0 / np.sqrt(2 * 0.16 + 0.5))])
    for _ in range(200):
        one = np.repeat(np.arange(100), 6)
        is_same = np.arange(len(one)) % 3 == 0  # a third of what is left shows one person
        other = np.where(is_same, one, (one + rng.integers(1, 100, len(one))) % 100)
        own = rng.normal(0, 0.4, 100)
        level = np.where(is_same, 1.5, 1.0) + own[one] + own[other] + rng.normal(0, np.sqrt(0.5), len(one))
        accuracy, terms = balanced_terms(level > 0, is_same)
        people = named_people(one, other)
        low, high = wilson(accuracy, accuracy_variance(terms, people), people.num_people)
        hits.append(low <= truth <= high)
    # The variance includes the noise of thresholds, which are fixed here: 96.5 % of 200 is 193.
    assert 183 <= sum(hits) <= 199


@pytest.fixture
def write(tmp_path):
    """Write runs of these results; gives their folders."""

    def written(*runs):
        for number, run in enumerate(runs):
            folder = tmp_path / f"run{number}"
            folder.mkdir()
            (folder / "results.json").write_text(json.dumps(run))
        return find_runs([tmp_path])

    return written


def sharing(run, accuracy=0.75, people=12, **more):
    counts = {"shared_people": people, "shared_images": 3, "unshared_pairs": 5000, "accuracy_unshared": accuracy}
    counts |= {"accuracy_unshared_error": 0.01, "unshared_people": 400}
    del run["last"]["benchmarks"]["cfp_ff"], run["best"]["benchmarks"]["cfp_ff"]
    run["last"]["benchmarks"]["lfw"] |= counts | more
    return run


def test_each_network_is_named_with_its_mean_over_seeds(write):
    depthwise = {"operator": {"_target_": "facerec.operators.depthwise.Depthwise"}}
    runs = [sharing(results(seed=seed), accuracy) for seed, accuracy in ((1, 0.75), (2, 0.77))]
    (sentence,) = shared_sentences(write(*runs, sharing(results(**depthwise), 0.7)))
    assert says(sentence, "lfw shares 12 people and 3 images", "feedbeef", "5000 pairs")
    assert says(sentence, "TVConv, MobileNetV2 x0.1 76.00 [", "Depthwise, MobileNetV2 x0.1 70.00 [")


def test_an_unknown_number_of_people_is_said_with_the_reason(write):
    run = sharing(results(), None, None, shared_unknown="the benchmark does not name people")
    (sentence,) = shared_sentences(write(run))
    assert says(sentence, "unknown number of people (the benchmark does not name people)", "3 images", "n/a")


def test_results_of_an_older_version_say_that_nothing_is_known(write):
    first, _ = shared_sentences(write(results()))
    assert says(first, "lfw", "unknown", "older version")
    assert not says(first, "TVConv")  # all networks there are


def test_those_of_several_networks_that_a_sentence_is_about_are_named(write):
    newer = sharing(results(width=0.5, backbone={"_target_": "facerec.MobileNetV2", "width": 0.5}), people=0)
    newer["last"]["benchmarks"]["lfw"]["shared_images"] = 0
    lfw, cfp_ff = shared_sentences(write(results(), newer))
    assert says(lfw, "lfw shares 0 people", "(TVConv, MobileNetV2 x0.5)")
    assert says(cfp_ff, "cfp_ff", "older version", "(TVConv, MobileNetV2 x0.1)")


def test_a_benchmark_that_shares_nothing_says_so(write):
    (sentence,) = shared_sentences(write(sharing(results(), people=0, shared_images=0)))
    assert sentence == "lfw shares 0 people and 0 images with the training set feedbeef"


@pytest.fixture
def run_of(write, result):
    """The folder of a run that verified ``benchmark`` and found this; None writes it as an older version did."""

    def written(shared):
        content = results()
        content["data"]["benchmarks"] = {"lfw": {"fingerprint": benchmark().fingerprint()}}
        if shared is not None:
            sharing(content, people=shared.people, shared_images=shared.images)
        (folder,) = write(content)
        save_scores(folder / "scores.npz", {"lfw": result}, [benchmark()], {"lfw": shared} if shared else {})
        return folder

    return written


def test_a_checkpoint_is_told_what_its_run_found(run_of, result, capsys):
    shared = Shared(12, 3, np.arange(NUMBER) < 25)
    folder = run_of(shared)
    found = found_by_run(folder, [benchmark(), benchmark("other")])
    assert found["lfw"][:2] == shared[:2] and np.array_equal(found["lfw"].pairs, shared.pairs)
    assert says(found["other"], str(folder), "did not verify other")
    say_overlap("a.ckpt", {"lfw": overlap(result, found["lfw"]), "other": found["other"]})
    one, other = capsys.readouterr().err.splitlines()
    assert says(one, "lfw shares 12 people and 3 images with the training set of a.ckpt", "15 pairs", "a.ckpt ")
    assert says(other, "other", "unknown", "training set of a.ckpt", "shared=true")


def test_why_a_run_does_not_tell(run_of, tmp_path):
    folder = run_of(None)
    assert says(found_by_run(folder, [benchmark()])["lfw"], "older version")
    moved = Benchmark("lfw", benchmark().images, benchmark().right, benchmark().left, IS_SAME)
    assert says(found_by_run(folder, [moved])["lfw"], "other pairs")
    (folder / "results.json").write_text("{}")
    assert says(found_by_run(folder, [benchmark()])["lfw"], "results.json", "damaged")
    assert says(found_by_run(tmp_path / "none", [benchmark()])["lfw"], "results.json", str(tmp_path))


class Painted:
    """A data module, as far as `found_in_training` reads it."""

    train_source, held_out_identities = None, 0
    opened_benchmarks = (synthetic_benchmark(num_identities=40, num_pairs=20),)

    def open_train(self):
        return SyntheticFaces(40, 3, image_size=32)


def test_the_training_set_is_opened_and_must_be_that_of_the_network():
    fingerprint = Painted().open_train().fingerprint()
    for known in (fingerprint, None):
        (shared,) = found_in_training(Painted(), known).values()
        assert (shared.people, shared.images, shared.unknown) == (0, 0, "")
    with refuses("shared=true", fingerprint, "other", "data=", error=InputError):
        found_in_training(Painted(), "other")


def test_held_out_identities_are_no_training_images():
    data = Painted()
    data.held_out_identities, data.held_out_seed = 20, 1
    train, _ = module.split_identities(data.open_train(), 20, 1)
    assert found_in_training(data, train.fingerprint())
