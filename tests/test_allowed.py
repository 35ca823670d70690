"""Configurations from files: nothing in them runs, at whatever depth and in whatever form it is named."""

import importlib
import sys
from functools import partial

import pytest
from hostile_configs import with_program
from hydra.utils import instantiate
from running import DEPTHWISE
from says import refuses

from facerec.config.compose import compose, resolved
from facerec.config.options import CONFIG_FOLDER
from facerec.config.stored import compose_trained
from facerec.errors import InputError

TRAINED = resolved(compose([*DEPTHWISE, "augmentation@data.test_augmentation=torchvision", *(
    "data.test_augmentation.torchvision.transform={_target_: torchvision.transforms.v2.GaussianBlur, kernel_size: 3}",
)]))  # fmt: skip
NODES = ["backbone", "operator", "head", "data", "optimizer", "lr_scheduler", "trainer"]
placed = partial(with_program, TRAINED)


def writing(marker: object) -> dict[str, dict]:
    """Nodes that would write the file ``marker``, in the forms that Hydra knows."""
    shell = {"_target_": "torch.utils.collect_env.run", "command": f"touch {marker}"}
    write = {
        "_target_": "pathlib.Path.write_text",
        "_args_": [{"_target_": "pathlib.Path", "_args_": [str(marker)]}, "x"],
    }
    touch = {
        "_target_": "facerec.files.write_json",
        "content": 1,
        "path": {"_target_": "pathlib.Path", "_args_": [str(marker)]},
    }
    return {
        "a shell": shell,
        "a method": write,
        "a function of the project": touch,
        "a module that the project imports": {"_target_": "facerec.files.os.system", "_args_": [f"touch {marker}"]},
        "in a list": {"_target_": "torch.optim.SGD", "_args_": [[{"deeper": [shell]}]]},
        "not recursive": {"_target_": "facerec.heads.AMSoftmax", "_recursive_": False, "margin": shell},
        "partial": {**shell, "_partial_": True, "_convert_": "all"},
        "a function by its name": {"_target_": "hydra.utils.get_method", "path": "os.system"},
        "a class by its name": {"_target_": "hydra.utils.get_class", "path": "subprocess.Popen"},
        "another instantiation": {"_target_": "hydra.utils.instantiate", "_args_": [{"config": shell}]},
        "a function of an allowed module": {"_target_": "torch.optim.lr_scheduler.wraps", "_args_": [shell]},
        "what an allowed module imports": {"_target_": "torch.optim.lr_scheduler.partial"},
        "a module below an allowed one": {"_target_": "torchvision.transforms.v2.functional.to_pil_image"},
        "an unknown module": {"_target_": "this_module_runs_when_imported.Thing"},
        "no text": {"_target_": ["os", "system"]},
        "a node as target": {"_target_": shell},
        "composed": {"_target_": "${.name}", "name": "os.system"},
        "a key like it": {"_target_": "torch.optim.SGD", "my_target_": {"_target_": "os.system"}},
    }  # fmt: skip


@pytest.mark.parametrize("form", writing("marker"))
@pytest.mark.parametrize("place", [*NODES, "data.seed", "trainer.plugins", "unknown", "name", "callbacks",
                                   "data.test_augmentation.torchvision.transform.kernel_size"])  # fmt: skip
