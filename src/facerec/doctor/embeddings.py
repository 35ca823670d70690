"""Embeddings of all images by a trained network."""

import sys
import tempfile

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import nn
from torch.nn.functional import normalize

from facerec.data.loading import ImageDataset, image_loader, normalise
from facerec.doctor.survey import Part


class Embedder:
    """A trained network, on the GPU where there is one.

    Args:
        network: normalised images ``(B, 3, H, W)`` to embeddings ``(B, D)``.
        image_size: (height, width) that it takes.
    """

    def __init__(self, network: nn.Module, image_size: tuple[int, int]) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = network.eval().to(self.device, memory_format=torch.channels_last)  # pyright: ignore
        self.image_size = image_size

    @torch.inference_mode()
    def embed(self, part: Part, num_workers: int) -> np.ndarray:
        """Embeddings of length 1, float16 ``(N, D)`` in a temporary file, zero where the image is unreadable; with a
        progress bar on standard error."""
        dataset = ImageDataset(part.source, np.arange(len(part)), self.image_size)
        readable = np.flatnonzero(part.features["readable"])
        loader = image_loader(dataset, 256, num_workers, sampler=readable)
        table, console = None, Console(file=sys.stderr)
        for images, numbers in track(loader, f"embedding the {part.title}", console=console):
            embeddings = normalize(self.network(normalise(images.to(self.device))).float()).cpu().numpy()
            if table is None:
                table = _table(len(part), embeddings.shape[1])
            table[numbers.numpy()] = embeddings
        return _table(len(part), 1) if table is None else table


def _table(rows: int, columns: int) -> np.ndarray:
    # A file, since five million embeddings take 5 GB; the operating system removes it with the last use.
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.float16, "w+", shape=(max(rows, 1), columns))[:rows]
