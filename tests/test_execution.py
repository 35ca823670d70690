"""Steps that are compiled or recomputed train as ordinary ones do."""

from copy import deepcopy
from functools import partial
from pathlib import Path

import pytest
import torch
from operator_files import FILES, operator
from says import refuses
from torch import nn

from facerec import heads
from facerec.backbones.convolutional import ConvolutionalBackbone
from facerec.backbones.mobilenet_v2 import InvertedResidual, dense_conv
from facerec.errors import InputError
from facerec.operators.base import OperatorFactory
from facerec.operators.common.fused_sequence import FusedSequence
from facerec.operators.depthwise import Depthwise
from facerec.training.callbacks import execution
from facerec.training.distillation import AdaDistill, EmbeddingDistillation
from facerec.training.learner import Training
from facerec.training.recognizer import Recognizer
from facerec.training.schedules import MultiStep
from facerec.training.trainer import Trainer

IDENTITIES = 5
HEADS = [getattr(heads, name) for name in heads.__all__ if name != "CosineHead"]
BATCHES = [(torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(n)), n % IDENTITIES) for n in range(12)]
# PyTorch 2.11, when the compiler is imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script_method. is deprecated:DeprecationWarning")
quiet = pytest.mark.filterwarnings("ignore::lightning_fabric.utilities.warnings.PossibleUserWarning")


class OneBlock(ConvolutionalBackbone):
    """A stem and a block of MobileNetV2, as the backbones have them."""

    def __init__(self, made=Depthwise) -> None:
        super().__init__()
        self.image_size = (8, 8)
        block = InvertedResidual(8, 8, 2, 1, (8, 8), OperatorFactory.of(made), lambda channels: nn.ReLU6())
        layers = FusedSequence(dense_conv(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU6(), block)
        self.assemble(layers, 8, (8, 8), 4, None, "average")


def recognizer(made=Depthwise, head=heads.AMSoftmax, distillation=None) -> Recognizer:
    torch.manual_seed(0)
    made_head = head(IDENTITIES, 4)
    if distillation is not None:
        distillation.connect(made_head, 4, 4)
    training = Training(partial(torch.optim.SGD, lr=0.1), partial(MultiStep, milestones=[1]), {})
    return Recognizer(training, OneBlock(made), made_head, "tvconv", distillation)


def step(learner, loss, *more):
    """Loss, gradients and state after two steps."""
    images, labels = torch.stack([image for image, _ in BATCHES]), torch.tensor([label for _, label in BATCHES])
    torch.manual_seed(1)
    for _ in range(2):
        learner.zero_grad()
        found, parts = loss((images, labels, *more))
        found.backward()
    gradients = [p.grad for p in learner.parameters() if p.requires_grad]
    return [found.detach(), *(part.detach() for part in parts.values()), *gradients, *learner.state_dict().values()]


def assert_compiled_is_the_same(ours, *more, number=1, atol=1e-5):
    theirs, graphs = deepcopy(ours), []

    def backend(graph, inputs):
        graphs.append(graph)
        return torch._dynamo.lookup_backend("aot_eager")(graph, inputs)

    ours.compile_loss(backend=backend)
    found, expected = step(ours, ours._loss, *more), step(theirs, theirs.loss, *more)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=atol)
    assert len(graphs) == number  # of network and head together, and for both steps
    assert not any("orig_mod" in name for name in ours.state_dict())
    torch.compiler.reset()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_compiled_network_with_any_operator_trains_as_the_network_itself(file):
    interpolates = file.stem == "grid_depthwise"  # which rounds in another way when it is traced
    assert_compiled_is_the_same(recognizer(operator(file)), atol=1e-4 if interpolates else 1e-5)


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.__name__)
def test_and_so_it_does_with_any_head(head):
    assert_compiled_is_the_same(recognizer(head=head))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_and_with_a_head_that_draws_identities_outside_of_the_program():
    """Lightning makes its steps on the centres that were drawn; here all of them are in the last batch."""
    ours, theirs = (recognizer(head=partial(heads.ArcFace, sample=0.6)) for _ in range(2))
    ours.compile_loss(backend="aot_eager")
    optimizers = [torch.optim.SGD([one.head.weight], lr=0.1) for one in (ours, theirs)]
    found = [step(ours, ours._loss), step(theirs, theirs.loss)]
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)
    for one, optimizer in zip((ours, theirs), optimizers, strict=True):
        with one.head.step_on_drawn(optimizer):
            optimizer.step()
    assert not torch.equal(ours.head.weight, found[0][-1])
    torch.testing.assert_close(ours.head.weight, theirs.head.weight)
    torch.compiler.reset()


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
@pytest.mark.parametrize(("loss", "number"), [(EmbeddingDistillation, 1), (AdaDistill, 3)])
def test_and_with_a_teacher(loss, number):
    teacher = nn.functional.normalize(torch.randn(12, 4, generator=torch.Generator().manual_seed(2)))
    assert_compiled_is_the_same(recognizer(head=heads.ArcFace, distillation=loss()), teacher, number=number)


