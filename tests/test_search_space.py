"""The space of a search, as it is typed, and the configurations that it may not compare."""

import math
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import DEPTHWISE
from says import every, refuses

from facerec.config.search_cells import completed, composed_cells, identity
from facerec.config.search_space import Choices, Range, parse_space
from facerec.config.settings import quoted
from facerec.errors import InputError

PLAIN = ["data=synthetic", *DEPTHWISE[7:]]
LR = "optimizer.lr=0.01..0.3:log"
HELD_OUT = "data.held_out_identities=20"


def space_of(*arguments: str, compare: str | None = None, trials: int = 1):
    return parse_space(quoted(arguments), compare, trials)


def one(argument: str):
    """What is searched, if it is ``argument`` alone."""
    ((_, variable),) = space_of(argument).searched.items()
    return variable


numbers = st.floats(-1e9, 1e9, allow_subnormal=False)


@given(numbers, numbers)
def test_a_range_has_the_ends_that_are_typed(low, high):
    if low < high:
        assert one(f"optimizer.lr={low!r}..{high!r}") == Range(low, high)
    else:
        with refuses("optimizer.lr", "lower", error=InputError):
            one(f"optimizer.lr={low!r}..{high!r}")


@given(st.integers(1, 10**9), st.integers(1, 10**9), st.permutations([":log", ":int"]))
def test_scales_are_given_in_any_order(low, length, scales):
    written = f"head.scale={low}..{low + length}{''.join(scales)}"
    assert one(written) == Range(low, low + length, log=True, integer=True)


@given(st.floats(1e-12, 1e3), st.floats(1.001, 1e6), st.booleans(), st.booleans())
def test_a_variable_is_shown_as_it_could_be_typed(low, factor, log, integer):
    high = low * factor
    if integer:
        low, high = math.ceil(low), math.ceil(low) + math.ceil(factor)
    variable = Range(low, high, log, integer)
    assert one(f"optimizer.lr={variable}") == variable


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=6, unique=True))
def test_choices_are_kept_as_they_are_typed(values):
    written = ",".join(map(str, values))
    variable = one(f"head.scale={written}")
    assert variable == Choices(tuple(map(str, values))) and str(variable) == written


def test_names_and_lists_are_choices_too():
    assert one("head=arcface,am_softmax") == Choices(("arcface", "am_softmax"))
    assert one("lr_scheduler.milestones=[5,7],[6,8]") == Choices(("[5,7]", "[6,8]"))
    assert one("augmentation@data.train_augmentation=none,jitter") == Choices(("none", "jitter"))


def test_everything_else_is_a_setting_of_every_trial():
    fixed = [
        "width=0.1",
        "lr_scheduler.milestones=[5,7]",
        "data.root=a,b",
        "data.train_list=1..2",
        "~optimizer.momentum",
    ]
    space = space_of(*fixed, LR)
    assert list(space.searched) == ["optimizer.lr"] and len(space.fixed) == 5
    assert space.overrides("", {"optimizer.lr": "0.1"}) == [*quoted(fixed), "optimizer.lr=0.1"]


def test_several_operators_are_compared_and_so_is_what_is_named():
    space = space_of(LR, "operator=depthwise,tvconv", "head=arcface,am_softmax")
    assert space.compare == "operator" and space.compared == ("depthwise", "tvconv")
    assert list(space.searched) == ["optimizer.lr", "head"]
    space = space_of(LR, "operator=depthwise,tvconv", "head=arcface,am_softmax", compare="head")
    assert space.compared == ("arcface", "am_softmax") and list(space.searched) == ["optimizer.lr", "operator"]
    assert space.label("arcface") == "head=arcface"
    assert space_of(LR).compared == ("",)


def test_the_cells_have_every_choice_and_both_ends_of_every_range():
    space = space_of(LR, "head=arcface,am_softmax", "operator=depthwise,tvconv")
    cells = [overrides for _, overrides in space.cells("tvconv")]
    assert cells == [
        ["operator=tvconv", "optimizer.lr=0.01", "head=arcface"],
        ["operator=tvconv", "optimizer.lr=0.3", "head=arcface"],
        ["operator=tvconv", "optimizer.lr=0.01", "head=am_softmax"],
    ]


