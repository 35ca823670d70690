"""Every YAML file composes and builds, and every mistake of a user is named."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from running import ROOT
from torchvision.transforms import v2

from facerec.config import build
from facerec.config import compose as composition
from facerec.config.schema import ROOT_KEYS, reject_unknown_keys, suggestion
from facerec.data.augmentation.by_torchvision import Torchvision
from facerec.errors import InputError

# Small, of no device, and of no folder.
TINY = ["data=synthetic", "trainer=cpu", "logger=none", "width=0.1", "image_size=32", "embedding_dim=16"]


def options(group: str) -> list[str]:
    return sorted(file.stem for file in (composition.CONFIG_FOLDER / group).glob("*.yaml"))


GROUPS = sorted(folder.name for folder in composition.CONFIG_FOLDER.iterdir() if folder.is_dir())
# What a file needs beside itself.
TOGETHER = {"backbone=timm": ["backbone.name=mobilenetv4_conv_small"], "operator=none": ["backbone=mlp_mixer"]}
PERSPECTIVE = "torchvision.transform={_target_: torchvision.transforms.v2.RandomPerspective}"
TOGETHER |= {
    f"augmentation@data.{node}=torchvision": [f"data.{node}.{PERSPECTIVE}"]
    for node in ("train_augmentation", "test_augmentation")
}
WHERE = {"augmentation": ["augmentation@data.train_augmentation", "augmentation@data.test_augmentation"]}
FILES = [f"{node}={option}" for group in GROUPS for node in WHERE.get(group, [group]) for option in options(group)]


@pytest.fixture
def hydra(monkeypatch, tmp_path):
    """What Hydra knows during a run."""
    known = {"hydra": {"runtime": {"output_dir": str(tmp_path)}}}
    monkeypatch.setattr(HydraConfig.instance(), "cfg", OmegaConf.create(known))


def build_all(cfg) -> None:
    """Call the constructor of every node but the trainer's."""
    backbone = build.build_backbone(cfg)
    build.build_recognizer(cfg, backbone, 5).configure_optimizers()
    build.build_data(cfg)
    build._make_all(cfg.logger, "logger")
    build._make_all(cfg.callbacks, "callbacks")


def test_the_tests_find_the_files():
    assert len(FILES) >= 20 and set(GROUPS) == {*ROOT_KEYS[:9], "augmentation", "experiment", "sweep"}


@pytest.mark.parametrize("chosen", [file for file in FILES if not file.startswith(("trainer=", "sweep="))])
def test_the_constructors_of_every_file_take_its_arguments(chosen, hydra, tmp_path):
    own_widths = ["width"] if chosen == "backbone=timm" else []
    small = [part for part in TINY if part.partition("=")[0] not in (chosen.partition("=")[0], *own_widths)]
    together = [*TOGETHER.get(chosen, []), *([] if chosen.startswith("experiment") else small)]
    cfg = composition.compose([chosen, "data.global_batch_size=16", *together])
    if OmegaConf.is_missing(cfg.data, "root"):
        cfg.data.root = str(tmp_path)
    build_all(cfg)


@pytest.mark.filterwarnings("ignore:.*bf16 is supported")
@pytest.mark.parametrize("option", options("trainer"))
def test_every_trainer_is_one_of_lightnings(option, hydra):
    """Without its devices, which this machine may not have."""
    cfg = composition.compose([*TINY, f"trainer={option}", "trainer.accelerator=cpu", "trainer.devices=1"])
    trainer = build.build_trainer(cfg)
    assert trainer.max_epochs == cfg.trainer.max_epochs and trainer.precision == cfg.trainer.precision


@pytest.mark.parametrize("option", options("sweep"))
def test_every_cell_of_a_sweep_composes(option):
    chosen = yaml.safe_load((composition.CONFIG_FOLDER / "sweep" / f"{option}.yaml").read_text())
    outside_brackets = r",(?![^\[]*\])"
    params = chosen["hydra"]["sweeper"]["params"]
    values = {key: re.split(outside_brackets, str(value)) for key, value in params.items()}
    assert composition.compose([f"sweep={option}"]).name == chosen["name"]
    for number in range(max(map(len, values.values()))):
        composition.compose([f"sweep={option}", *(f"{key}={cell[number % len(cell)]}" for key, cell in values.items())])


