"""Gives ONNX Runtime the operators that an ONNX file needs.

A model file is data, a library is code. The one beside a file is never loaded by itself: the operators come from a
library that is built from the sources of this package, or from a file that the user names.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import onnxruntime

from facerec.errors import InputError
from facerec.exporting.native.operator_library import cached
from facerec.exporting.native.packing import VERSION
from facerec.files import refuse_no_regular_file

_NAMED = b"\n\x07facerec"  # how a file that needs the domain names it


def load_operators(
    options: onnxruntime.SessionOptions, content: bytes, path: Path, library: Path | None = None
) -> None:
    """Register the operator library with ``options`` if the file ``content`` needs it.

    Args:
        path: of the file, for messages.
        library: the library to load; None: the one of this version's sources, built if it is not in the cache.

    Raises:
        InputError: a library that is missing or is none for this machine, or a file of another layout.
    """
    layouts = _layouts(content)
    if layouts is None:
        if library is not None:
            raise InputError(
                f"library={library} has no effect on {path}, which has no operators of facerec: leave it out"
            )
        return
    if library is None and layouts != {VERSION}:
        found = ", ".join(map(str, sorted(layouts)))
        raise InputError(
            f"model {path} has weights of layout {found} and this version of facerec reads {VERSION}: export it again, "
            "or name the library that was written with it by library=FILE"
        )
    _register(options, cached() if library is None else library)


def _layouts(content: bytes) -> set[int] | None:
    """Return the layouts of the packed weights, or None if no operator is facerec's."""
    if _NAMED not in content:
        return None
    nodes = [node for node in onnx.load_model_from_string(content).graph.node if node.domain == "facerec"]
    attributes = (attribute for node in nodes for attribute in node.attribute)
    return {attribute.i for attribute in attributes if attribute.name == "version"} if nodes else None


def _register(options: onnxruntime.SessionOptions, library: Path) -> None:
    refuse_no_regular_file(library)
    if not library.is_file():
        raise InputError(f"library {library} does not exist: check the path, or leave library= out to have it built")
    try:
        options.register_custom_ops_library(str(library.absolute()))  # a bare name is looked for elsewhere
    except Exception as error:
        said = str(error).strip().splitlines()[0]
        if found := _own_words(said):
            raise InputError(found) from error
        reason = said.rpartition("with error: ")[2]
        raise InputError(
            f"library {library} cannot be loaded on this machine ({reason}): leave library= out to have it built"
        ) from error


@contextmanager
def saying_what_is_wrong(path: Path) -> Iterator[None]:
    """Turn an error of facerec's operators into an `InputError` that names the file ``path``; others are passed on."""
    try:
        yield
    except Exception as error:
        if found := _own_words(str(error)):
            raise InputError(f"model {path}: {found}") from error
        raise


def _own_words(message: str) -> str | None:
    """Return what ``ort.c`` says in a message of the runtime, which puts names and numbers before it."""
    found = re.search(r"facerec: ([^\n]+)", message)
    return None if found is None else found[1]