REFUSED = {
    "optimizer.lr=0.3..0.01": ("optimizer.lr=0.3..0.01", "lower"),
    "optimizer.lr=0.1..0.1": ("optimizer.lr=0.1..0.1", "lower"),
    "optimizer.lr=0..1:log": ("optimizer.lr=0..1:log", "above 0", ":log"),
    "optimizer.lr=0.1..1:exp": ("optimizer.lr=0.1..1:exp", ":log", ":int"),
    "optimizer.lr=0.1..1:log:log": ("optimizer.lr=0.1..1:log:log", "repeated"),
    "head.scale=1.5..8:int": ("head.scale=1.5..8:int", "integers", "'1.5'"),
    "head.scale=1..nan": ("head.scale=1..nan", "numbers", "'nan'"),
    "head.scale=1..inf": ("head.scale=1..inf", "'inf'"),
    "head.scale=1..2..3": ("head.scale=1..2..3", "numbers"),
    "head.scale=interval(1,2)": ("head.scale=interval(1,2)", "LOW..HIGH"),
    "head.scale=choice(1)": ("head.scale=choice(1)", "two values"),
    "head.scale=16,16": ("head.scale=16,16", "once"),
    "width=0.1": ("nothing is searched", "optimizer.lr=0.01..0.3:log"),
    "operator=depthwise,tvconv": ("nothing is searched",),
    f"{LR} optimizer.lr=0.1..0.2": ("optimizer.lr", "twice"),
    f"{LR} optimizer.lr=0.1": ("optimizer.lr=0.1", "searched", "leave"),
    f"{LR} name=mine": ("name=mine", "out="),
    f"{LR} resume=auto": ("resume=auto", "leave it out"),
    f"{LR} hydra.run.dir=here": ("hydra.run.dir=here", "out="),
    f"{LR} sweep=table2": ("sweep=table2", "out="),
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_what_is_no_space_is_refused(arguments):
    with refuses(*REFUSED[arguments], error=InputError):
        space_of(*arguments.split())


def test_what_is_compared_must_have_several_values():
    with refuses("compare=head", "head=A,B", error=InputError):
        space_of(LR, compare="head")
    with refuses("compare=optimizer.lr", error=InputError):
        space_of(LR, "head=arcface,am_softmax", compare="optimizer.lr")


def test_more_trials_than_settings_are_refused():
    arguments = ("head.scale=16,32", "head.margin=0..2:int", "operator=depthwise,tvconv")
    assert len(space_of(*arguments, trials=6).searched) == 2
    with refuses("trials=7", "6 settings", "train -m", error=InputError):
        space_of(*arguments, trials=7)


def test_identities_are_held_out_and_no_benchmark_is_verified_unless_told_otherwise():
    space = completed(space_of(*DEPTHWISE, LR))
    ((cell, *_),) = composed_cells(space).values()
    assert cell.cfg.data.held_out_identities == 0.1 and list(cell.cfg.data.benchmarks) == []
    assert cell.cfg.trainer.devices == 1
    space = completed(space_of(*DEPTHWISE, LR, HELD_OUT, "data.benchmarks=[synthetic]"))
    ((cell, *_),) = composed_cells(space).values()
    assert cell.cfg.data.held_out_identities == 20 and list(cell.cfg.data.benchmarks) == ["synthetic"]


NO_SEARCH = {
    "data.held_out_identities=0": ("data.held_out_identities=0", "20"),
    "trainer.devices=2": ("trainer.devices=2", "trainer.devices=1"),
    "+trainer.num_nodes=2": ("trainer.num_nodes=2", "one device"),
    "trainer.max_epochs=-1": ("trainer.max_epochs=-1", "number of epochs"),
    "data=folder data.root=nowhere": ("nowhere", "data.root"),
}


@pytest.mark.parametrize("arguments", NO_SEARCH)
def test_settings_without_an_objective_or_an_end_are_refused(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with refuses(*NO_SEARCH[arguments], error=InputError):
        completed(space_of(*(PLAIN if "data=" not in arguments else PLAIN[1:]), *arguments.split(), LR))


INCOMPARABLE = {
    "trainer.max_epochs=2,3": "trainer.max_epochs",
    "seed=1,2": "seed",
    "data.held_out_seed=0,1": "data.held_out_seed",
    "protocol=tvconv,insightface": "protocol",
    "data.num_identities=8..9:int": "data.num_identities",
    "+trainer.max_steps=5,10": "trainer.max_steps",
}


@pytest.mark.parametrize("argument", INCOMPARABLE)
def test_trials_of_other_length_or_other_data_are_refused(argument):
    with refuses(argument, f"changes {INCOMPARABLE[argument]} from", error=InputError):
        composed_cells(completed(space_of(*PLAIN, argument)))


def test_what_is_loaded_and_how_fast_may_be_searched():
    arguments = ("data.global_batch_size=8,16", "augmentation@data.train_augmentation=none,jitter")
    ((first, *others),) = composed_cells(completed(space_of(*PLAIN, *arguments))).values()
    assert first.argument == "" and [cell.argument.partition("=")[0] for cell in others] == [
        "data.global_batch_size",
        "augmentation@data.train_augmentation",
    ]


def test_a_wrong_choice_is_named_with_its_argument():
    with refuses("head=arcface,arcfase", "did you mean 'arcface'", error=InputError):
        composed_cells(completed(space_of(*DEPTHWISE, "head=arcface,arcfase")))


def test_what_a_continued_search_must_share_has_the_ranges_and_not_how_images_are_loaded():
    space = completed(space_of(*DEPTHWISE, LR, "head=arcface,am_softmax"))
    ((cell, *_),) = composed_cells(space).values()
    shared = identity(space, cell)
    assert shared["optimizer.lr"] == "0.01..0.3:log" and shared["head"] == "arcface,am_softmax"
    assert shared["width"] == "0.1" and shared["seed"] == "1" and shared["data.held_out_identities"] == "0.1"
    assert every(key not in shared for key in ("data.num_workers", "data.cache", "callbacks", "name"))


def test_without_optuna_there_is_one_sentence(capsys):
    from facerec.commands import search

    with mock.patch.object(search, "find_spec", return_value=None):
        assert search.main([*DEPTHWISE, LR]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "optuna" in said and "'.[search]'" in said
