"""The Lightning module that trains a network to recognise faces: a backbone with a margin-softmax head."""

from contextlib import ExitStack
from typing import Any

import torch
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from facerec.errors import InputError
from facerec.heads import CosineHead
from facerec.heads.across_devices import summed
from facerec.training.class_centres import divide_centres, join_centres
from facerec.training.distillation import Distillation
from facerec.training.learner import Learner, Training
from facerec.training.verifier import Verifier


class Recognizer(Learner, Verifier):
    """Trains a backbone with the loss of a margin-softmax head, and verifies it after each epoch.

    Args:
        training: how.
        backbone: normalised images ``(B, 3, H, W)`` to embeddings ``(B, D)``.
        head: embeddings ``(B, D)`` and labels to a loss.
        protocol: name of a verification protocol in `facerec.verification.PROTOCOLS`.
        distillation: a loss of the teacher's embeddings, which are then in the training batches; it is connected.
    """

    evaluator = Verifier

    def __init__(
        self,
        training: Training,
        backbone: nn.Module,
        head: CosineHead,
        protocol: str,
        distillation: Distillation | None = None,
    ) -> None:
        super().__init__(training, backbone, protocol)
        self.head, self.distillation = head, distillation
        self.begin()

    def configure_model(self) -> None:
        """Divide the class centres among the devices, if that is wanted; Lightning calls this more than once.

        Raises:
            InputError: what `CosineHead.hold_part` refuses, or another strategy than DDP.
        """
        self.head.hold_part()
        if self.head.is_part and not isinstance(self.trainer.strategy, DDPStrategy):
            raise InputError(
                f"head.shard=true needs trainer=ddp on several devices, and the strategy is "
                f"{type(self.trainer.strategy).__name__}: take trainer=ddp or leave it out"
            )
        if self.head.is_part or self.head.sample < 1:  # then no gradient of them is for all devices
            DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(self, ["head.weight"])

    def loss(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, Tensor]]:
        images, labels, *teacher = batch
        embeddings = self.backbone(images)
        if self.distillation is None:
            return self.head.loss(embeddings, labels), {}
        return self.distillation(self.head, embeddings, labels, *teacher)

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """Make the step of the head on the class centres that were drawn, once the closure has their gradients."""
        with ExitStack() as stack:

            def closure() -> Any:
                loss = optimizer_closure()
                stack.enter_context(self.head.step_on_drawn(getattr(optimizer, "optimizer", optimizer)))
                return loss

            super().optimizer_step(epoch, batch_idx, optimizer, closure)

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Limit the norm of the gradient of all parameters together, of the class centres on all devices."""
        if not self.head.is_part or not gradient_clip_val or gradient_clip_algorithm == "value":
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
            return
        gradients = {p: p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None}
        squares = {parameter: gradient.float().square().sum() for parameter, gradient in gradients.items()}
        if self.head.weight in squares:
            squares[self.head.weight] = summed(squares[self.head.weight])
        norm = torch.stack(list(squares.values())).sum().sqrt()
        for gradient in gradients.values():
            gradient.mul_((gradient_clip_val / (norm + 1e-6)).clamp(max=1))  # as PyTorch does

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        if self.head.is_part:
            join_centres(checkpoint, self.head, self.trainer.optimizers[0])

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.head.is_part:
            divide_centres(checkpoint, self.head, self.optimizer_and_schedule()[0])
        super().on_load_checkpoint(checkpoint)
