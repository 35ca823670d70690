"""Files of embeddings, .npz: written whole, read without running anything, and of one network only."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from facerec.data.whole_arrays import read_whole
from facerec.errors import InputError
from facerec.files import refuse_no_regular_file, replacing

VERSION = 1
_ELSEWHERE = "name another file"


def write_arrays(path: Path, kind: str, made_by: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write ``arrays`` whole or not at all, with the ``kind`` of the file and what embedded the faces, ``made_by``."""
    about = {"kind": np.array(kind), "version": np.array(VERSION), "made_by": np.array(made_by)}
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **about, **arrays)


def read_arrays(path: Path, kind: str, wanted: Mapping[str, str], made_by: str | None) -> dict[str, np.ndarray]:
    """Read the ``wanted`` arrays, of equal length, whose types are given by NumPy's kinds, and ``made_by``.

    Raises `InputError` if the file is damaged, another one, or ``made_by`` something else, unless that is None.
    """
    refuse_no_regular_file(path)
    try:
        found = read_whole(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}): check the path") from error
    except ValueError as error:
        raise InputError(f"{path} is damaged or no {kind}: {_ELSEWHERE}") from error
    if str(found.get("kind")) != kind or not {*wanted, "made_by"} <= found.keys():
        raise InputError(f"{path} is no {kind} of facerec recognise: {_ELSEWHERE}")
    if made_by not in (None, str(found["made_by"])):
        raise InputError(
            f"{path} was made with {found['made_by']}, not with {made_by}, and embeddings of different models cannot "
            f"be compared: take that one, or {_ELSEWHERE}"
        )
    arrays = {name: found[name] for name in wanted}
    lengths = {array.shape[:1] for array in arrays.values()}
    if len(lengths) > 1 or any(array.dtype.kind not in wanted[name] for name, array in arrays.items()):
        raise InputError(f"{path} is damaged: {_ELSEWHERE}")
    return {**arrays, "made_by": found["made_by"]}
