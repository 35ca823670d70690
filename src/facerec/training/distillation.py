"""Distillation: losses by which a network learns from a teacher's embeddings of the training images.

B images, D dimensions of the student's embedding, T of the teacher's, N identities.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerec.checks import check_number
from facerec.data.teacher import TeacherInput
from facerec.errors import InputError
from facerec.heads import CosineHead
from facerec.heads.across_devices import of_all_devices

_LEAST = 1e-6  # of a momentum and of a similarity to a class centre, as in the published code


class Distillation(nn.Module, ABC):
    """The base of the losses: ``forward`` returns what is minimised, and its parts to log by name.

    The teacher's input is what a foreign teacher takes; what a teacher's file says need not be stated, and is refused
    if it differs.

    Args:
        image_size: (height, width) of the teacher's images.
        colours: order of the colours, "rgb" or "bgr".
        mean: subtracted from the pixels of 0 to 255; one number, or one per channel in the order of ``colours``.
        std: what the difference is divided by, likewise.
        flip: average the teacher's embedding of an image with that of the flipped image.

    Raises:
        ValueError: what `TeacherInput` refuses.
    """

    def __init__(
        self,
        image_size: Sequence[int] | None = None,
        colours: str | None = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        flip: bool = True,
    ) -> None:
        super().__init__()
        self.input, self.flip = TeacherInput.stated(image_size, colours, mean, std), flip

    @abstractmethod
    def connect(self, head: CosineHead, embedding_dim: int, teacher_dim: int) -> None:
        """Prepare for a student with this head and for embeddings of these dimensions, before the optimizer is made.

        Raises:
            InputError: the head or the dimensions do not fit.
        """

    @abstractmethod
    def forward(
        self, head: CosineHead, embeddings: Tensor, labels: Tensor, teacher: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and its parts, for embeddings ``(B, D)``, labels ``(B,)`` and the teacher's embeddings
        ``(B, T)`` of length 1."""


class EmbeddingDistillation(Distillation):
    """The loss is ``head_weight`` times the head's, plus ``weight`` times the mean of 1 - cos(student, teacher).

    If the dimensions differ, the student's embedding is first multiplied by a learned matrix ``(T, D)``, which is saved
    in checkpoints and not used otherwise.

    Args:
        weight: of the cosine loss.
        head_weight: of the head's loss.

    Raises:
        ValueError: a weight is negative or that of the teacher is 0.
    """

    def __init__(
        self,
        weight: float = 128.0,
        head_weight: float = 1.0,
        image_size: Sequence[int] | None = None,
        colours: str | None = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        flip: bool = True,
    ) -> None:
        super().__init__(image_size, colours, mean, std, flip)
        check_number("weight", weight)
        check_number("head_weight", head_weight)
        if weight == 0:
            raise ValueError("weight is 0, with which the teacher teaches nothing: take distillation=none instead")
        self.weight, self.head_weight = weight, head_weight
        self.projection: nn.Module = nn.Identity()

    def connect(self, head: CosineHead, embedding_dim: int, teacher_dim: int) -> None:
        if embedding_dim != teacher_dim:
            self.projection = nn.Linear(embedding_dim, teacher_dim, bias=False)

    def forward(
        self, head: CosineHead, embeddings: Tensor, labels: Tensor, teacher: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        own = head.loss(embeddings, labels)
        with torch.autocast(embeddings.device.type, enabled=False):
            projected = self.projection(embeddings.float())
            taught = 1 - F.cosine_similarity(projected, teacher.float()).mean()
        parts = {"head": own, "distillation": taught}
        return self.head_weight * own + self.weight * taught, parts


class AdaDistill(Distillation):
    """The loss is the head's, whose class centres w follow the teacher's embeddings t instead of the gradient.

    Boutros et al., "AdaDistill: Adaptive Knowledge Distillation for Deep Face Recognition", arXiv 2407.01332, section
    3.2. Before the loss of a batch, the centre of each image's identity becomes

        a w + (1 - a) t,   a = max(cos(s, t) * max(cos(w, t), 0), 0),

    where s is the student's embedding. A student that is unlike its teacher is compared with the teacher's embedding of
    the same image, and one that is like it with a moving average over the images of the identity, in which images that
    are far from their centre count more. Both maxima are at least 1e-6, as in the published code.

    Deviation: of an identity with several images in the batch, over all devices, the centre becomes the mean of what
    each of them makes of it; in the published code the last one counts.
    """

    def connect(self, head: CosineHead, embedding_dim: int, teacher_dim: int) -> None:
        if head.weight.ndim != 2:
            raise InputError(
                f"distillation=adadistill needs one class centre per identity, and {type(head).__name__} has several: "
                "take head=arcface or am_softmax"
            )
        if head.shard:
            raise InputError(
                "distillation=adadistill moves the class centres of a batch on every device, and head.shard=true "
                "divides them among the devices: leave it out"
            )
        if embedding_dim != teacher_dim:
            raise InputError(
                f"distillation=adadistill compares embeddings, and the teacher's have {teacher_dim} elements, the "
                f"student's embedding_dim={embedding_dim}: set embedding_dim={teacher_dim}, or take "
                "distillation=embedding"
            )
        head.weight.requires_grad_(False)

    def forward(
        self, head: CosineHead, embeddings: Tensor, labels: Tensor, teacher: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        student, teacher, batch = map(of_all_devices, (embeddings.float(), teacher.float(), labels))
        # How many identities a batch has is not known before, by which a compiler would stop in the middle.
        move = torch.compiler.disable(move_centres)
        move(head.weight, student, teacher, batch)  # pyright: ignore[reportCallIssue]
        return head.loss(embeddings, labels), {}


@torch.no_grad()
def move_centres(centres: Tensor, student: Tensor, teacher: Tensor, labels: Tensor) -> None:
    """Move the ``centres`` ``(N, D)`` of the identities ``labels`` ``(B,)``, in place, as `AdaDistill` says.

    ``student`` and ``teacher`` ``(B, D)`` are embeddings, of which only the directions count.
    """
    own, directions = centres[labels], F.normalize(teacher)
    from_centre = F.cosine_similarity(own, directions).clamp(_LEAST, 1)
    momentum = (F.cosine_similarity(student, directions) * from_centre).clamp(_LEAST, 1)[:, None]
    moved = momentum * own + (1 - momentum) * directions
    present, place, counts = labels.unique(return_inverse=True, return_counts=True)
    sums = moved.new_zeros(len(present), moved.shape[1]).index_add_(0, place, moved)
    centres[present] = (sums / counts[:, None]).to(centres.dtype)