def test_the_default_is_the_recipe_of_the_paper():
    cfg = composition.compose(["data.root=faces"])
    recipe = (cfg.trainer.max_epochs, cfg.optimizer.lr, cfg.optimizer.momentum, cfg.optimizer.weight_decay)
    assert recipe == (38, 0.1, 0.9, 5e-4) and cfg.data.global_batch_size == 512
    assert list(cfg.lr_scheduler.milestones) == [22, 30, 35] and cfg.lr_scheduler.gamma == 0.1
    assert (cfg.head.margin, cfg.head.scale, cfg.embedding_dim, cfg.image_size) == (0.35, 32, 512, 96)
    assert list(cfg.data.benchmarks) == ["lfw", "cfp_ff", "agedb_30", "calfw"]


def test_the_command_that_the_file_on_torchvision_shows_gives_that_transform():
    file = (composition.CONFIG_FOLDER / "augmentation" / "torchvision.yaml").read_text()
    command = [
        line.removeprefix("# ").strip("'") for line in file.splitlines() if line.startswith(("# aug", "# 'data"))
    ]
    assert len(command) == 2
    transform = build.build_data(composition.compose([*TINY, *command])).train_augmentation["torchvision"]
    assert isinstance(transform, Torchvision) and isinstance(transform.transform, v2.RandomPerspective)


# What a user types, and what they are told. `GROUP=x` of an unknown group never trains the default.
MISTAKES = {
    "operater=tvconv": "unknown config key 'operater'; did you mean 'operator'?",
    "+operater=tvconv": "unknown config key 'operater'; did you mean 'operator'?",
    "++operater=tvconv": "unknown config key 'operater'; did you mean 'operator'?",
    "~operater": "unknown config key 'operater'; did you mean 'operator'?",
    "operater@data=tvconv": "unknown config key 'operater'; did you mean 'operator'?",
    "colour=red": "unknown config key 'colour'; known are backbone, operator, head, data,",
    "operator=tvcov": "operator=tvcov is not an option of operator; did you mean 'tvconv'?",
    "backbone=resnet": "backbone=resnet is not an option of backbone; known are mbv2, mlp_mixer, sfv2,",
    "experiment=dmo": "experiment=dmo is not an option of experiment; did you mean 'demo'?",
    "sweep=papper": "sweep=papper is not an option of sweep; did you mean 'paper'?",
    "backbone.widht=.2": "unknown config key 'backbone.widht'; did you mean 'width'?",
    "operator.hiden_channels=32": "unknown config key 'operator.hiden_channels'; did you mean ",
    "+operator.hiden_channels=32": "unexpected keyword argument 'hiden_channels' (config node: operator)",
    "operator.generator_channels=abc": "generator_channels must be a whole number of at least 1, got 'abc'",
    "operator.kernel_size=4": "kernel_size must be odd, got 4 (config node: operator)",
    "width=-1": "width must be positive, got -1.0 (config node: backbone)",
    "width=abc": "Value 'abc' of type 'str' could not be converted to Float (config key width)",
    "seed=x": "Value 'x' of type 'str' could not be converted to Integer (config key seed)",
    "skip_finished=maybe": "Value 'maybe' is not a valid bool (type str) (config key skip_finished)",
    "backbone.operator_stages=[2,9]": "unknown stage(s) [9]; MobileNetV2 has stages 1 to 7 (config node: backbone)",
    "image_size=4": "image_size must be (height, width) of at least 16 pixels each, the total stride, got (4, 4)",
    "head.margin=-1": "margin must be 0 or more and scale positive, got margin -1 and scale 32 (config node: head)",
    "optimizer.lr=abc": "not supported between instances of 'str' and 'float' (config node: optimizer)",
    "optimizer.lr=-1": "Invalid learning rate: -1 (config node: optimizer)",
    "lr_scheduler.milestones=3": "'int' object is not iterable (config node: lr_scheduler)",
    "data.held_out_identities=nan": "held_out_identities must be a whole number of at least 0, or a share below 1, got",
    "data.held_out_seed=null": "held_out_seed must be a whole number from 0 to 4294967295, got None (config node:",
    "data.seed=-1": "seed must be a whole number from 0 to 4294967295, got -1 (config node: data)",
    "+data.train_augmentation.foo=3": "train_augmentation.foo is no transform, got 3: give it a _target_ or leave it",
    "data.train_augmentation=null": "got None: write augmentation@data.train_augmentation=none (config node: data)",
    "augmentation@data.train_augmentation=torchvision": "data.train_augmentation.torchvision.transform has no value;",
    "protocol=lfw": "protocol must be one of tvconv, tvconv_reference, insightface, got 'lfw' (config node: protocol)",
    "data.benchmarks=lfw": "benchmarks must be a list of names, got 'lfw': write [lfw] (config node: data)",
    "data=folder": "data.root has no value; add data.root=...",
    "~head": "config key 'head' has no value: give it one with head=...",
    "head=null": "Config group override must be a string or a list. Got NoneType",
    "augmentation@data.train_augmentation=[rotation,blurr]": "augmentation=blurr is not an option of augmentation; ",
    "name=a/../../b": "name=a/../../b leads out of outputs, where runs are kept: leave out .. and the first /",
    "name=/b": "name=/b leads out of outputs, where runs are kept: leave out .. and the first /",
    "width": "the argument 'width' is not understood: write KEY=VALUE, in quotes what holds = or ,",
    "name=a=b": "the argument 'name=a=b' is not understood: write KEY=VALUE, in quotes what holds = or ,",
    "width=0.1,0.2": "Ambiguous value for argument 'width=0.1,0.2': add -m to run each of them, or ",
    "backbone._target_=facerec.Net": "Error loading 'facerec.Net': ModuleNotFoundError",
    "+callbacks.chekpoint.every=2": "config entry callbacks.chekpoint has no _target_; known are best, last,",
    "callbacks.chekpoint.every=2": "unknown config key 'callbacks.chekpoint'; known are best, last,",
    "+logger.board.dir=logs": "config entry logger.board has no _target_; known are ",
    "callbacks.best.monitr=loss": "unknown config key 'callbacks.best.monitr'; did you mean 'monitor'?",
}