def fit(module, folder: Path, begun: Path | None = None, **settings) -> Trainer:
    given = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    given |= {"enable_model_summary": False, "default_root_dir": folder, "max_epochs": 2}
    trainer = Trainer(**{**given, **settings})
    trainer.fit(module, torch.utils.data.DataLoader(BATCHES, batch_size=3), ckpt_path=begun)
    return trainer


@quiet
def test_a_recomputed_run_has_the_bits_of_an_ordinary_one(tmp_path):
    ours, theirs = recognizer(), recognizer()
    fit(ours, tmp_path, recompute=True)
    fit(theirs, tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True))
    assert not ours.backbone.features.recomputes


@quiet
def test_a_run_is_compiled_by_the_compiler_of_this_machine(tmp_path):
    ours, theirs = recognizer(), recognizer()
    for one in (ours, theirs):  # a small one, to compile in seconds
        one.backbone = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
        one.backbone.load_state_dict({"1.weight": torch.linspace(-1, 1, 768).view(4, 192), "1.bias": torch.ones(4)})
    fit(ours, tmp_path, compile=True)
    fit(theirs, tmp_path)
    assert ours._loss is not None and theirs._loss is None
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=1e-3, atol=1e-4)
    torch.compiler.reset()


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        ({"recompute": True, "compile": True}, ("recompute=true", "compile=true", "leave one out")),
        ({"cuda_graphs": True}, ("cuda_graphs=true", "compile=true", "add it")),
    ],
)
def test_settings_without_effect_are_refused(settings, facts):
    with refuses(*facts):
        Trainer(logger=False, **settings)


@quiet
def test_what_a_run_cannot_do_is_refused_before_the_first_step(tmp_path, monkeypatch):
    with refuses("trainer.cuda_graphs=true", "NVIDIA GPU", "cpu", error=InputError):
        fit(recognizer(), tmp_path, compile=True, cuda_graphs=True)
    without, learner = nn.Sequential(nn.Flatten(), nn.Linear(192, 4)), recognizer()
    learner.backbone = without
    with refuses("trainer.recompute=true", "Sequential", "leave it out", error=InputError):
        fit(learner, tmp_path, recompute=True)
    monkeypatch.setattr(execution.shutil, "which", lambda name: None)
    with refuses("compile=true", "C++ compiler", "g++", error=InputError):
        fit(recognizer(), tmp_path, compile=True)


@quiet
@pytest.mark.parametrize(("first", "then"), [(True, True), (True, False), (False, True)])
def test_a_run_goes_on_compiled_or_not_from_a_checkpoint_of_either(first, then, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    whole, begun, resumed = (recognizer() for _ in range(3))
    fit(whole, tmp_path, compile=first and then)
    trainer = fit(begun, tmp_path, compile=first, max_epochs=1)
    begun._fingerprints = {"none": ""}  # of a data module
    trainer.save_checkpoint(tmp_path / "begun.ckpt")
    fit(resumed, tmp_path, tmp_path / "begun.ckpt", compile=then)
    torch.testing.assert_close(resumed.state_dict(), whole.state_dict(), rtol=1e-4, atol=1e-5)
    torch.compiler.reset()
