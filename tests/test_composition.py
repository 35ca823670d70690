"""Which command lines are refused before anything is done, and what checking a sweep costs."""

import itertools

import pytest
from says import refuses

from facerec.config import compose as composition
from facerec.errors import InputError

TINY = ["data=synthetic", "trainer=cpu", "logger=none", "image_size=32", "embedding_dim=16"]


def test_a_width_is_refused_where_nobody_reads_it():
    with refuses("width", "no effect", "backbone", error=InputError):
        composition.compose(["backbone=timm", "backbone.name=lcnet_050", "width=0.5"])


@pytest.mark.parametrize("strength", ["affine_strength=3", "affine_strength=1.0"])
def test_a_strength_is_refused_where_nobody_reads_it(strength):
    composition.compose([*TINY, "augmentation@data.train_augmentation=[jitter,shear]", strength])
    remedies = ("augmentation@data.train_augmentation=rotation", "augmentation@data.test_augmentation=rotation")
    with refuses("affine_strength", "no effect", *remedies, error=InputError):
        composition.compose([*TINY, "augmentation@data.train_augmentation=jitter", strength])


AFFINE, WIDTH = ("affine_strength", "no effect", "transform"), ("width", "no effect", "backbone")


@pytest.mark.parametrize(
    ("cells", "facts"),
    [
        (["affine_strength=0.5,1"], AFFINE),
        (["affine_strength=0.5,1", "augmentation@data.test_augmentation=rotation,jitter"], AFFINE),
        (["sweep=table5", "augmentation@data.train_augmentation=none"], AFFINE),
        (["backbone=timm", "backbone.name=lcnet_050", "operator=none", "width=0.1,0.2"], WIDTH),
        (["backbone=timm", "backbone.name=lcnet_050", "operator=none", "sweep=figure4"], WIDTH),
        (["seed=1,2", "~head"], ("'head'", "head=")),
        (["head=arcface,am_softmax", "seed=1,x"], ("'x'", "seed")),
        (["sweep=figure4", "width=0.1,abc"], ("'abc'", "width")),
        (["operator=tvconv,tvcov"], ("operator=tvcov", "tvconv")),
        (["operator=glob(zzz*)"], ("operator=glob(zzz*)", "axial", "condconv", "ddf")),
        (["head=glob(z)"], ("head=glob(z)", "am_softmax", "arcface")),
        (["seed=range(1,1)"], ("seed=range(1,1)", "value")),
        (["seed=glob(1*)"], ("seed=glob(1*)", "value")),
        (
            ["optimizer.lr=interval(0,1)"],
            ("optimizer.lr=interval(0,1)", "commas", "range("),
        ),
        (
            ["sweep=table5,figure4"],
            ("sweep=table5,figure4", "one by one"),
        ),
        (["sweep=glob(*)"], ("sweep=glob(*)", "one by one")),
        *(
            ([setting], (setting, "configs/sweep", "KEY=VALUE,VALUE"))
            for setting in ("+hydra.sweeper.params.seed=1", "++hydra.sweeper.params={seed:'1,2'}")
        ),
    ],
    ids=str,
)
def test_a_sweep_is_refused_for_what_is_wrong_in_any_cell(cells, facts):
    with refuses(*facts, error=InputError):
        composition.check_command_line(["-m", *TINY, *cells])


@pytest.mark.parametrize("name", sorted(file.stem for file in (composition.CONFIG_FOLDER / "sweep").glob("*.yaml")))
def test_the_sweeps_of_the_project_have_no_such_cell(name):
    drawn = "data=drawn_eyes" if name == "domains" else "data=synthetic"
    composition.check_command_line(["--multirun", drawn, f"sweep={name}"])


def test_a_sweep_of_the_second_task_takes_its_experiment():
    composition.check_command_line(["-m", "experiment=mini_fundus", "sweep=domains", "data.root=FOLDER"])


@pytest.mark.parametrize("values", ["operator=glob(*)", "seed=range(1,4)", "backbone.operator_stages=[1,2],[3]"])
def test_every_way_to_write_a_sweep_is_understood(values):
    composition.check_command_line(["-m", *TINY, values, "head=am_softmax,arcface"])


@pytest.fixture
def composed(monkeypatch):
    """The overrides of each configuration that is composed."""
    cells: list[list[str]] = []
    monkeypatch.setattr(composition, "compose", cells.append)
    return cells


def test_the_check_of_a_sweep_costs_the_sum_of_its_values_and_not_their_product(composed):
    swept = {"operator": ["tvconv", "sasa", "ddf"], "head": ["arcface", "am_softmax"], "seed": ["1", "2", "3", "4"]}
    composition.check_command_line(["-m", *(f"{key}={','.join(values)}" for key, values in swept.items())])
    sweep = [
        [f"{key}={value}" for key, value in zip(swept, cell, strict=True)]
        for cell in itertools.product(*swept.values())
    ]
    assert composed[0] == sweep[0] and all(cell in sweep for cell in composed)
    assert {setting for cell in composed for setting in cell} == {setting for cell in sweep for setting in cell}
    assert len(composed) == 1 + (3 - 1) + (2 - 1) + (4 - 1)


def test_what_is_given_replaces_what_a_sweep_presets(composed):
    composition.check_command_line(["-m", "sweep=figure4", "width=0.7", "operator=sasa"])
    assert composed == [["operator=sasa", "width=0.7", f"seed={seed}", "sweep=figure4"] for seed in range(1, 6)]


@pytest.mark.parametrize("multirun", [[], ["-m"], ["--multirun"]], ids=" ".join)
@pytest.mark.parametrize(
    "own",
    [
        "-cd mine",
        "-cd=mine",
        "--config-dir mine",
        "--config-dir=mine",
        "-cp mine",
        "-cn mine",
        "hydra.searchpath=[mine]",
    ],
)
def test_of_a_configuration_of_the_users_own_only_the_keys_are_checked(own, multirun, composed):
    composition.check_command_line([*multirun, *own.split(), "operator=mine,depthwise"])
    with refuses("operater", "operator", error=InputError):
        composition.check_command_line([*multirun, *own.split(), "operater=mine"])
    assert not composed


@pytest.mark.parametrize("flags", [["-m"], ["--multirun"], ["--cfg", "job"], ["-cd", "mine"], ["--help"]], ids=" ".join)
def test_hydras_options_may_be_anywhere(flags):
    assert composition.options_first(["seed=1,2", *flags, "width=0.1"]) == [*flags, "seed=1,2", "width=0.1"]


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["--out", "x"], ("'--out'", "KEY=VALUE", "name=")),
        (["--lr=0.1"], ("'--lr=0.1'", "KEY=VALUE", "optimizer.lr=")),
        (["seed=1", "--embedding-dimm", "8"], ("'--embedding-dimm'", "KEY=VALUE", "'embedding_dim'")),
        (["--cfg"], ("--cfg", "argument", "KEY=VALUE", "facerec train --help")),
    ],
    ids=str,
)
def test_an_option_that_there_is_not_is_refused(arguments, facts):
    with refuses(*facts, error=InputError):
        composition.options_first(arguments)


def test_what_the_shell_asks_for_to_complete_a_command_is_no_setting(composed):
    composition.check_command_line(["--shell-completion", "install=bash"])
    assert not composed
