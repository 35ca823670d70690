"""Groups of runs that differ in one setting, from folders written by hand."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from report_rows import table_rows
from says import refuses, says
from score_files import LEFT, PAIRS, PEOPLE, RIGHT, decisions, write_scores
from test_report import results

from facerec.config.compose import composed, resolved
from facerec.errors import InputError
from facerec.runs.comparable import compare_alike
from facerec.runs.comparing import Group, baseline_of, compare_groups, group_runs
from facerec.runs.differences import Run, other_differences
from facerec.runs.report import find_runs
from facerec.runs.run_results import RunResults
from facerec.training.older_settings import UNWRITTEN
from facerec.verification.dependence import named_people
from facerec.verification.intervals import accuracy_terms
from facerec.verification.paired_comparison import Measured, compare

ROOT = Path(__file__).parents[1]
DEPTHWISE = {"operator": {"_target_": "facerec.operators.depthwise.Depthwise"}}


@pytest.fixture
def write(tmp_path):
    """Write a run of these results and scores; gives its folder."""

    def written(content, rate=0.8, **scores):
        folder = tmp_path / f"run{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        (folder / "results.json").write_text(json.dumps(content))
        write_scores(folder / "last_scores.npz", rate=rate, seed=content["config"]["seed"], **scores)
        return folder

    return written


def both(write, seeds=(1, 2, 3), rate=0.95, **changed):
    for seed in seeds:
        write(results(seed=seed, **DEPTHWISE), 0.7)
        write(results(seed=seed, **changed), rate)


def compared(folder, setting="operator", **options):
    groups = group_runs(find_runs([folder]), setting, **options)
    return compare_groups(groups, baseline_of(groups, None))[0]


def test_every_benchmark_is_compared_with_the_depthwise_runs(write, tmp_path):
    both(write)
    lfw, cfp = compared(tmp_path)
    assert (lfw.benchmark, lfw.first, lfw.second) == ("lfw", "Depthwise, MobileNetV2 x0.1", "TVConv, MobileNetV2 x0.1")
    people = named_people(PEOPLE[LEFT], PEOPLE[RIGHT])
    runs = [
        [Measured(*accuracy_terms(decisions(rate, seed), np.arange(PAIRS) // 20)) for seed in (1, 2, 3)]
        for rate in (0.7, 0.95)
    ]
    assert lfw.found == compare(*runs, people)
    assert (lfw.p, cfp.p) == (min(2 * lfw.found.p, 1), min(2 * lfw.found.p, 1))  # Holm, of two
    assert says(lfw.sentence(), "lfw", "TVConv, MobileNetV2 x0.1 is better than Depthwise", "3 seeds", "after Holm")


def test_one_seed_cannot_tell(write, tmp_path):
    both(write, seeds=[7])
    lfw, _ = compared(tmp_path)
    assert lfw.p is None and says(lfw.sentence(), "cannot tell", "1 seed", "train more seeds")


def test_a_small_difference_says_how_many_seeds_would_tell(write, tmp_path):
    both(write, rate=0.72)
    lfw, _ = compared(tmp_path)
    assert says(
        lfw.sentence(), "cannot tell", f"{lfw.found.seeds_needed} seeds" if lfw.found.seeds_needed else "no number"
    )


def test_only_seeds_that_both_have_count(write, tmp_path):
    both(write, seeds=[1, 2])
    write(results(seed=3), 0.99)
    assert compared(tmp_path)[0].found.seeds == 2
    for seed in (1, 2):
        write(results(seed=seed + 10, width=0.5), 0.9)
    with refuses("width", "allow=width", error=InputError):
        compared(tmp_path)


def test_a_sweep_over_two_settings_is_compared_value_by_value(write, tmp_path):
    for width in (0.1, 0.5):
        both(write, seeds=(1, 2), width=width)
        for seed in (1, 2):
            write(results(seed=seed, width=width, **DEPTHWISE), 0.7)
    found, problems, differences, _ = compare_alike(find_runs([tmp_path]), "operator")
    assert (len(found), problems, differences) == (4, [], {})
    assert len({compared.p for compared in found}) == 1  # the same numbers, corrected for four


def test_a_run_without_a_counterpart_is_said(write, tmp_path):
    both(write, seeds=(1, 2))
    lone = write(results(seed=1, width=0.9), 0.7)
    found, (problem,), *_ = compare_alike(find_runs([tmp_path]), "operator")
    assert len(found) == 2 and says(problem, str(lone), "left out", "operator")


def test_two_runs_with_one_seed_that_are_no_repetition_are_refused(write, tmp_path):
    both(write)
    write(results(seed=1, started="2027", optimizer={"lr": 0.3}))
    with refuses("run1", "run6", "optimizer.lr", "name runs of one", error=InputError):
        compared(tmp_path, allow=["optimizer.lr"])


def later(run, **backbone):
    """As a later version writes a run: with settings that the earlier one did not have."""
    run["config"]["backbone"] |= {"_target_": "facerec.backbones.MobileNetV2", **backbone}
    return run


def test_a_setting_that_an_older_version_did_not_write_was_its_default(write, tmp_path):
    for seed in (1, 2):
        write(later(results(seed=seed, **DEPTHWISE)))
        write(later(results(seed=seed), pooling="average", operator_stages=None))
    assert len(compared(tmp_path)) == 2
    write(later(results(seed=3), pooling="gdconv"))
    with refuses("backbone.pooling", "average", "gdconv", error=InputError):
        compared(tmp_path)


def test_runs_of_older_and_newer_versions_are_seeds_of_one_group_and_one_row(write, tmp_path):
    for seed in (1, 2, 3):
        unwritten = {} if seed == 1 else {"pooling": "average", "operator_stages": None}
        write(later(results(seed=seed, **DEPTHWISE), **unwritten), 0.7)
        write(later(results(seed=seed), **unwritten), 0.9)
    (compared, _), problems, *_ = compare_alike(find_runs([tmp_path]), "operator")
    assert compared.found.seeds == 3 and not problems
    assert {row["seeds"] for row in table_rows(find_runs([tmp_path]))} == {"3"}


@pytest.mark.parametrize("setting", ["backbone", "backbone.pooling"])
def test_what_is_null_is_the_same_as_what_was_not_written_in_the_setting_that_differs_too(setting, write, tmp_path):
    for seed in (1, 2):
        write(later(results(seed=seed), pooling="average", **({} if seed == 1 else {"align": None})), 0.7)
        write(later(results(seed=seed), pooling="gdconv", **({"align": None} if seed == 1 else {})), 0.9)
    (compared, _), problems, *_ = compare_alike(find_runs([tmp_path]), setting)
    assert compared.found.seeds == 2 and not problems


def test_it_is_compared_with_other_values_of_that_setting(write, tmp_path):
    for seed in (1, 2):
        write(later(results(seed=seed)), 0.7)
        write(later(results(seed=seed), pooling="gdconv"), 0.9)
    assert {each.first for each in compared(tmp_path, "backbone.pooling")} == {"backbone.pooling=average"}


def test_seeds_are_no_setting_to_compare(write, tmp_path):
    both(write)
    with refuses("seed", "averages over", "another setting", error=InputError):
        compared(tmp_path, "seed")


def test_groups_without_a_common_seed_are_refused(write, tmp_path):
    write(results(seed=1, **DEPTHWISE))
    write(results(seed=2))
    with refuses("seeds 1", "2", "train both with the same", error=InputError):
        compared(tmp_path)


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("optimizer.lr", lambda run: run["config"].update(optimizer={"lr": 0.3})),
        ("protocol", lambda run: run.update(protocol="insightface")),
        ("commit", lambda run: run.update(git_commit="fedcba")),
        ("fingerprint.train", lambda run: run["data"]["train"].update(fingerprint="other")),
        ("fingerprint.lfw", lambda run: run["data"]["benchmarks"]["lfw"].update(fingerprint="other")),
    ],
)
def test_another_difference_is_refused_or_allowed(key, change, write, tmp_path):
    both(write)
    run = results(seed=4)
    change(run)
    write(run)
    with refuses(key, "operator", f"allow={key}", error=InputError):
        compared(tmp_path)
    assert len(compared(tmp_path, allow=[key])) == 2


def test_a_sweep_of_two_settings_is_refused_though_the_last_runs_agree(write, tmp_path):
    both(write)
    for seed in (1, 2, 3):
        for changed in (DEPTHWISE, {}):
            write(results(seed=seed, started="2027", optimizer={"lr": 0.3}, **changed))
    with refuses("optimizer.lr", "0.3", "operator", error=InputError):
        compared(tmp_path)


def test_a_repeated_run_counts_once_which_is_said(write, tmp_path, capsys):
    both(write)
    write(results(seed=1, started="2025") | {"git_commit": "fedcba"}, 0.1)
    assert compared(tmp_path)[0].means[1] > 0.9
    assert says(capsys.readouterr().err, "1 of 7 runs", "later one", "seed")


def test_how_images_are_loaded_does_not_matter(write, tmp_path):
    both(write, data={"root": "faces", "seed": 1, "num_workers": 7, "cache": "somewhere"})
    assert len(compared(tmp_path)) == 2


def test_values_of_a_plain_setting_are_named_and_nodes_may_repeat_them(write, tmp_path):
    for width in (0.1, 0.5):
        run = results(width=width)
        run["config"]["backbone"] |= {"width": width, "image_size": [96, 96]}
        write(run)
    assert {c.second for c in compared(tmp_path, "width")} == {"width=0.5"}
    run["config"]["backbone"]["image_size"] = [112, 96]
    write(run | {"started": "2027"})
    with refuses("backbone.image_size", "[96,96]", "[112,96]", error=InputError):
        compared(tmp_path, "width")


def test_nodes_that_repeat_the_setting_do_not_count_as_other_differences(write, tmp_path):
    for seed in (1, 2):
        for width, side in ((0.1, 96), (0.5, 96)):
            node = {"_target_": "facerec.backbones.MobileNetV2", "width": width, "image_size": [side, side]}
            write(results(seed=seed, width=width, image_size=side, backbone=node))
    assert len(compared(tmp_path, "width")) == 2
    own = {"_target_": "facerec.backbones.MobileNetV2", "width": 0.7, "image_size": [96, 96]}
    write(results(seed=3, width=0.5, image_size=96, backbone=own))
    with refuses("backbone.width", "0.7", error=InputError):
        compared(tmp_path, "width")


def test_runs_that_all_have_one_value_are_refused(write, tmp_path):
    write(results())
    with refuses("operator", "name runs that differ", error=InputError):
        group_runs(find_runs([tmp_path]), "operator")
    with refuses("widht", "width", error=InputError):
        group_runs(find_runs([tmp_path]), "widht")


def test_scores_of_an_older_version_are_named_with_what_writes_them_again(write, tmp_path):
    both(write, seeds=[1])
    file = tmp_path / "run0" / "last_scores.npz"
    write_scores(file, left=None)
    with refuses(str(file), "who is in the pairs", f"scores={file}", error=InputError):
        compared(tmp_path)
    file.unlink()
    with refuses(str(file), "missing", f"checkpoint={tmp_path / 'run0' / 'last.ckpt'}", error=InputError):
        compared(tmp_path)


def test_other_pairs_and_other_benchmarks_are_refused(write, tmp_path):
    both(write, seeds=[1])
    write_scores(tmp_path / "run0" / "last_scores.npz", left=np.roll(LEFT, 1))
    with refuses("lfw", "left", "same list", error=InputError):
        compared(tmp_path)
    write_scores(tmp_path / "run0" / "last_scores.npz", people=PEOPLE[::-1])
    with refuses("lfw", "people", "same list", error=InputError):
        compared(tmp_path)
    write_scores(tmp_path / "run0" / "last_scores.npz", names=["agedb"])
    with refuses("no benchmark in common", "data.benchmarks", error=InputError):
        compared(tmp_path)


def test_scores_of_another_protocol_or_epoch_than_the_results_are_said(write, tmp_path, capsys):
    for changed in (DEPTHWISE, {}):
        write(results(last=accuracy_terms(decisions(0.8, 1), np.arange(PAIRS) // 20)[0], **changed), names=["lfw"])
    compared(tmp_path)
    assert "evaluate" not in capsys.readouterr().err
    write_scores(tmp_path / "run1" / "last_scores.npz", ["lfw"], 0.3)
    compared(tmp_path)
    assert says(capsys.readouterr().err, "run1/last_scores.npz", "results.json", "lfw", "facerec evaluate checkpoint=")


def test_the_baseline_is_named_by_a_part_of_its_name(write, tmp_path):
    both(write, seeds=[1])
    groups = group_runs(find_runs([tmp_path]), "operator")
    assert baseline_of(groups, "tvconv").name.startswith("TVConv")
    with refuses("baseline=x0.1", "2 of the groups", "name one", error=InputError):
        baseline_of(groups, "x0.1")


@pytest.mark.parametrize("name", [None, "Depthwise", "depthwise, mobilenetv2"])
def test_a_whole_word_names_the_baseline_beside_names_that_contain_it(name):
    groups = [Group(f"{operator}, MobileNetV2 x0.1", {}) for operator in ("GridDepthwise", "Depthwise", "RepDepthwise")]
    assert baseline_of(groups, name) is groups[1]
    assert baseline_of(groups, "rep") is groups[2]


def test_a_committed_run_of_an_older_version_differs_in_nothing_from_the_same_run_of_today():
    folder = ROOT / "docs/runs/decide/depthwise_average_1"
    older = RunResults.read(folder)
    settings = [word for word in older.command.split()[1:] if not word.startswith(("name=", "resume="))]
    today = resolved(composed(settings))
    kept = {key: value for key, value in today.items() if key in older.config or key in ("init", "teacher", *UNWRITTEN)}
    runs = [Run(folder, older), Run(folder, replace(older, config=kept))]
    assert kept.keys() > older.config.keys() and other_differences(runs, "seed") == {}
