"""The Lightning module for verification, after each training epoch or without training."""

from collections.abc import MutableMapping, Sequence
from typing import NoReturn

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from facerec.data.datamodule import FaceDataModule
from facerec.data.held_out import HELD_OUT
from facerec.data.source import Benchmark
from facerec.errors import InputError
from facerec.verification.verify import PROTOCOLS, VerificationResult, verify

Batch = tuple[Tensor, Tensor]
_PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


class Verifier(pl.LightningModule):
    """Embeds the distinct images of each benchmark of the data module and verifies its pairs.

    Logs ``NAME/accuracy`` per benchmark and their mean as ``mean_accuracy``; all metrics are in ``results``. Held-out
    identities count in the mean only if there are no benchmarks.

    Args:
        backbone: normalised images ``(B, 3, H, W)`` to embeddings ``(B, D)``.
        protocol: name of a verification protocol in `facerec.verification.PROTOCOLS`.
        embeddings: receives the embeddings ``(N, D)`` of all images of each benchmark, by its name.
    """

    def __init__(
        self, backbone: nn.Module, protocol: str, embeddings: MutableMapping[str, np.ndarray] | None = None
    ) -> None:
        super().__init__()
        if protocol not in PROTOCOLS:
            raise ValueError(f"protocol must be one of {', '.join(PROTOCOLS)}, got {protocol!r}")
        self.backbone = backbone
        self.to(memory_format=torch.channels_last)
        self.protocol = PROTOCOLS[protocol]
        self.results: dict[str, VerificationResult] = {}
        self._embedded: list[list[Batch]] = []
        self._kept = embeddings

    def forward(self, images: Tensor) -> Tensor:
        """Return the embeddings that the protocol compares, per image or summed with those of the flipped image."""
        embeddings = self.backbone(images).float()
        return embeddings + self.backbone(images.flip(-1)).float() if self.protocol.sums_flip else embeddings

    def setup(self, stage: str) -> None:
        """Raise `InputError` for a precision that makes weights other than float32, which images are."""
        if self.trainer.precision not in _PRECISIONS:
            raise InputError(
                f"trainer.precision={self.trainer.precision} is not supported, since images are float32: take one of "
                f"{', '.join(_PRECISIONS)}"
            )

    def on_validation_epoch_start(self) -> None:
        self._embedded = [[] for _ in self.benchmarks()]

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        images, indices = batch
        self._embedded[dataloader_idx].append((self(images), indices))

    def on_validation_epoch_end(self) -> None:
        for benchmark, batches in zip(self.benchmarks(), self._embedded, strict=True):
            self.results[benchmark.name] = self._verify(benchmark, batches)
            self.log(f"{benchmark.name}/accuracy", self.results[benchmark.name].accuracy)
        self._embedded = []
        counted = [r.accuracy for name, r in self.results.items() if name != HELD_OUT or len(self.results) == 1]
        self.log("mean_accuracy", sum(counted) / len(counted), prog_bar=True)

    def _verify(self, benchmark: Benchmark, batches: Sequence[Batch]) -> VerificationResult:
        embeddings = self._gather(batches, benchmark).cpu().numpy()
        if self._kept is not None:
            self._kept[benchmark.name] = embeddings
        left, right = embeddings[benchmark.left], embeddings[benchmark.right]
        try:
            return verify(left, right, benchmark.is_same, self.protocol.name, people=benchmark.people_of_pairs())
        except ValueError as error:
            raise InputError(f"benchmark {benchmark.name} cannot be verified: {error}") from error

    def _gather(self, batches: Sequence[Batch], benchmark: Benchmark) -> Tensor:
        """Return the embeddings ``(N, D)`` of all images in dataset order, from all devices.

        Images that pad a device's part of the dataset are embedded twice; one of the two is kept.
        """
        embeddings = torch.cat([embedding for embedding, _ in batches])
        indices = torch.cat([index for _, index in batches])
        embeddings, indices = self._of_all_devices(embeddings).flatten(0, -2), self._of_all_devices(indices).flatten()
        embedded = len(indices.unique())
        if embedded < len(benchmark.images):
            self.refuse_part(benchmark, embedded)
        table = embeddings.new_empty(embedded, embeddings.shape[1])
        table[indices] = embeddings
        return table

    def refuse_part(self, benchmark: Benchmark, embedded: int) -> NoReturn:
        """Raise `InputError`, since only ``embedded`` of the images of ``benchmark`` would be verified."""
        raise InputError(
            f"benchmark {benchmark.name} has {len(benchmark.images)} images, of which {embedded} would be embedded: "
            "remove trainer.limit_val_batches and trainer.num_sanity_val_steps"
        )

    def _of_all_devices(self, tensor: Tensor) -> Tensor:
        gathered = self.all_gather(tensor)
        assert isinstance(gathered, Tensor)
        return gathered

    def benchmarks(self) -> list[Benchmark]:
        """Return the benchmarks of the data module."""
        data = getattr(self.trainer, "datamodule", None)
        assert isinstance(data, FaceDataModule)
        return data.opened_benchmarks
