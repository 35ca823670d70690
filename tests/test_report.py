"""The table, from results written by hand."""

import copy
import json
from statistics import mean

import pytest
from report_rows import table_rows
from says import refuses, says
from score_files import write_scores

from facerec.errors import InputError
from facerec.runs.mean_accuracy import measured_accuracy
from facerec.runs.report import (
    find_runs,
    notes,
    recognition_title,
    said_once,
    show_table,
    without_file_columns,
)
from facerec.runs.run_results import RunResults
from facerec.runs.run_tables import run_tables
from facerec.runs.scores import load_scores
from facerec.runs.table_formats import comma_separated
from facerec.verification.intervals import wilson
from facerec.verification.paired_comparison import mean_interval


def results(accuracy=0.9, last=0.8, seed=1, started="2026-01-01T00:00:00", **config) -> dict:
    """What a run leaves in results.json, as far as the table reads it."""

    def verified(value: float, epoch: int) -> dict:
        summary = {"accuracy": value, "std": 0.0125, "auc": 0.95, "accuracy_error": 0.01, "num_people": 500}
        return {"epoch": epoch, "benchmarks": {"lfw": summary, "cfp_ff": summary | {"accuracy": value - 0.1}}}

    return {
        "started": started,
        "git_commit": "0123456789abcdef",
        "protocol": "tvconv",
        "config": {
            "backbone": {"_target_": "facerec.backbones.MobileNetV2", "width": 0.1},
            "operator": {"_target_": "facerec.operators.tvconv.TVConv"},
            "head": {"_target_": "facerec.heads.AMSoftmax"},
            "data": {"root": "faces", "seed": seed},
            "width": 0.1,
            "seed": seed,
            **config,
        },
        "data": {"train": {"fingerprint": "feedbeef"}, "benchmarks": {"lfw": {"pairs": 6000}}},
        "cost": {
            **{"macs_paper": 22_474_240, "macs_core": 18_023_680},
            **{"params": 16_369_368, "params_deployed": 315_096, "weight_map_elements": 4_084_992},
        },
        "training_images_per_second": 100.0 * seed,
        "best": verified(accuracy, 4 + seed),
        "last": verified(last, 9),
    }


@pytest.fixture
def write(tmp_path):
    """Write runs of these results; gives their folders."""

    def written(*runs: dict):
        for number, run in enumerate(runs):
            folder = tmp_path / f"run{number}"
            folder.mkdir()
            (folder / "results.json").write_text(json.dumps(run))
        return find_runs([tmp_path])

    return written


def shown(accuracy: float, variance: float = 0.01**2, freedom: float = 499) -> str:
    """An accuracy in percent and its interval, from the variance of the mean."""
    low, high = wilson(accuracy, variance, 500, freedom)
    return f"{100 * accuracy:.2f} [{100 * low:.2f}, {100 * high:.2f}]"


def test_one_run_has_a_row_for_the_last_epoch_and_then_one_for_the_best(write):
    last, best = table_rows(write(results()))
    assert best == {
        **{"backbone": "MobileNetV2 x0.1", "operator": "TVConv", "head": "AMSoftmax", "epoch": "best 6"},
        **{"chosen on": "benchmarks", "lfw": shown(0.9), "cfp_ff": shown(0.8), "MACs (M)": "22.47"},
        **{"params (M)": "16.369", "deployed (M)": "0.315", "maps (M)": "4.085", "images/s": "100", "seeds": "1"},
        **{"protocol": "tvconv", "data": "feedbeef", "commit": "0123456"},
    }
    assert (last["epoch"], last["chosen on"], last["lfw"], last["cfp_ff"]) == ("last 10", "", shown(0.8), shown(0.7))
    assert best["lfw"].startswith("90.00 [87.8")


def test_a_best_epoch_that_was_chosen_on_held_out_identities_comes_first(write):
    run = results()
    for epoch in ("best", "last"):
        run[epoch]["benchmarks"]["held_out"] = run[epoch]["benchmarks"]["lfw"]
    best, last = table_rows(write(run | {"best_chosen_on": ["held_out"]}))
    assert (best["epoch"], best["chosen on"], last["epoch"]) == ("best 6", "held_out", "last 10")


