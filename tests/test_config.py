"""Every YAML file composes and builds, and every mistake of a user is named."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from running import ROOT
from says import refuses, says
from torchvision.transforms import v2

from facerec.config import build, making
from facerec.config import compose as composition
from facerec.config.schema import ROOT_KEYS, reject_unknown_keys
from facerec.data.augmentation.by_torchvision import Torchvision
from facerec.errors import InputError, suggestion

# Small, of no device, and of no folder.
TINY = ["data=synthetic", "trainer=cpu", "logger=none", "width=0.1", "image_size=32", "embedding_dim=16"]

OF_SEGMENTATION = ("task=segmentation", "backbone=deeplab", "head=none")
TINY_EYES = ["task=segmentation", "operator=depthwise", "trainer=cpu", "logger=none", "image_size=32"]
OVERLAYS = ("task", "experiment", "sweep")


def options(group: str) -> list[str]:
    return sorted(file.stem for file in (composition.CONFIG_FOLDER / group).glob("*.yaml"))


GROUPS = sorted(folder.name for folder in composition.CONFIG_FOLDER.iterdir() if folder.is_dir())
# What a file needs beside itself.
TOGETHER = {f"distillation={name}": ["teacher=net.ckpt"] for name in ("embedding", "adadistill")}
TOGETHER |= {"backbone=timm": ["backbone.name=mobilenetv4_conv_small"], "operator=none": ["backbone=mlp_mixer"]}
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
    build.build_learner(cfg, backbone, 5).optimizer_and_schedule()
    build.build_images(cfg)
    making.make_all(cfg.logger, "logger")
    making.make_all(cfg.callbacks, "callbacks")


def test_the_tests_find_the_files():
    assert len(FILES) >= 20 and set(GROUPS) == {*ROOT_KEYS[1:12], "augmentation", *OVERLAYS}


@pytest.mark.parametrize("chosen", [file for file in FILES if not file.startswith(("trainer=", "sweep="))])
def test_the_constructors_of_every_file_take_its_arguments(chosen, hydra, tmp_path, monkeypatch):
    if chosen in ("logger=wandb", "logger=mlflow"):
        pytest.importorskip(chosen.partition("=")[2])
    monkeypatch.chdir(tmp_path)
    own_widths = ["width"] if chosen == "backbone=timm" else []
    tiny = TINY_EYES if chosen in OF_SEGMENTATION else TINY
    small = [part for part in tiny if part.partition("=")[0] not in (chosen.partition("=")[0], *own_widths)]
    together = [*TOGETHER.get(chosen, []), *([] if chosen.startswith("experiment") else small)]
    cfg = composition.compose([chosen, "data.global_batch_size=16", *together])
    if OmegaConf.is_missing(cfg.data, "root"):
        cfg.data.root = str(tmp_path)
    build_all(cfg)


@pytest.mark.filterwarnings("ignore:.*bf16 is supported")
@pytest.mark.parametrize("option", options("trainer"))
def test_every_trainer_is_one_of_lightnings(option, hydra, monkeypatch):
    """Without its devices, which this machine may not have."""
    if option == "slurm":
        with pytest.raises(InputError, match="srun"):
            build.build_trainer(composition.compose([*TINY, "trainer=slurm", "trainer.accelerator=cpu"]))
        slurm = {"SLURM_NTASKS_PER_NODE": "1", "SLURM_NNODES": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
        for key, value in {**slurm, "SLURM_NTASKS": "1", "SLURM_NODEID": "0", "SLURM_JOB_NAME": "faces"}.items():
            monkeypatch.setenv(key, value)
    cfg = composition.compose([*TINY, f"trainer={option}", "trainer.accelerator=cpu", "trainer.devices=1"])
    trainer = build.build_trainer(cfg)
    assert trainer.max_epochs == cfg.trainer.max_epochs and trainer.precision == cfg.trainer.precision


@pytest.mark.parametrize("option", options("sweep"))
def test_the_runs_of_a_sweep_go_to_the_folder_of_its_figure_or_table(option):
    """Its cells are composed in test_composition.py."""
    assert composition.compose([f"sweep={option}"]).name in (option, option.partition("_")[0])


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
    "operater=tvconv": ("operater", "operator"),
    "+operater=tvconv": ("operater", "operator"),
    "++operater=tvconv": ("operater", "operator"),
    "~operater": ("operater", "operator"),
    "operater@data=tvconv": ("operater", "operator"),
    "colour=red": ("colour", "backbone", "operator", "head", "data"),
    "operator=tvcov": ("operator=tvcov", "tvconv"),
    "backbone=resnet": ("backbone=resnet", "iresnet"),
    "experiment=dmo": ("experiment=dmo", "demo"),
    "sweep=figur4": ("sweep=figur4", "figure4"),
    "backbone.widht=.2": ("backbone.widht", "width"),
    "operator.hiden_channels=32": ("operator.hiden_channels", "affinity_channels"),
    "+operator.hiden_channels=32": ("hiden_channels", "operator"),
    "operator.generator_channels=abc": ("operator.generator_channels", "integer", "abc"),
    "operator.kernel_size=4": ("kernel_size", "odd", "4", "operator"),
    "width=-1": ("width", "positive", "-1.0", "backbone"),
    "head=cosface": ("head=cosface", "head=am_softmax"),
    "head=subcenter": ("head=subcenter", "head=subcentre_arcface"),
    "lr=0.1": ("'lr'", "optimizer.lr="),
    "width=abc": ("'abc'", "width"),
    "seed=x": ("'x'", "seed"),
    "skip_finished=maybe": ("'maybe'", "skip_finished"),
    "backbone.operator_stages=[2,9]": ("[9]", "MobileNetV2", "stages", "1", "7", "backbone"),
    "image_size=4": ("image_size", "16", "4, 4"),
    "head.margin=-1": ("margin", "at least 0", "-1", "head"),
    "optimizer.lr=abc": ("optimizer.lr", "a number", "'abc'"),
    "optimizer.lr=-1": ("-1", "optimizer"),
    "lr_scheduler.milestones=3": ("lr_scheduler.milestones", "list", "integer", "got 3", "=[3]"),
    "data.held_out_identities=nan": ("held_out_identities", "0", "1", "nan"),
    "data.held_out_seed=null": ("data.held_out_seed", "an integer", "null"),
    "data.seed=-1": ("seed", "0", "4294967295", "-1", "data"),
    "+data.train_augmentation.foo=3": ("train_augmentation.foo", "3", "_target_"),
    "data.train_augmentation=null": ("None", "augmentation@data.train_augmentation=none", "data"),
    "augmentation@data.train_augmentation=torchvision": ("data.train_augmentation.torchvision.transform", "value"),
    "protocol=lfw": ("tvconv_reference", "lfw", "protocol"),
    "data.benchmarks=lfw": ("benchmarks", "[lfw]", "data"),
    "data=folder": ("value", "data.root="),
    "~head": ("'head'", "head="),
    "head=null": ("head=null", "am_softmax", "arcface"),
    "logger=null": ("logger=null", "logger=none"),
    "~backbone._target_": ("backbone._target_", "null", "configs/"),
    "backbone=5": ("backbone=5", "mbv2", "mlp_mixer", "sfv2"),
    "data=[1]": ("data=[1]", "casia_frontal", "folder", "synthetic"),
    "head=[arcface,null]": ("head=[arcface,null]", "am_softmax", "arcface"),
    "operator=[{a:1}]": ("operator=[{a:1}]", "depthwise", "tvconv"),
    "augmentation@data.test_augmentation=null": ("data.test_augmentation=null", "none"),
    "image_size=[112,96]": ("image_size", "backbone.image_size=[112,96] data.image_size=[112,96]"),
    "trainer.accumulate_grad_batches=3": ("accumulate_grad_batches", "+trainer.accumulate_grad_batches="),
    "optimizer.nesterov=true": ("nesterov", "+optimizer.nesterov="),
    "callbacks.best.save_last=true": ("save_last", "+callbacks.best.save_last="),
    "augmentation@data.train_augmentation=[rotation,blurr]": ("augmentation=blurr", "blur"),
    "name=a/../../b": ("name=a/../../b", "outputs", ".."),
    "name=/b": ("name=/b", "outputs", "/"),
    "width": ("'width'", "KEY=VALUE"),
    "name=a=b": ("name=a=b", "KEY=VALUE", "\"name='a=b'\""),
    "width=0.1,0.2": ("width=0.1,0.2", "-m"),
    "backbone._target_=facerec.Net": ("facerec.Net", "ModuleNotFoundError"),
    "+callbacks.chekpoint.every=2": ("callbacks.chekpoint", "_target_", "best", "last"),
    "callbacks.chekpoint.every=2": ("callbacks.chekpoint", "best", "last"),
    "+logger.board.dir=logs": ("logger.board", "_target_"),
    "data.horizontal_flip=maybe": ("data.horizontal_flip", "true or false", "'maybe'"),
    "data.cache=true": ("data.cache", "text or null", "got true"),
    "lr_scheduler.milestones=[a,b]": ("lr_scheduler.milestones", "list", "integer", '["a", "b"]'),
    "lr_scheduler.milestones=null": ("lr_scheduler.milestones", "list", "integer", "null"),
    "lr_scheduler.gamma=abc": ("lr_scheduler.gamma", "a number", "'abc'"),
    "lr_scheduler.gamma=-1": ("lr_scheduler.gamma", "at least 0", "-1"),
    "optimizer.momentum=2": ("optimizer.momentum", "from 0 to 1", "2"),
    "optimizer.lr=nan": ("optimizer.lr", "at least 0", "nan"),
    "+optimizer.nesterov=yes": ("optimizer.nesterov", "true or false", "'yes'"),
    "optimizer._target_=torch.optim.AdamW": ("AdamW", "momentum", "~optimizer.momentum"),
    "head.margin=1.6": ("margin", "1.25", "5 identities", "1.6", "head"),
    "operator.map_weight_decay=1": ("operator.map_weight_decay", "true or false", "1"),
    "data.benchmarks=[lfw,null]": ("data.benchmarks", "list", "text", "null"),
    "callbacks.metrics.path=2024": ("callbacks.metrics.path", "text", "2024", "\"callbacks.metrics.path='TEXT'\""),
    "optimizer.lr=${learning_rate}": ("learning_rate", "optimizer.lr"),
    "name=${nam}": ("nam", "name"),
    "data.cache=${oc.env:NO_SUCH_VARIABLE}": ("NO_SUCH_VARIABLE", "data.cache"),
    "optimizer.weight_decay=${.lrr}": ("lrr", "optimizer.weight_decay"),
    "callbacks.best.monitr=loss": ("callbacks.best.monitr", "monitor"),
}


@pytest.mark.parametrize("argument", MISTAKES)
def test_a_mistake_on_the_command_line_is_named_in_one_sentence(argument, hydra):
    with refuses(*MISTAKES[argument], error=InputError):
        build_all(composition.compose([*TINY, argument]))


# What stands in an experiment of the user's own.
EXPERIMENTS = {
    "trainr:\n  max_epochs: 3\n": ("experiment/mine", "trainr", "trainer"),
    "widht: 0.3\n": ("experiment/mine", "widht", "width"),
    "width: wide\n": ("experiment/mine", "'wide'", "float"),
    "operator:\n  hiden_channels: 32\n": ("hiden_channels", "operator"),
    "callbacks:\n  chekpoint:\n    every: 2\n": ("callbacks.chekpoint", "_target_", "best"),
    "defaults:\n  - override /oprator: tvconv\n": ("oprator", "override"),
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
    with refuses(*EXPERIMENTS[text], error=InputError):
        build_all(composition.compose([*TINY, "experiment=mine", experiment(text)]))


def test_an_experiment_of_the_users_own_is_found(experiment):
    assert composition.compose([*TINY[:-3], "experiment=mine", experiment("width: 0.3\n")]).width == 0.3


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["operater=tvconv"], ("train.py", "operater", "operator")),
        (["--config-dir", "configs", "experiment=mine"], ("experiment/mine", "trainr", "trainer")),
    ],
    ids=["on the command line", "in an experiment"],
)
def test_a_mistake_ends_the_program_with_status_1_and_without_a_traceback(arguments, facts, experiment, tmp_path):
    experiment("trainr:\n  max_epochs: 3\n")
    command = [sys.executable, ROOT / "train.py", *arguments, *TINY]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ, check=False)
    assert ended.returncode == 1 and says(ended.stderr, *facts)
    assert "Traceback" not in ended.stderr and ended.stdout == ""
    assert not Path(tmp_path, "outputs").exists()


def test_what_is_near_is_suggested_and_else_all_is_listed():
    assert suggestion("widht", ["width", "seed"]).endswith("'width'?")
    assert suggestion("colour", iter(["width", "seed"])).endswith("width, seed")


def test_every_key_of_the_root_is_known():
    reject_unknown_keys([*ROOT_KEYS, "experiment", "sweep", "hydra"])
    with refuses("Seed", "seed", error=InputError):
        reject_unknown_keys(["seed", "Seed"])
