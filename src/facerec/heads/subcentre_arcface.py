"""Sub-centre ArcFace: several centres for each identity, so that wrong labels do not pull at the main one."""

from torch import Tensor

from facerec.checks import check_counts
from facerec.heads.arcface import ArcFace


class SubCentreArcFace(ArcFace):
    """The cosine to an identity is the largest of those to its K centres; the target class's becomes
    cos(theta + margin), as in `ArcFace`, also past pi.

    Deng et al., "Sub-center ArcFace: Boosting Face Recognition by Large-scale Noisy Web Faces", ECCV 2020, section 3.2:
    theta = arccos(max over k of the cosine to centre k). ``weight`` is ``(N, K, D)``. The dominant centre of an
    identity is the one that most of its images are nearest to; ``facerec check_data subcentre_checkpoint=FILE`` finds
    the images that are far from it.

    Args:
        margin: in radians.
        num_centres: K.
    """

    def __init__(
        self,
        num_identities: int,
        embedding_dim: int = 512,
        margin: float = 0.5,
        scale: float = 64.0,
        num_centres: int = 3,
        shard: bool = False,
        sample: float = 1.0,
    ) -> None:
        check_counts(num_centres=num_centres)
        self.num_centres = num_centres
        super().__init__(num_identities, embedding_dim, margin, scale, shard, sample)

    def shape_of_centres(self, num_identities: int, embedding_dim: int) -> tuple[int, ...]:
        return num_identities, self.num_centres, embedding_dim

    def cosines(self, directions: Tensor, centres: Tensor) -> Tensor:
        return super().cosines(directions, centres.flatten(0, 1)).unflatten(1, centres.shape[:2]).max(2).values
