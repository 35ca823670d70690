"""What a network and its head start with, from a checkpoint or from a file of timm's."""

import pickle
from pathlib import Path

import pytest
import timm
import torch
from running import DEPTHWISE, ROOT
from safetensors.torch import save_file
from says import refuses

from facerec.config.build import build_backbone, build_learner
from facerec.config.compose import compose, resolved
from facerec.config.trained import build_trained
from facerec.errors import InputError
from facerec.operators.tvconv import TVConv
from facerec.training.fine_tuning import NEW, RESAMPLED, STARTED, TAKEN, FineTuning
from facerec.training.initial_weights import InitialWeights
from facerec.training.resumed import Resumed, init_of

BASE = [setting for setting in DEPTHWISE if not setting.startswith("operator=")]
TVCONV = ["operator=tvconv", "operator.generator_channels=4", "operator.generator_layers=0"]
TIMM = ["backbone=timm", "backbone.name=test_efficientnet", "image_size=64"]


def settings(*changes: str) -> list[str]:
    """As in ``BASE``, but for what is changed."""
    changed = {change.partition("=")[0] for change in changes} | ({"width"} if "backbone=timm" in changes else set())
    return [*(one for one in BASE if one.partition("=")[0] not in changed), *changes]


def network(*changes: str, seed: int = 0):
    """A recogniser of five people whose norms have seen a batch, so that images do not all look alike to it."""
    torch.manual_seed(seed)
    cfg = compose(settings(*changes))
    recognizer = build_learner(cfg, build_backbone(cfg), 5)
    for module in recognizer.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
    with torch.no_grad():
        recognizer.backbone(torch.randn(16, 3, *recognizer.backbone.image_size))
    return recognizer.eval()


def saved(path: Path, recognizer, **changes) -> Path:
    content = {"config": recognizer.config, "state_dict": recognizer.state_dict(), "epoch": 3}
    torch.save(content | {"FolderData": {"train_fingerprint": "abc"}} | changes, path)
    return path


def started(path: Path, *changes: str, fingerprint: str | None = "abc"):
    """A new network that starts from the file, and what became of it."""
    recognizer = network(*changes, seed=1)
    tuning = FineTuning(InitialWeights.read(str(path), recognizer.config), recognizer.config)
    tuning.load_backbone(recognizer.backbone)
    tuning.load_head(recognizer.head, fingerprint)
    return recognizer, tuning


@pytest.fixture(scope="module")
def depthwise(tmp_path_factory):
    recognizer = network("operator=depthwise")
    return saved(tmp_path_factory.mktemp("depthwise") / "last.ckpt", recognizer), recognizer


@pytest.fixture(scope="module")
def tvconv(tmp_path_factory):
    recognizer = network(*TVCONV)
    for name, value in recognizer.named_parameters():
        if name.endswith("affinity_maps"):
            torch.nn.init.normal_(value)
    return saved(tmp_path_factory.mktemp("tvconv") / "last.ckpt", recognizer), recognizer


@pytest.mark.parametrize("source", ["depthwise", "tvconv"])
def test_every_weight_of_the_same_network_is_taken(source, request):
    path, theirs = request.getfixturevalue(source)
    ours, tuning = started(path, *(TVCONV if source == "tvconv" else ["operator=depthwise"]))
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    assert all(torch.equal(value, theirs.state_dict()[name]) for name, value in ours.state_dict().items())
    values = sum(value.numel() for value in theirs.backbone.state_dict().values())
    assert tuning.summary()["backbone_values"] == {TAKEN: values} and tuning.summary()["head"] == TAKEN
    assert {row["start"] for row in tuning.rows()} == {TAKEN} and not tuning.has_started_operators