def test_an_epoch_that_is_both_the_last_and_the_best_has_one_row(write):
    run = results()
    run["best"] = run["last"]
    (row,) = table_rows(write(run))
    assert (row["epoch"], row["chosen on"], row["lfw"]) == ("last 10", "", shown(0.8))


def test_an_epoch_that_is_the_best_of_one_seed_alone_has_a_row_beside_the_last(write):
    run = results()
    run["best"] = run["last"]
    assert [row["epoch"] for row in table_rows(write(run, results(seed=2)))] == ["last 10", "best 7,10"]


def test_what_all_rows_have_is_said_once(write):
    rows = table_rows(write(results(), results(width=0.5, seed=2) | {"git_commit": "fedcba9876"}))
    kept, said = said_once(rows)
    assert said == "all rows: head AMSoftmax, seeds 1, protocol tvconv, data feedbeef"
    assert [row.keys() - kept_row.keys() for row, kept_row in zip(rows, kept, strict=True)] == 4 * [
        {"head", "seeds", "protocol", "data"}
    ]
    others = [row | {column: str(number) for column in row} for number, row in enumerate(rows)]
    assert said_once(others) == (others, "")


def test_seeds_are_averaged_and_the_interval_is_over_seeds_and_pairs(write):
    last, best = table_rows(write(*(results(a, seed=seed) for seed, a in enumerate([0.90, 0.93, 0.96], 1))))
    # Each differs from the mean of 0.93 by 0.03, 0 and 0.03: the variance of a seed is 0.0018 / 2.
    of_seeds, of_pairs = 0.0009 / 3, 0.01**2
    freedom = (of_seeds + of_pairs) ** 2 / (of_seeds**2 / 2 + of_pairs**2 / 499)
    assert best["lfw"] == shown(0.93, of_seeds + of_pairs, freedom)
    assert last["lfw"] == shown(0.8)[:6] + shown(0.8, freedom=499)[6:]
    assert (best["seeds"], best["epoch"], best["images/s"]) == ("3", "best 6,7,8", f"{mean([100, 200, 300]):.0f}")


def test_a_run_of_an_older_version_has_no_interval(write):
    run = results()
    for epoch in ("best", "last"):
        for summary in run[epoch]["benchmarks"].values():
            del summary["accuracy_error"]
    last, _ = table_rows(write(run))
    assert last["lfw"] == "80.00 [n/a]"


def test_a_run_that_was_made_again_counts_once_and_the_later_one_counts(write):
    runs = [results(0.5, started="2026-01-02"), results(0.9, started="2026-01-03"), results(0.7, started="2026-01-01")]
    _, best = table_rows(write(*runs))
    assert (best["lfw"], best["seeds"]) == (shown(0.9), "1")


@pytest.mark.parametrize("path", ["config.width", "config.optimizer.lr", "config.data.root", "data.train.fingerprint"])
def test_runs_that_differ_in_anything_but_the_seed_have_rows_of_their_own(path, write):
    other = copy.deepcopy(results(0.96, seed=2, optimizer={"lr": 0.1}))
    node = other
    *outer, inner = path.split(".")
    for key in outer:
        node = node[key]
    node[inner] = 0.2
    rows = table_rows(write(results(0.9, optimizer={"lr": 0.1}), other))
    assert [row["lfw"][:5] for row in rows] == ["80.00", "90.00", "80.00", "96.00"]


def test_runs_of_another_protocol_have_rows_of_their_own(write):
    assert len(table_rows(write(results(), results(seed=2) | {"protocol": "insightface"}))) == 4


def test_every_commit_of_a_row_is_named(write):
    best, _ = table_rows(write(results(), results(seed=2) | {"git_commit": None}))
    assert best["commit"] == "0123456,none"


def test_a_run_without_a_measured_speed_leaves_the_cell_empty(write):
    best, _ = table_rows(write(results() | {"training_images_per_second": None}))
    assert best["images/s"] == ""


@pytest.fixture
def rows(write):
    """Two networks, verified on different benchmarks."""
    other = results(operator={"_target_": "facerec.operators.depthwise.Depthwise"})
    for name in ("best", "last"):
        del other[name]["benchmarks"]["lfw"]
    return table_rows(write(results(), other))