@pytest.mark.parametrize("argument", MISTAKES)
def test_a_mistake_on_the_command_line_is_named_in_one_sentence(argument, hydra):
    with pytest.raises(InputError) as refused:
        build_all(composition.compose([*TINY, argument]))
    assert MISTAKES[argument] in str(refused.value)
    assert "\n" not in str(refused.value)


# What stands in an experiment of the user's own.
EXPERIMENTS = {
    "trainr:\n  max_epochs: 3\n": "In 'experiment/mine': unknown config key 'trainr'; did you mean 'trainer'?",
    "widht: 0.3\n": "In 'experiment/mine': unknown config key 'widht'; did you mean 'width'?",
    "width: wide\n": "In 'experiment/mine': Value 'wide' of type 'str' could not be converted to Float",
    "operator:\n  hiden_channels: 32\n": "unexpected keyword argument 'hiden_channels' (config node: operator)",
    "callbacks:\n  chekpoint:\n    every: 2\n": "config entry callbacks.chekpoint has no _target_; known are best, ",
    "defaults:\n  - override /oprator: tvconv\n": "Could not override 'oprator'.",
}


@pytest.fixture
def experiment(tmp_path):
    def write(text: str) -> str:
        file = tmp_path / "configs" / "experiment" / "mine.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(f"# @package _global_\n{text}")
        return f"hydra.searchpath=[file://{tmp_path / 'configs'}]"

    return write


@pytest.mark.parametrize("text", EXPERIMENTS)
def test_a_mistake_in_an_experiment_is_named(text, hydra, experiment):
    with pytest.raises(InputError, match=re.escape(EXPERIMENTS[text])):
        build_all(composition.compose([*TINY, "experiment=mine", experiment(text)]))


def test_an_experiment_of_the_users_own_is_found(experiment):
    assert composition.compose([*TINY[:-3], "experiment=mine", experiment("width: 0.3\n")]).width == 0.3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["operater=tvconv"], "failed: train.py: unknown config key 'operater'; did you mean 'operator'?"),
        (["--config-dir", "configs", "experiment=mine"], "Key 'trainr' not in 'RunConfig'"),
    ],
    ids=["on the command line", "in an experiment"],
)
def test_a_mistake_ends_the_program_with_status_1_and_without_a_traceback(arguments, sentence, experiment, tmp_path):
    experiment("trainr:\n  max_epochs: 3\n")
    command = [sys.executable, ROOT / "train.py", *arguments, *TINY]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ, check=False)
    assert ended.returncode == 1 and sentence in ended.stderr
    assert "Traceback" not in ended.stderr and ended.stdout == ""
    assert not Path(tmp_path, "outputs").exists()


def test_what_is_near_is_suggested_and_else_all_is_listed():
    assert suggestion("widht", ["width", "seed"]) == "did you mean 'width'?"
    assert suggestion("colour", iter(["width", "seed"])) == "known are width, seed"


def test_every_key_of_the_root_is_known():
    reject_unknown_keys([*ROOT_KEYS, "experiment", "sweep", "hydra"])
    with pytest.raises(InputError, match=re.escape("unknown config key 'Seed'; did you mean 'seed'?")):
        reject_unknown_keys(["seed", "Seed"])