def test_a_target_that_is_not_known_is_refused_before_anything_is_imported(place, form, tmp_path, monkeypatch):
    (tmp_path / "this_module_runs_when_imported.py").write_text("open('marker', 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    node = writing(tmp_path / "marker")[form]
    with refuses(place, "trust=true", error=InputError):
        compose_trained(placed(place, node), [])
    assert [file.name for file in tmp_path.iterdir()] == ["this_module_runs_when_imported.py"]
    assert "this_module_runs_when_imported" not in sys.modules


def test_the_sentence_names_the_target_its_place_and_the_way_out():
    hostile = placed("data.seed", {"_target_": "os.system", "command": "true"})
    with refuses("'os.system'", "data.seed", "trust=true", error=InputError):
        compose_trained(hostile, [])


@pytest.mark.parametrize("text", ["${oc.env:HOME}", "faces/${seed}", "${oc.decode:x}", "${hydra:runtime.cwd}"])
@pytest.mark.parametrize("place", ["data.cache", "protocol", "trainer.plugins"])
def test_nothing_is_interpolated(place, text):
    with refuses(repr(text), place, "trust=true", error=InputError):
        compose_trained(placed(place, [text]), [])


def test_no_file_is_written_to_a_folder_that_the_file_names():
    written = {**TRAINED["trainer"], "profiler": "pytorch", "default_root_dir": "elsewhere"}
    assert compose_trained({**TRAINED, "trainer": written}, []).trainer == TRAINED["trainer"]
    assert compose_trained(TRAINED, ["+trainer.profiler=simple"]).trainer.profiler == "simple"


@pytest.mark.parametrize("key", ["cache", "index_cache"])
@pytest.mark.parametrize("trust", [False, True])
def test_nothing_is_cached_in_a_folder_that_the_file_names(key, trust):
    for folder, kept in {"/somewhere": None, "outputs/cache/../x": None, "outputs/cache": "outputs/cache"}.items():
        trained = placed(f"data.{key}", folder)
        assert compose_trained(trained, [], trust).data[key] == kept
        assert compose_trained(trained, [f"data.{key}=/fast"], trust).data[key] == "/fast"


def test_trust_is_the_users_word_for_more(monkeypatch):
    monkeypatch.setenv("FACES", "here")
    cfg = compose_trained(
        placed("operator", {"_target_": "mine.Blur"}) | {"unknown": "${oc.env:FACES}"}, [], trust=True
    )
    assert (cfg.operator._target_, cfg.unknown) == ("mine.Blur", "here")


def test_what_the_user_types_is_free():
    cfg = compose_trained(TRAINED, ["+data.train_augmentation.mine={_target_: mine.Blur}", "trainer.devices=${seed}"])
    assert cfg.data.train_augmentation.mine._target_ == "mine.Blur" and cfg.trainer.devices == cfg.seed


def configured(group: str) -> list[str]:
    return [f"{group}={file.stem}" for file in sorted((CONFIG_FOLDER / group).glob("*.yaml"))]


def test_every_choice_in_the_configuration_files_is_known():
    groups = ["backbone", "head", "lr_scheduler", "optimizer", "trainer", "operator"]
    choices = [choice for group in groups for choice in configured(group)]
    choices += [f"augmentation@data.train_augmentation={file.partition('=')[2]}" for file in configured("augmentation")]
    without_width = [setting for setting in DEPTHWISE if not setting.startswith(("width=", "embedding_dim="))]
    for choice in choices:
        extra = {"backbone=timm": ["backbone.name=resnet18"]}.get(choice, [])
        extra += ["data.train_augmentation.torchvision.transform=null"] * choice.endswith("=torchvision")
        trained = resolved(compose([*without_width, choice, *extra]))
        assert compose_trained(trained, []).trainer._target_ == "facerec.training.trainer.Trainer"
    assert len(choices) > 30


@pytest.mark.parametrize(
    ("place", "target"),
    [
        ("optimizer", "torch.optim.AdamW"),
        ("lr_scheduler", "torch.optim.lr_scheduler.OneCycleLR"),
        ("data.test_augmentation.torchvision.transform", "torchvision.transforms.v2.RandomPerspective"),
        ("data.test_augmentation.torchvision.transform", "torchvision.transforms.RandomPerspective"),
    ],
)
def test_the_classes_of_pytorch_are_known(place, target):
    assert target in str(compose_trained(placed(place, {"_target_": target}), []))


@pytest.mark.parametrize("trained", [None, [], "text", 3, {}, {"backbone": {}}, {**TRAINED, "data": None},
                                     {**TRAINED, "operator": []}, {**TRAINED, "head": {"margin": 1}}])  # fmt: skip
@pytest.mark.parametrize("trust", [False, True])
def test_what_is_no_configuration_is_refused(trained, trust):
    with refuses("configuration", "facerec", error=InputError):
        compose_trained(trained, [], trust)


def test_a_configuration_without_end_is_refused():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    laughs: list = ["ha"]
    for _ in range(50):
        laughs = [laughs] * 10
    itself: dict = {}
    itself["itself"] = itself
    for endless in (deep, laughs, itself, ["x"] * 1_000_000):
        with refuses("configuration", "facerec", error=InputError):
            compose_trained(placed("data.seed", endless), [])


@pytest.mark.parametrize("value", [b"bytes", {1: 2}, {1, 2}, print, object()])
def test_a_value_that_is_no_setting_is_named(value):
    with refuses("data.seed", "facerec", error=InputError):
        compose_trained(placed("data.seed", {"inner": value}), [])


def test_it_would_have_run(tmp_path):
    """With the user's word for it, it does."""
    for form in ("a shell", "a method", "a function of the project"):
        marker = tmp_path / form.replace(" ", "_")
        instantiate(compose_trained(placed("data.seed", writing(marker)[form]), [], trust=True).data.seed)
        assert marker.exists(), form
