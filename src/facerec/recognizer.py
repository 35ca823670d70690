"""What is trained: images to embeddings to logits to a loss; and what is verified after each epoch."""

from collections.abc import Callable, Iterable
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from facerec.data.source import Benchmark
from facerec.verification import PROTOCOLS, VerificationResult, verify

Batch = tuple[Tensor, Tensor]


class Recognizer(pl.LightningModule):
    """Trains a backbone under a margin-softmax head and verifies it on the benchmarks of the data module.

    Args:
        backbone: normalised images ``(B, 3, H, W)`` to embeddings ``(B, D)``.
        head: embeddings and labels to logits ``(B, N)``.
        optimizer: called with the parameters.
        lr_scheduler: called with the optimizer; stepped after each epoch.
        protocol: name of the verification protocol, one of `facerec.verification.PROTOCOLS`.
        config: the resolved configuration, kept in every checkpoint so that a checkpoint can be rebuilt from itself.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        lr_scheduler: Callable[[Optimizer], LRScheduler],
        protocol: str,
        config: dict[str, Any],
    ) -> None:
        super().__init__()
        if protocol not in PROTOCOLS:
            raise ValueError(f"protocol must be one of {', '.join(PROTOCOLS)}, got {protocol!r}")
        self.backbone = backbone.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.head = head
        self._optimizer, self._lr_scheduler = optimizer, lr_scheduler
        self.protocol, self.config = PROTOCOLS[protocol], config
        self.results: dict[str, VerificationResult] = {}
        self._embedded: list[list[Batch]] = []

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images to the embeddings that the protocol compares: of the image, or summed with its mirror's."""
        embeddings = self.backbone(images).float()
        return embeddings + self.backbone(images.flip(-1)).float() if self.protocol.sums_flip else embeddings

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        images, labels = batch
        loss = F.cross_entropy(self.head(self.backbone(images), labels), labels)
        self.log("train/loss", loss, on_step=True, on_epoch=True, prog_bar=True, batch_size=len(images))
        return loss

    def on_validation_epoch_start(self) -> None:
        self._embedded = [[] for _ in self._benchmarks()]

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        images, indices = batch
        self._embedded[dataloader_idx].append((self(images), indices))

    def on_validation_epoch_end(self) -> None:
        for benchmark, batches in zip(self._benchmarks(), self._embedded, strict=True):
            embeddings = self._gather(batches, len(benchmark.images)).cpu().numpy()
            left, right = embeddings[benchmark.left], embeddings[benchmark.right]
            result = verify(left, right, benchmark.is_same, self.protocol.name)
            self.results[benchmark.name] = result
            self.log(f"{benchmark.name}/accuracy", result.accuracy)
        self.log("mean_accuracy", sum(r.accuracy for r in self.results.values()) / len(self.results), prog_bar=True)

    def _gather(self, batches: list[Batch], num_images: int) -> Tensor:
        """The embeddings of all images in their own order, from all devices; an image that pads a device counts
        once."""
        embeddings = torch.cat([embedding for embedding, _ in batches])
        indices = torch.cat([index for _, index in batches])
        gathered = self.all_gather((embeddings, indices))
        table = embeddings.new_empty(num_images, embeddings.shape[1])
        table[gathered[1].flatten()] = gathered[0].flatten(0, -2)  # pyright: ignore
        return table

    def _benchmarks(self) -> list[Benchmark]:
        return self.trainer.datamodule.opened_benchmarks  # pyright: ignore[reportAttributeAccessIssue]

    def configure_optimizers(self) -> Any:
        optimizer = self._optimizer(self.parameters())
        return {"optimizer": optimizer, "lr_scheduler": self._lr_scheduler(optimizer)}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["config"] = self.config