@pytest.mark.parametrize(
    ("changes", "fingerprint", "why"),
    [
        (["head=arcface"], "abc", "AMSoftmax"),
        ([], "abd", "other images"),
        ([], None, "other images"),
        (["head=subcentre_arcface"], "abc", "AMSoftmax"),
    ],
)
def test_another_head_is_new(changes, fingerprint, why, depthwise):
    path, theirs = depthwise
    ours, tuning = started(path, "operator=depthwise", *changes, fingerprint=fingerprint)
    assert not torch.equal(ours.head.weight, theirs.head.weight)
    assert tuning.head.startswith(NEW) and why in tuning.head
    assert [(row["values"], row["start"]) for row in tuning.rows()[-1:]] == [("80", "left in the file")]


def test_a_head_of_other_people_is_new_even_if_the_images_are_said_to_be_the_same(depthwise):
    path, theirs = depthwise
    fewer = build_learner(compose(settings("operator=depthwise")), build_backbone(compose(BASE)), 4)
    tuning = FineTuning(InitialWeights.read(str(path), theirs.config), theirs.config)
    before = fewer.head.weight.clone()
    tuning.load_head(fewer.head, "abc")
    assert torch.equal(fewer.head.weight, before) and "(5, 16)" in tuning.head and "(4, 16)" in tuning.head


def test_maps_are_resampled_as_when_a_checkpoint_is_evaluated_at_another_image_size(tvconv):
    path, theirs = tvconv
    ours, tuning = started(path, *TVCONV, "image_size=48")
    expected = build_trained(path, ["backbone.image_size=[48,48]", "data.image_size=[48,48]"])[0].state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in ours.backbone.state_dict().items())
    shapes = {name: value.shape for name, value in theirs.backbone.state_dict().items()}
    other = sum(value.numel() for name, value in expected.items() if value.shape != shapes[name])
    assert tuning.summary()["backbone_values"][RESAMPLED] == other > 0


@pytest.mark.parametrize(
    "operator",
    ["squeeze_excitation", "deformable_conv", "weightnet", "rep_depthwise", "grid_depthwise", "condconv", "ddf"],
)
def test_another_operator_starts_as_the_depthwise_network(operator, depthwise):
    path, theirs = depthwise
    ours, tuning = started(path, f"operator={operator}")
    ours.eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        here, there = ours.backbone(images), theirs.backbone(images)
    assert (there[0] - there[1]).abs().mean() > 0.1
    torch.testing.assert_close(here, there, rtol=1e-3, atol=1e-4)
    values = tuning.summary()["backbone_values"]
    assert values[STARTED] > 0 and NEW not in values and tuning.has_started_operators
    assert "left in the file" not in {row["start"] for row in tuning.rows()}