def test_the_terminal_shows_the_accuracies(rows, capsys):
    show_table(without_file_columns(rows), recognition_title(rows))
    shown = capsys.readouterr().out
    assert "protocol tvconv" in shown and "90.00 [" in shown and "Depthwise" in shown


def test_runs_are_found_at_and_below_the_folders_once(write, tmp_path):
    runs = write(results(), results(seed=2))
    assert runs == find_runs([tmp_path, runs[0]]) == [tmp_path / "run0", tmp_path / "run1"]
    assert find_runs([runs[1]]) == [runs[1]]


def test_a_folder_without_runs_is_named(tmp_path):
    with refuses("results.json", str(tmp_path), "gone", error=InputError):
        find_runs([tmp_path, "gone"])


@pytest.mark.parametrize("text", ["", '{"best": {"epo', "[]", "{}", "null", "\udcff"])
def test_a_damaged_file_is_named(text, tmp_path):
    (tmp_path / "results.json").write_bytes(text.encode(errors="surrogateescape"))
    with refuses("results.json", "damaged", "remove this file", "resume=auto", error=InputError):
        RunResults.read(tmp_path)


def parts(content: dict, prefix: str = "") -> list[str]:
    found = [f"{prefix}{key}" for key in content]
    return found + [
        part for key, value in content.items() if isinstance(value, dict) for part in parts(value, f"{prefix}{key}.")
    ]


ODD = [None, [1], "text", float("nan"), float("inf"), 10**400, {}, {"": 1}, {"_target_": 3}]


@pytest.mark.parametrize("value", ODD, ids=lambda value: str(value)[:9])
def test_a_part_that_is_missing_or_of_another_kind_is_named_or_does_not_matter(value, tmp_path):
    for key in parts(results()):
        content = node = results()
        *nodes, last = key.split(".")
        for part in nodes:
            node = node[part]
        node[last] = value
        (tmp_path / "results.json").write_text(json.dumps(content))
        try:
            assert len(rows := table_rows([tmp_path])) == 2
            assert "fingerprint" in key or not says(comma_separated(rows), "nan")
            RunResults.read(tmp_path).objective()
        except InputError as error:
            part = "since" if isinstance(value, dict) else last if nodes or value is None else key
            assert says(str(error), f"{tmp_path}/results.json", part, "resume=auto"), error


@pytest.mark.parametrize("change", [{"best": {"epoch": 1, "benchmarks": {}}}, {"best_chosen_on": [3]}])
def test_results_of_no_benchmark_or_with_a_name_that_is_none_are_refused(change, tmp_path):
    content = results() | change | ({"last": change["best"]} if "best" in change else {})
    (tmp_path / "results.json").write_text(json.dumps(content))
    with refuses("results.json", "benchmarks", "resume=auto", error=InputError):
        RunResults.read(tmp_path)


def test_content_that_is_nested_too_deeply_is_refused(tmp_path):
    (tmp_path / "results.json").write_text("[" * 100_000)
    with refuses("results.json", "run it again", error=InputError):
        RunResults.read(tmp_path)


@pytest.mark.parametrize("nested", ['{"a":' * 300 + "1" + "}" * 300, "[" * 300 + "]" * 300], ids=["nodes", "lists"])
def test_a_configuration_that_is_deeper_than_any_is_refused(nested, tmp_path):
    content = results()
    content["config"]["data"] |= {"a": json.loads(nested)}
    (tmp_path / "results.json").write_text(json.dumps(content))
    with refuses("results.json", "config.data.a", "nested", "run it again", error=InputError):
        RunResults.read(tmp_path)


def test_a_real_run_has_its_rows(depthwise_run):
    last, best = table_rows([depthwise_run])
    assert (best["backbone"], best["operator"], last["epoch"]) == ("MobileNetV2 x0.1", "Depthwise", "last 3")
    summary = RunResults.read(depthwise_run).best["benchmarks"]["synthetic"]
    low, high = summary["accuracy_interval"]
    assert best["synthetic"] == f"{100 * summary['accuracy']:.2f} [{100 * low:.2f}, {100 * high:.2f}]"


