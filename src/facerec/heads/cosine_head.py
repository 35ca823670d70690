"""The contract of margin-softmax heads: cosines to the class centres, a margin, a scale, and the loss.

B images, D embedding dimensions, N identities.
"""

import math
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from facerec.errors import InputError
from facerec.heads.across_devices import (
    device_index,
    embeddings_of_all_devices,
    maximum,
    num_devices,
    of_all_devices,
    rows_of,
    summed,
)
from facerec.heads.drawn_rows import DrawnRows, draw, generator_of

# Of a squared sine. The square root has an infinite slope at 0, where the cosine is +-1.
_SMALLEST = 1e-9


class CosineHead(nn.Module, ABC):
    """The base of the heads: ``forward(embeddings (B, D), labels (B,))`` returns logits ``(B, N)`` in float32.

    Embeddings are as the network gives them: their norms may decide about the margin. The head owns the class centres
    ``weight (N, D)``. After `hold_part`, ``weight`` has the rows of this device's identities alone.

    If ``sample`` is below 1, the loss in training mode is over the identities of the batch and a random fraction of the
    others, as in Partial FC (An et al., arXiv 2203.15565). ``weight`` then has no gradient, and a step must be made
    within `step_on_drawn`. The n-th draw follows from PyTorch's seed at construction and n, which is in the state.

    Args:
        num_identities: N.
        embedding_dim: D.
        scale: the factor before the softmax.
        shard: divide the class centres among the devices of the run.
        sample: fraction of the other identities that a training batch is compared with.

    Raises:
        ValueError: N or the scale is not positive, or the fraction is not above 0 and at most 1; from subclasses, a
            margin is out of its range.
    """

    draws: Tensor

    def __init__(
        self, num_identities: int, embedding_dim: int, scale: float, shard: bool = False, sample: float = 1.0
    ) -> None:
        super().__init__()
        if num_identities < 1:
            raise ValueError(f"num_identities must be at least 1, got {num_identities}")
        if not 0 < scale < math.inf:  # nan is neither
            raise ValueError(f"scale must be a positive number, got {scale}: leave it out for that of the paper")
        if not 0 < sample <= 1:
            raise ValueError(f"sample is a fraction of the identities, above 0 and at most 1, got {sample}: 1 is all")
        self.num_identities, self.scale, self.shard, self.sample = num_identities, scale, shard, sample
        self.is_part, self._first = False, 0
        self._seed, self._drawn = torch.initial_seed(), DrawnRows()
        if sample < 1:
            self.register_buffer("draws", torch.tensor(0))
        self.weight = nn.Parameter(torch.empty(self.shape_of_centres(num_identities, embedding_dim)))
        self.reset_parameters()

    def shape_of_centres(self, num_identities: int, embedding_dim: int) -> tuple[int, ...]:
        return num_identities, embedding_dim

    def reset_parameters(self) -> None:
        """Draw the class centres uniformly from the unit sphere."""
        with torch.no_grad():
            F.normalize(self.weight.normal_(), dim=-1, out=self.weight)

    def hold_part(self) -> None:
        """Keep the class centres of this device's identities, if ``shard`` is true and the run has several devices.

        A second call does nothing.

        Raises:
            InputError: there are fewer identities than devices, or ``sample`` is below 1 and ``shard`` is false.
        """
        if num_devices() == 1 or self.is_part:
            return
        self._refuse_devices(num_devices())
        if self.shard:
            rows = rows_of(self.num_identities, device_index())
            self.weight.data = self.weight.data[rows.start : rows.stop].clone()
            self.is_part, self._first = True, rows.start

    def step_on_drawn(self, optimizer: Optimizer) -> AbstractContextManager[None]:
        """Return a context in which ``optimizer`` makes a step on the class centres that were drawn since the last one.

        Within it ``weight`` is these alone, with their gradient and state; all others stay as they are, and so does
        their state. Without ``sample`` nothing is different.
        """
        return self._drawn.step_on(self.weight, optimizer)

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the scaled cosines, with the margin applied to the column of each image's label.

        Raises:
            InputError: this device holds a part of the class centres.
        """
        if self.is_part:
            raise InputError("head.shard=true leaves no device all logits: call the head's loss, or leave it out")
        # Cosines near 1 need more than the 8 bits of precision of bfloat16.
        with torch.autocast(embeddings.device.type, enabled=False):
            embeddings, labels = embeddings.float(), labels[:, None]
            cosine = self.cosines(F.normalize(embeddings), F.normalize(self.weight.float(), dim=-1))
            target = self.with_margin(cosine.gather(1, labels), embeddings.norm(dim=1, keepdim=True))
            return self.scale * self.others(cosine, target).scatter(1, labels, target)

    def loss(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return what is minimised, the mean over the batch: the cross-entropy, to which a head may add a term."""
        if not self.is_part and (self.sample == 1 or not self.training):
            return F.cross_entropy(self(embeddings, labels), labels)
        # Programs cannot know what is drawn, and do not wait for each other.
        compute: Any = torch.compiler.disable(self._partial_loss)
        return compute(embeddings, labels)

    def of_batch(self, values: Tensor) -> Tensor:
        """Return the ``values`` ``(B, 1)`` of the images that `with_margin` was given, and of those of other devices,
        without gradient."""
        return values.detach() if self.is_part else of_all_devices(values)

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

    def _partial_loss(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the loss over the class centres that are here and drawn, and over those of other devices."""
        with torch.autocast(embeddings.device.type, enabled=False):
            own = slice(0, len(labels))
            embeddings, labels = embeddings.float(), labels[:, None]
            if self.is_part:
                own = slice(device_index() * len(labels), (device_index() + 1) * len(labels))
                embeddings, labels = embeddings_of_all_devices(embeddings), of_all_devices(labels)
            loss = self._cross_entropy(embeddings, labels - self._first)[own].mean()
            if self.is_part and loss.requires_grad:  # the mean over the devices
                loss.register_hook(lambda grad: grad / num_devices())
            return loss

    def _cross_entropy(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropy ``(B, 1)`` over the class centres of all devices, of which this one has some.

        ``labels`` ``(B, 1)`` are rows of ``weight``; those of other devices are out of its range.
        """
        is_here = (labels >= 0) & (labels < len(self.weight))
        centres, column = self._used_centres(labels, is_here)
        cosine = self.cosines(F.normalize(embeddings), F.normalize(centres.float(), dim=-1))
        of_target = torch.where(is_here, cosine.gather(1, column), 0.0)
        if self.is_part:
            of_target = summed(of_target)  # one device has it
        target = self.with_margin(of_target, embeddings.norm(dim=1, keepdim=True))
        others = self.others(cosine, target)
        logits = self.scale * others.scatter(1, column, torch.where(is_here, target, others.gather(1, column)))
        largest = logits.detach().amax(1, keepdim=True)
        largest = maximum(largest) if self.is_part else largest
        total = (logits - largest).exp().sum(1, keepdim=True)
        return (summed(total) if self.is_part else total).log() - (self.scale * target - largest)

    def _used_centres(self, labels: Tensor, is_here: Tensor) -> tuple[Tensor, Tensor]:
        """Return the class centres that a batch is compared with, and for each image the row of its own among them, 0
        if it is not here."""
        if self.sample == 1 or not self.training:
            return self.weight, torch.where(is_here, labels, 0)
        generator = generator_of((self._seed, device_index(), int(self.draws)), labels.device)
        self.draws += 1
        index = draw(len(self.weight), labels[is_here].unique(), self.sample, generator)
        return self._drawn.take(self.weight, index), torch.where(is_here, torch.searchsorted(index, labels), 0)

    def _refuse_devices(self, devices: int) -> None:
        if self.sample < 1 and not self.shard:
            raise InputError(
                f"head.sample={self.sample} on {devices} devices would draw other identities on each: add "
                "head.shard=true, with which each draws from its own"
            )
        if self.shard and self.num_identities < devices:
            raise InputError(
                f"head.shard=true cannot divide {self.num_identities} identities among {devices} devices: leave it out"
            )


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