def test_tvconv_starts_with_the_depthwise_filter_in_the_middle_of_each_map(depthwise):
    path, theirs = depthwise
    ours, _ = started(path, *TVCONV)
    compared = 0
    for name, operator in ours.backbone.named_modules():
        if isinstance(operator, TVConv):
            weight = operator.weight()
            middle = weight[:, weight.shape[1] // 2, weight.shape[2] // 2].T
            filters = theirs.backbone.get_submodule(name).weight.flatten(1)
            torch.testing.assert_close(middle, filters, rtol=1e-3, atol=1e-5)
            compared += 1
    assert compared == 17


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        (
            ["width=0.2"],
            ("156 tensors", "features.9.layers.6.weight", "(8, 48, 1, 1)", "and 153 more", "backbone.width=0.1"),
        ),
        (["backbone=sfv2"], ("backbone=MobileNetV2", "backbone=ShuffleNetV2")),
        (["embedding_dim=8"], ("embedding_dim=16", "embedding_dim=8")),
        (["operator.kernel_size=5"], ("operator.kernel_size=3", "operator.kernel_size=5")),
        (["operator.kernel_size=5", "operator=tvconv"], ("filters of (", "3, 3)", "TVConv", "operator.kernel_size")),
        (["operator.bias=true"], ("features.3.layers.0.bias is not in the file", "operator.bias=False")),
        (["operator=involution"], ("Involution", "operator=depthwise")),
        (["operator=condconv", "operator.where=all"], ("no depthwise filters", "features.3.layers")),
        (["backbone.pooling=gdconv"], ("embed.0.weight", "backbone.pooling=average", "gdconv")),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_with_the_names(changes, facts, depthwise):
    with refuses(f"init={depthwise[0]}", *facts, "without init", error=InputError):
        started(depthwise[0], *dict.fromkeys(["operator=depthwise", *changes]))


def test_only_depthwise_filters_start_another_operator(tvconv):
    with refuses("operator=TVConv", "operator=Depthwise", error=InputError):
        started(tvconv[0], "operator=depthwise")


def test_a_weight_that_only_the_file_has_is_refused(tmp_path, depthwise):
    content = torch.load(depthwise[0], weights_only=True)
    content["state_dict"]["backbone.features.99.weight"] = torch.zeros(2)
    torch.save(content, tmp_path / "a.ckpt")
    with refuses("1 tensors", "features.99.weight is not in this network", error=InputError):
        started(tmp_path / "a.ckpt", "operator=depthwise")


def test_a_setting_without_weights_may_differ_and_is_named(depthwise):
    _, tuning = started(depthwise[0], "operator=depthwise", "backbone.activation=silu")
    assert tuning.differences() == ["backbone.activation=relu6 (here silu)"]
    assert started(depthwise[0], "operator=depthwise", "image_size=48")[1].differences() == []


def test_of_an_averaged_network_the_average_is_taken_and_named(tmp_path, depthwise):
    theirs = depthwise[1]
    config = theirs.config | {"trainer": theirs.config["trainer"] | {"ema": 0.9}}
    current = {name: value + 1 for name, value in theirs.state_dict().items()}
    path = saved(tmp_path / "best.ckpt", theirs, config=config, current_model_state=current)
    ours, tuning = started(path, "operator=depthwise")
    assert torch.equal(ours.head.weight, theirs.head.weight)
    assert tuning.summary()["weights"] == "of epoch 3, averaged with trainer.ema=0.9"


def test_a_checkpoint_of_version_0_1_is_taken():
    path = ROOT / "tests/reference/version_0_1.ckpt"
    ours, tuning = started(path, "operator=depthwise", "embedding_dim=8")
    theirs = torch.load(path, weights_only=True)["state_dict"]
    assert all(torch.equal(value, theirs[f"backbone.{name}"]) for name, value in ours.backbone.state_dict().items())
    assert tuning.head.startswith(NEW)


@pytest.fixture(scope="module")
def theirs():
    """Weights as timm publishes them."""
    torch.manual_seed(3)
    return {name: value.clone() for name, value in timm.create_model("test_efficientnet").state_dict().items()}


class TestATimmNetwork:
    @pytest.mark.parametrize("form", ["a.safetensors", "a.pth", "nested.pth", "without_counters.pth"])
    def test_starts_from_the_librarys_weights_without_the_classifier(self, form, theirs, tmp_path):
        path = tmp_path / form
        if form.startswith("without"):
            theirs = {name: value for name, value in theirs.items() if not name.endswith("num_batches_tracked")}
        if path.suffix == ".safetensors":
            save_file(theirs, path)
        else:
            torch.save({"state_dict": theirs} if form.startswith("nested") else theirs, path)
        ours, tuning = started(path, *TIMM, "operator=none")
        own, before = ours.backbone.state_dict(), network(*TIMM, "operator=none", seed=1).backbone.state_dict()
        for name, value in own.items():
            is_taken = name.startswith("features.") and name.removeprefix("features.") in theirs
            expected = theirs[name.removeprefix("features.")] if is_taken else before[name]
            assert torch.equal(value, expected), name
        rows = {(row["module"], row["start"]): row for row in tuning.rows()}
        counters = {("backbone.features", NEW)} if form.startswith("without") else set()
        assert rows.keys() == counters | {
            ("backbone.features", TAKEN),
            ("backbone.embed", NEW),
            ("head", "new: the file has none"),
            ("backbone.features", "left in the file"),
        }
        assert rows["backbone.features", "left in the file"]["tensors"] == "2"

    def test_gives_its_filters_to_the_operators(self, theirs, tmp_path):
        torch.save(theirs, tmp_path / "a.pth")
        ours, tuning = started(tmp_path / "a.pth", *TIMM, "operator=squeeze_excitation")
        plain, _ = started(tmp_path / "a.pth", *TIMM, "operator=none")
        images = torch.randn(2, 3, 64, 64)
        with torch.no_grad():
            here, there = (one.eval().backbone.features(images) for one in (ours, plain))
        assert (there[0] - there[1]).abs().mean() > 1e-3
        torch.testing.assert_close(here, there, rtol=1e-3, atol=1e-4)
        assert tuning.has_started_operators

    def test_refuses_the_weights_of_another(self, tmp_path):
        torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "a.pth")
        with refuses("a.pth", "features.bn1.weight is (32) there and (24) here", "more", error=InputError):
            started(tmp_path / "a.pth", *TIMM, "operator=none")

    def test_runs_nothing_that_the_file_holds(self, tmp_path):
        class Hostile:
            def __reduce__(self):
                return Path.touch, (tmp_path / "executed",)

        (tmp_path / "a.pth").write_bytes(pickle.dumps({"a": Hostile()}))
        with refuses("a.pth", "damaged", error=InputError):
            started(tmp_path / "a.pth", *TIMM, "operator=none")
        assert not (tmp_path / "executed").exists()

    @pytest.mark.parametrize("name", ["gone.pth", "gone.safetensors"])
    def test_names_a_file_that_is_not_there(self, name, tmp_path):
        with refuses(name, "cannot be read", error=InputError):
            started(tmp_path / name, *TIMM, "operator=none")

    @pytest.mark.parametrize("content", [{"a": 1}, {"a": torch.zeros(1).expand(9)}, [1], {1: torch.zeros(1)}], ids=str)
    def test_refuses_what_are_no_weights(self, content, tmp_path):
        torch.save(content, tmp_path / "a.pth")
        with refuses("a.pth", "weights", error=InputError):
            started(tmp_path / "a.pth", *TIMM, "operator=none")

    def test_does_not_download_weights_that_are_replaced(self, tmp_path):
        config = resolved(compose(settings(*TIMM, "operator=none", "backbone.pretrained=true")))
        with refuses("backbone.pretrained=true", "init=a.pth", error=InputError):
            InitialWeights.read("a.pth", config)


