"""The Lightning module that verifies a network."""

from collections.abc import MutableMapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from facerec.data.datamodule import FaceDataModule
from facerec.data.source import Benchmark
from facerec.errors import InputError
from facerec.plots.network import roc_figure
from facerec.training.evaluator import Evaluator
from facerec.verification.verify import PROTOCOLS, VerificationResult, verify

Batch = tuple[Tensor, Tensor]


class Verifier(Evaluator):
    """Embeds the distinct images of each benchmark of the data module and verifies its pairs.

    Args:
        backbone: normalised images ``(B, 3, H, W)`` to embeddings ``(B, D)``.
        protocol: name of a verification protocol in `facerec.verification.PROTOCOLS`.
        embeddings: receives the embeddings ``(N, D)`` of all images of each benchmark, by its name.
    """

    measure = "accuracy"
    data_module = FaceDataModule
    results: dict[str, VerificationResult]

    def __init__(
        self, backbone: nn.Module, protocol: str, embeddings: MutableMapping[str, np.ndarray] | None = None
    ) -> None:
        super().__init__(backbone)
        if protocol not in PROTOCOLS:
            raise ValueError(f"protocol must be one of {', '.join(PROTOCOLS)}, got {protocol!r}")
        self.protocol = PROTOCOLS[protocol]
        self._embedded: list[list[Batch]] = []
        self._kept = embeddings

    def forward(self, images: Tensor) -> Tensor:
        """Return the embeddings that the protocol compares, per image or summed with those of the flipped image."""
        embeddings = self.backbone(images).float()
        return embeddings + self.backbone(images.flip(-1)).float() if self.protocol.sums_flip else embeddings

    def figures(self) -> dict[str, Figure]:
        return {"ROC": roc_figure(self.results)}

    def on_validation_epoch_start(self) -> None:
        self._embedded = [[] for _ in self.sets()]

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        images, indices = batch
        self._embedded[dataloader_idx].append((self(images), indices))

    def on_validation_epoch_end(self) -> None:
        for benchmark, batches in zip(self.sets(), self._embedded, strict=True):
            assert isinstance(benchmark, Benchmark)
            self.results[benchmark.name] = self._verify(benchmark, batches)
        self._embedded = []
        self.log_measures({name: result.accuracy for name, result in self.results.items()})

    def _verify(self, benchmark: Benchmark, batches: Sequence[Batch]) -> VerificationResult:
        rows, indices = (torch.cat(parts) for parts in zip(*batches, strict=True))
        embeddings = self.gathered(rows, indices, benchmark).cpu().numpy()
        if self._kept is not None:
            self._kept[benchmark.name] = embeddings
        left, right = embeddings[benchmark.left], embeddings[benchmark.right]
        try:
            return verify(left, right, benchmark.is_same, self.protocol.name, people=benchmark.people_of_pairs())
        except ValueError as error:
            raise InputError(f"benchmark {benchmark.name} cannot be verified: {error}") from error
