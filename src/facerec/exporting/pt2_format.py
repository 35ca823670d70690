"""The pt2 format: compiled by PyTorch's AOTInductor for this kind of processor, run from C++ or Python."""

import shutil
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch._inductor import aoti_compile_and_package, aoti_load_package

from facerec.errors import InputError
from facerec.exporting.formats import Model
from facerec.files import check_zip

_LARGEST_BATCH = 4096


def write_pt2(network: nn.Module, pixels: torch.Tensor, metadata: dict[str, str], path: Path) -> None:
    """Compile ``network`` for batches of 1 to 4096 images; ``pixels`` is an example batch of two or more images.

    Raises:
        InputError: there is no C++ compiler.
    """
    if not any(shutil.which(compiler) for compiler in ("g++", "clang++")):
        raise InputError("format=pt2 needs a C++ compiler, found none: install g++, or take format=onnx")
    batch = ({0: torch.export.Dim("batch", min=1, max=_LARGEST_BATCH)},)
    # Freezing makes the weights constants, which convolutions store in the order in which they read them.
    options = {"freezing": True, "aot_inductor.metadata": metadata}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.export.export(network, (pixels,), dynamic_shapes=batch)
        content = BytesIO()  # PyTorch's own writer of files aborts the process when the disk is full
        aoti_compile_and_package(program, package_path=content, inductor_configs=options)
    path.write_bytes(content.getbuffer())


def read_pt2(path: Path) -> Model:
    """Read a pt2 package; errors of PyTorch are passed on, and `BadZipFile` for a damaged one."""
    check_zip(path, compressed=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = aoti_load_package(str(path))

    @torch.inference_mode()
    def embed(pixels: np.ndarray) -> np.ndarray:
        return package(torch.from_numpy(pixels)).numpy()

    return Model(package.get_metadata(), embed)