@pytest.mark.parametrize(
    ("name", "content", "facts"),
    [
        ("a.pth", {}, ("a.pth", "no checkpoint", "backbone=timm")),
        ("a.ckpt", {"state_dict": {}}, ("a.ckpt", "no configuration")),
        ("a.ckpt", {"state_dict": {}, "epoch": 1, "config": {"backbone": 3}}, ("backbone=None", "MobileNetV2")),
        (".", None, ("is a folder",)),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused(name, content, facts, tmp_path, depthwise):
    if content is not None:
        torch.save(content, tmp_path / name)
    with refuses(*facts, error=InputError):
        InitialWeights.read(str(tmp_path / name), depthwise[1].config)


def test_maps_without_values_are_refused(tmp_path, tvconv):
    content = torch.load(tvconv[0], weights_only=True)
    name = next(name for name in content["state_dict"] if name.endswith("affinity_maps"))
    content["state_dict"][name] = torch.zeros(1, 4, 0, 0)
    torch.save(content, tmp_path / "a.ckpt")
    with refuses("a.ckpt", "without values", error=InputError):
        started(tmp_path / "a.ckpt", *TVCONV, "image_size=48")


@pytest.mark.parametrize("init", [3, {"file": torch.zeros(1)}], ids=str)
def test_a_checkpoint_to_resume_from_cannot_write_anything_into_the_results(init):
    with refuses("a.ckpt", "init", error=InputError):
        init_of(Resumed(Path("a.ckpt"), {"init": init}))
    assert init_of(Resumed(Path("a.ckpt"), {})) is None
