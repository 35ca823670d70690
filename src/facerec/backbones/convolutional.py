"""What the convolutional backbones have in common: a part that makes a map, and layers from the map to an embedding."""

from torch import Tensor, nn

from facerec.backbones.parts import check_images
from facerec.backbones.pooling import embedding_layers
from facerec.backbones.spatial_transformer import alignment
from facerec.kernels.made_again import making_maps_again
from facerec.operators.base import Size


class ConvolutionalBackbone(nn.Module):
    """The base of the convolutional backbones: float images ``(B, 3, H, W)`` to embeddings ``(B, embedding_dim)``.

    A subclass sets ``image_size``, (height, width), builds its layers and calls `assemble` with them.
    """

    image_size: Size
    embedding_dim: int

    def assemble(
        self, features: nn.Module, channels: int, map_size: Size, embedding_dim: int, align: str | None, pooling: str
    ) -> None:
        """Put ``features``, images to maps ``(B, channels, *map_size)``, between alignment and embedding.

        The other arguments, and what is refused, are those of `alignment` and `embedding_layers`.
        """
        # Drawn before the alignment, so that a seed gives the same network with and without one.
        embed = embedding_layers(channels, map_size, embedding_dim, pooling)
        self.align = alignment(align, self.image_size)
        self.features, self.embed = features, embed
        self.embedding_dim = embedding_dim

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images to embeddings, which are not of unit length."""
        check_images(images, self.image_size)
        with making_maps_again():
            return self.embed(self.features(self.align(images)))