def tvconv(stages, map_init=1.0, **config):
    """A run of TVConv in some stages, its maps from this."""
    backbone = {"_target_": "facerec.backbones.MobileNetV2", "width": 0.1, "operator_stages": stages}
    operator = {"_target_": "facerec.operators.tvconv.TVConv", "map_init": map_init}
    return results(backbone=backbone, operator=operator, **config)


def test_rows_of_the_same_network_say_in_what_they_differ_as_one_types_it(write):
    depthwise = results(operator={"_target_": "facerec.operators.depthwise.Depthwise", "kernel_size": 3})
    found = table_rows(write(depthwise, tvconv(None), tvconv([6, 7]), tvconv(None, "data")))
    assert [list(row) for row in found] == [list(found[0])] * len(found) and list(found[0])[2] == "settings"
    assert {row["settings"] for row in found} == {
        "",  # the only row of its operator, and the one of TVConv that has what most of its rows have
        "backbone.operator_stages=[6,7]",
        "operator.map_init=data",
    }


def test_rows_that_differ_in_the_network_or_the_seed_alone_need_no_settings(write):
    wide = results(backbone={"_target_": "facerec.backbones.MobileNetV2", "width": 0.5}, width=0.5)
    assert all("settings" not in row for row in table_rows(write(results(), results(seed=2), wide)))


def test_a_setting_that_nodes_repeat_is_named_once(write):
    sizes = [results(image_size=size, data={"root": "faces", "image_size": [size, size]}) for size in (80, 96)]
    assert {row["settings"] for row in table_rows(write(*sizes))} == {"image_size=80", "image_size=96"}


NAMES = ["[/red]", "[bold]x[/bold]", ":smile:"]


@pytest.fixture
def named(write):
    """The rows of a run whose benchmarks have these ``names``."""

    def rows(*names: str) -> list[dict[str, str]]:
        run = results()
        for checkpoint in ("best", "last"):
            run[checkpoint]["benchmarks"] = {name: {"accuracy": 0.9, "std": 0.01, "auc": 0.9} for name in names}
        return table_rows(write(run))

    return rows


def test_a_name_that_looks_like_markup_is_shown_as_it_is(named, capsys):
    rows = named(*NAMES)
    show_table(without_file_columns(rows), recognition_title(rows))
    shown = capsys.readouterr().out
    assert says(shown, *NAMES)


def test_a_paper_has_one_row_per_network_and_the_epoch_to_report(write):
    (table,) = run_tables(write(results(), results(width=0.5)))
    found = table.for_paper
    assert [row["epoch"] for row in found] == ["last 10", "last 10"]
    assert {"operator", "cfp_ff", "MACs (M)"} <= found[0].keys() and not {"commit", "images/s"} & found[0].keys()


def test_a_mean_over_seeds_has_the_interval_of_the_comparison_where_the_scores_are_kept(tmp_path):
    folders = []
    for seed, rate in ((1, 0.8), (2, 0.9)):
        folders.append(tmp_path / f"run{seed}")
        folders[-1].mkdir()
        write_scores(folders[-1] / "last_scores.npz", ["lfw"], rate, seed)
        measured = measured_accuracy(load_scores(folders[-1] / "last_scores.npz")["lfw"])
        content = results(last=measured.rate, seed=seed)
        for epoch in ("best", "last"):
            del content[epoch]["benchmarks"]["cfp_ff"]
        (folders[-1] / "results.json").write_text(json.dumps(content))
    last, best = table_rows(folders)
    kept = [load_scores(folder / "last_scores.npz")["lfw"] for folder in folders]
    expected = mean_interval([measured_accuracy(each) for each in kept], kept[0].people_of_pairs())
    assert last["lfw"].is_exact and list(last["lfw"].interval) == pytest.approx([100 * bound for bound in expected])
    assert not best["lfw"].is_exact  # has no file of scores
    assert says(*notes([best]), "without the files of scores", "compare") and not notes([last])
    write_scores(folders[0] / "last_scores.npz", ["lfw"], 0.1, 5)  # of another epoch
    assert not table_rows(folders)[0]["lfw"].is_exact
