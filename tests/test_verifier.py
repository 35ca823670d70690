"""Verification as a loop over benchmarks gives what embedding every image by hand gives."""

from types import SimpleNamespace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from counting_source import CountingSource
from says import refuses
from torch import nn

from facerec.data.datamodule import FaceDataModule
from facerec.data.loading import normalise
from facerec.data.source import Benchmark, OnProblem, refuse
from facerec.errors import InputError
from facerec.training.verifier import Verifier
from facerec.verification.verify import verify

SIZE = (8, 8)


class Noise(CountingSource):
    """Images that nobody took."""

    def __init__(self, number: int, seed: int) -> None:
        super().__init__(number)
        self.pixels = np.random.default_rng(seed).integers(0, 256, (number, *SIZE, 3)).astype(np.uint8)

    def load(self, index: int) -> np.ndarray:
        return self.pixels[index]

    def name(self, index: int) -> str:
        return f"noise {index}"


def benchmark(name: str, number: int, seed: int) -> Benchmark:
    left, right = np.random.default_rng(seed).integers(0, number, (2, 20))
    return Benchmark(name, Noise(number, seed), left, right, np.arange(20) % 2 == 0)


class NoiseData(FaceDataModule):
    def open_train(self, on_problem: OnProblem = refuse):
        raise AssertionError("verification needs no training set")

    def open_benchmark(self, name: str, on_problem: OnProblem = refuse) -> Benchmark:
        # More images than one batch of the loader holds, and fewer.
        return benchmark(name, {"many": 131, "few": 13}[name], len(name))


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 36, 5))


def validated(verifier: Verifier, names: list[str], **options) -> pl.Trainer:
    data = NoiseData(benchmarks=names, image_size=SIZE, num_workers=0)
    data.setup("validate")
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(accelerator="cpu", devices=1, use_distributed_sampler=False, **quiet, **options)
    trainer.validate(verifier, datamodule=data, verbose=False)
    return trainer


lightning = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers", "ignore:GPU available but not used", "ignore:.*LeafSpec.* is deprecated"
)


@lightning
@pytest.mark.parametrize("protocol", ["tvconv", "insightface"])
def test_every_benchmark_is_verified_as_by_hand(backbone, protocol):
    verifier = Verifier(backbone, protocol)
    trainer = validated(verifier, ["many", "few"])
    backbone.eval()
    for name in ("many", "few"):
        bench = NoiseData(benchmarks=[name]).open_benchmark(name)
        images = normalise(torch.from_numpy(np.stack([bench.images.load(i) for i in range(len(bench.images))])))
        with torch.no_grad():
            embeddings = backbone(images)
            if protocol == "insightface":
                embeddings = embeddings + backbone(images.flip(3))
        expected = verify(embeddings[bench.left], embeddings[bench.right], bench.is_same, protocol)
        found = verifier.results[name]
        np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-4)
        assert found.fold_accuracies.tolist() == expected.fold_accuracies.tolist()
        assert float(trainer.callback_metrics[f"{name}/accuracy"]) == pytest.approx(expected.accuracy)
    mean = (verifier.results["many"].accuracy + verifier.results["few"].accuracy) / 2
    assert float(trainer.callback_metrics["mean_accuracy"]) == pytest.approx(mean)


@lightning
def test_part_of_a_benchmark_is_never_verified(backbone):
    with refuses("many", "131", "128", "trainer.limit_val", error=InputError):
        validated(Verifier(backbone, "tvconv"), ["many"], limit_val_batches=1)


@lightning
def test_embeddings_that_cannot_be_verified_are_named_with_their_benchmark(backbone):
    nn.init.constant_(backbone[-1].bias, float("nan"))
    with refuses("benchmark few", "pair 0", "NaN", "left", error=InputError):
        validated(Verifier(backbone, "tvconv"), ["few"])


def test_an_image_that_fills_up_a_devices_share_counts_once(backbone, monkeypatch):
    """Two devices share five images; the second one is given the first image again."""
    verifier = Verifier(backbone, "tvconv")
    embeddings = torch.arange(10.0).view(5, 2)
    shares = torch.tensor([[0, 2, 4], [1, 3, 0]])

    def all_gather(own):
        everywhere = shares if own.ndim == 1 else embeddings[shares]
        assert torch.equal(own, everywhere[0])
        return everywhere

    monkeypatch.setattr(verifier, "all_gather", all_gather)
    five = SimpleNamespace(name="five", num_images=5)
    assert torch.equal(verifier.gathered(embeddings[shares[0]], shares[0], five), embeddings)
    with refuses("six", "6", "5", error=InputError):
        verifier.gathered(embeddings[shares[0]], shares[0], SimpleNamespace(name="six", num_images=6))


def test_the_embedding_sums_the_mirror_image_where_the_protocol_does(backbone):
    images = torch.randn(2, 3, *SIZE)
    plain, summed = (Verifier(backbone, protocol)(images) for protocol in ("tvconv", "insightface"))
    torch.testing.assert_close(plain, backbone(images))
    torch.testing.assert_close(summed, backbone(images) + backbone(images.flip(3)))


def test_embeddings_are_float32_whatever_the_network_computes_in(backbone):
    with torch.autocast("cpu", torch.bfloat16):
        assert Verifier(backbone, "insightface")(torch.randn(2, 3, *SIZE)).dtype == torch.float32


def test_an_unknown_protocol_is_named(backbone):
    with refuses("protocol", "tvconv, tvconv_reference, insightface", "lfw"):
        Verifier(backbone, "lfw")


@lightning
@pytest.mark.parametrize("precision", ["bf16-true", "16-true", "64-true"])
def test_a_precision_that_images_do_not_have_is_refused(backbone, precision):
    with refuses(f"trainer.precision={precision}", "32-true", "bf16-mixed", error=InputError):
        validated(Verifier(backbone, "tvconv"), ["few"], precision=precision)
