"""Reading of .npz files that may be damaged, or somebody else's."""

from pathlib import Path

import numpy as np

from facerec.files import check_zip


def read_whole(path: Path, compressed: bool = False) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file by their names, without running anything in it.

    Raises `OSError` if it cannot be read, and `ValueError` if it is another file, or differs from its check sums.

    Args:
        path: the file.
        compressed: whether its records may be compressed, and thus larger than the file.
    """
    try:
        check_zip(path, compressed)
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except OSError:
        raise
    except Exception as error:  # zipfile and NumPy raise all kinds for a damaged file
        raise ValueError(str(error) or type(error).__name__) from error
