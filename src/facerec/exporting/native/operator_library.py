"""Builds the operator library from the C sources of this package, for this machine or another one."""

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from facerec.errors import InputError
from facerec.exporting.native.sources import FLAGS, SOURCES
from facerec.files import replacing

_FOLDER = Path(__file__).parent
_NAME = "libfacerec_ops"
_SUFFIXES = {"linux": ".so", "windows": ".dll", "macos": ".dylib"}
# What zig calls them; the oldest C library that the files need is that of Debian 10.
TARGETS = {
    "linux-aarch64": "aarch64-linux-gnu.2.28",
    "linux-x86_64": "x86_64-linux-gnu.2.28",
    "windows-x86_64": "x86_64-windows-gnu",
    "macos-arm64": "aarch64-macos",
}


def this_machine() -> str:
    """Return the system and the processor of this machine, such as ``linux-x86_64``."""
    system = {"darwin": "macos", "win32": "windows"}.get(sys.platform, "linux")
    return f"{system}-{platform.machine().lower().replace('amd64', 'x86_64')}"


def library_name(target: str | None) -> str:
    """Return the name of the library's file on ``target``, one of `TARGETS`; None: this machine."""
    return _NAME + _SUFFIXES[(target or this_machine()).partition("-")[0]]


def find_compiler(target: str | None) -> list[str]:
    """Return the command of the compiler: ``$CC`` or cc, else ziglang's; for a ``target``, ziglang's.

    Raises `InputError` if there is none.
    """
    own = shlex.split(os.environ.get("CC", "cc"))
    if target is None and own and shutil.which(own[0]):
        return own
    if find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "cc", *(["-target", TARGETS[target]] if target else [])]
    if target is None:
        raise InputError(
            f"no C compiler is found as {' '.join(own) or 'cc'}: install gcc or clang, or pip install ziglang"
        )
    raise InputError(f"target={target} needs a compiler for other machines: pip install ziglang")


def build(path: Path, target: str | None = None) -> None:
    """Write the library to ``path``, whole or not at all.

    Raises `InputError` if there is no compiler, or if it fails, with its first error.
    """
    compiler = find_compiler(target)
    with replacing(path) as partial, TemporaryDirectory() as folder:
        built = Path(folder, library_name(target))  # compilers for Windows put more files beside it
        command = [*compiler, *_arguments(target), "-o", str(built)]
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
        if result.returncode != 0 or not built.is_file():
            raise InputError(
                f"the operator library cannot be built by {' '.join(compiler)} ({_first_error(result.stderr)}): "
                "choose another compiler by the environment variable CC"
            )
        shutil.copyfile(built, partial)


def cached() -> Path:
    """Return the library for this machine, built from the sources of this version unless the user's cache has it."""
    path = _cache() / f"{_NAME}-{_digest()}{Path(library_name(None)).suffix}"
    if not path.is_file():
        build(path)
    return path


def provide(path: Path, target: str | None = None) -> None:
    """Write the library to ``path``, as `build` does, for this machine from the cache."""
    if target is not None:
        return build(path, target)
    with replacing(path) as partial:
        shutil.copyfile(cached(), partial)


def _arguments(target: str | None) -> list[str]:
    system, _, processor = (target or this_machine()).partition("-")
    sources = ("ort.c", *SOURCES.get(processor, SOURCES["aarch64"]))  # the others' vectors are portable
    position = [] if system == "windows" else ["-fPIC"]
    return [*FLAGS, *position, "-shared", *(str(_FOLDER / name) for name in sources)]


def _first_error(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[0] if lines else "it says nothing")


def _cache() -> Path:
    base = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "facerec"


def _digest() -> str:
    """Return what identifies the library: the sources, how they are compiled, and for which machine."""
    digest = hashlib.sha256(repr((FLAGS, SOURCES, this_machine())).encode())
    for file in sorted(path for path in _FOLDER.iterdir() if path.suffix in (".c", ".h")):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:16]
