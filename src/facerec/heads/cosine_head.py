"""The contract of margin-softmax heads: cosines to the class centres, a margin, a scale, and the loss.

B images, D embedding dimensions, N identities.
"""

import math
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Of a squared sine. The square root has an infinite slope at 0, where the cosine is +-1.
_SMALLEST = 1e-9


class CosineHead(nn.Module, ABC):
    """The base of the heads: ``forward(embeddings (B, D), labels (B,))`` returns logits ``(B, N)`` in float32.

    Embeddings are as the network gives them: their norms may decide about the margin. The head owns the class centres
    ``weight (N, D)``.

    Args:
        num_identities: N.
        embedding_dim: D.
        scale: the factor before the softmax.

    Raises:
        ValueError: N or the scale is not positive; from subclasses, a margin is out of its range.
    """

    def __init__(self, num_identities: int, embedding_dim: int, scale: float) -> None:
        super().__init__()
        if num_identities < 1:
            raise ValueError(f"num_identities must be at least 1, got {num_identities}")
        if not 0 < scale < math.inf:  # nan is neither
            raise ValueError(f"scale must be a positive number, got {scale}: leave it out for that of the paper")
        self.scale = scale
        self.weight = nn.Parameter(torch.empty(self.shape_of_centres(num_identities, embedding_dim)))
        self.reset_parameters()

    def shape_of_centres(self, num_identities: int, embedding_dim: int) -> tuple[int, ...]:
        return num_identities, embedding_dim

    def reset_parameters(self) -> None:
        """Draw the class centres uniformly from the unit sphere."""
        with torch.no_grad():
            self.weight.copy_(F.normalize(torch.randn_like(self.weight), dim=-1))

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the scaled cosines, with the margin applied to the column of each image's label."""
        # Cosines near 1 need more than the 8 bits of precision of bfloat16.
        with torch.autocast(embeddings.device.type, enabled=False):
            embeddings, labels = embeddings.float(), labels[:, None]
            cosine = self.cosines(F.normalize(embeddings), F.normalize(self.weight.float(), dim=-1))
            target = self.with_margin(cosine.gather(1, labels), embeddings.norm(dim=1, keepdim=True))
            return self.scale * self.others(cosine, target).scatter(1, labels, target)

    def loss(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return what is minimised, the mean over the batch: the cross-entropy, to which a head may add a term."""
        return F.cross_entropy(self(embeddings, labels), labels)

    def cosines(self, directions: Tensor, centres: Tensor) -> Tensor:
        """Return the cosine of each image to each identity, ``(B, N)``, from embeddings and centres of length 1."""
        return F.linear(directions, centres)

    @abstractmethod
    def with_margin(self, cosine: Tensor, norms: Tensor) -> Tensor:
        """Apply the margin to the cosine of the target class, ``(B, 1)``.

        ``norms`` ``(B, 1)`` are the lengths of the embeddings.
        """

    def others(self, cosine: Tensor, target: Tensor) -> Tensor:
        """Return the cosines ``(B, N)`` of which those of other classes are used.

        ``target`` ``(B, 1)`` is that of the image's own class, with its margin.
        """
        return cosine


def check_angle(name: str, margin: float) -> None:
    """Check for an angle from 0 to below pi / 2."""
    if not 0 <= margin < math.pi / 2:  # nan is neither
        raise ValueError(f"{name} is an angle in radians, from 0 to below pi / 2, got {margin}: pi / 180 is one degree")


def check_share(name: str, share: float) -> None:
    """Check for a number above 0 and of at most 1."""
    if not 0 < share <= 1:
        raise ValueError(f"{name} is the weight of a batch in an average, above 0 and at most 1, got {share}")


def sine_of(cosine: Tensor) -> Tensor:
    """Return the sine of angles from 0 to pi, with a finite slope everywhere."""
    return (1 - cosine.square()).clamp(min=_SMALLEST).sqrt()


def add_angle(cosine: Tensor, margin: Tensor) -> Tensor:
    """Return cos(theta + margin), for margins from 0 to below pi / 2.

    If theta + margin exceeds pi, where the cosine would rise again, cos(theta) - margin * sin(margin) is used instead,
    so that the logit keeps falling.
    """
    cos_margin, sin_margin = margin.cos(), margin.sin()
    shifted = cosine * cos_margin - sine_of(cosine) * sin_margin
    return torch.where(cosine < -cos_margin, cosine - margin * sin_margin, shifted)


def falling_cosine(angle: Tensor) -> Tensor:
    """Return the cosine of angles of at least 0, which keeps falling past pi: (-1)^k cos(angle) - 2k, where k is the
    number of times that pi is in the angle (Liu et al., "SphereFace", arXiv 1704.08063, below equation 7)."""
    times = (angle.detach() / math.pi).floor()
    return (1 - 2 * times.remainder(2)) * angle.cos() - 2 * times


def of_all_devices(values: Tensor) -> Tensor:
    """Return the ``values`` ``(B, 1)`` of all devices of the run, without gradient; each device has as many."""
    values = values.detach()
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return values
    gathered = [torch.empty_like(values) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(gathered, values.contiguous())
    return torch.cat(gathered)
