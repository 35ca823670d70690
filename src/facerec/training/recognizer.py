"""The Lightning module that trains a network to recognise faces: a backbone with a margin-softmax head."""

from torch import Tensor, nn

from facerec.heads import CosineHead
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

    def loss(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, Tensor]]:
        images, labels, *teacher = batch
        embeddings = self.backbone(images)
        if self.distillation is None:
            return self.head.loss(embeddings, labels), {}
        return self.distillation(self.head, embeddings, labels, *teacher)
