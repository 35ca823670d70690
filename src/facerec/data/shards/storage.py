"""Where shards are: in a folder, or in a bucket of an object storage that speaks S3."""

import os
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from facerec.errors import InputError
from facerec.files import is_remote

_WAIT = 20  # seconds for a connection, and for each answer
_TRIES = 4
_REMEDY = "see that it is there and may be read; a run that it ended goes on with resume=auto"


class Storage(Protocol):
    """Files below one root. It can be pickled, and forked processes may use it.

    Each method raises `InputError` for a file that is missing or may not be read, and for a storage that does not
    answer.
    """

    @abstractmethod
    def where(self, name: str = "") -> str:
        """Return the path or the address of file ``name``, or of the root."""

    @abstractmethod
    def sizes(self) -> dict[str, int]:
        """Return the sizes of all files in bytes, by name."""

    @abstractmethod
    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Return ``length`` bytes of a file from ``start`` on, fewer if it ends before; None: all."""

    @abstractmethod
    def fetch(self, name: str, path: Path) -> None:
        """Copy file ``name`` to ``path``."""


def open_storage(root: str) -> "Folder | Bucket":
    """Return the files in ``root``, a folder or ``s3://BUCKET/FOLDER``."""
    if root.startswith("s3://"):
        return Bucket(root)
    if is_remote(root):
        raise InputError(f"data.root={root} is no address that is read: give a folder or s3://BUCKET/FOLDER")
    return Folder(root)


class Folder(Storage):
    """The files in a folder."""

    def __init__(self, root: str | Path) -> None:
        self.root = str(root)

    def where(self, name: str = "") -> str:
        return os.path.join(self.root, name) if name else self.root

    def sizes(self) -> dict[str, int]:
        try:
            with os.scandir(self.root) as entries:
                return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
        except OSError as error:
            raise self._refusal("", error) from error

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        try:
            return read_part(self.where(name), start, length)
        except OSError as error:
            raise self._refusal(name, error) from error

    def fetch(self, name: str, path: Path) -> None:
        path.write_bytes(self.read(name))

    def _refusal(self, name: str, error: OSError) -> InputError:
        return InputError(f"{self.where(name)} cannot be read ({error.strerror or error}): {_REMEDY}")


def read_part(path: str | Path, start: int = 0, length: int | None = None) -> bytes:
    """Return ``length`` bytes of ``path`` from ``start`` on, fewer if it ends before; None: all."""
    with open(path, "rb", buffering=0) as file:
        file.seek(start)
        return file.read() if length is None else file.read(length)


class Bucket(Storage):
    """The objects of ``s3://BUCKET/FOLDER``.

    Address and credentials of the storage are those that Amazon's own programs use: ``AWS_ENDPOINT_URL``,
    ``AWS_PROFILE`` and so on, or their files in the home folder; the configuration of a run has none of them.
    """

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        self._bucket, _, folder = self.root.removeprefix("s3://").partition("/")
        self._prefix = f"{folder}/" if folder else ""
        self._made: tuple[int, Any] | None = None  # process and client: a forked process cannot use its parent's
        if not self._bucket:
            raise InputError(f"data.root={root} names no bucket: write s3://BUCKET/FOLDER")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_made": None}

    def where(self, name: str = "") -> str:
        return f"{self.root}/{name}".rstrip("/")

    def sizes(self) -> dict[str, int]:
        with self._naming(""):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
            found = (item for page in pages for item in page.get("Contents", ()))
            return {item["Key"].removeprefix(self._prefix): item["Size"] for item in found}

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        if length == 0:
            return b""
        part = {} if length is None else {"Range": f"bytes={start}-{start + length - 1}"}
        with self._naming(name):
            return self._client.get_object(Bucket=self._bucket, Key=self._prefix + name, **part)["Body"].read()

    def fetch(self, name: str, path: Path) -> None:
        with self._naming(name):
            self._client.download_file(self._bucket, self._prefix + name, str(path))

    @property
    def _client(self) -> Any:
        if self._made is None or self._made[0] != os.getpid():
            self._made = os.getpid(), _new_client()
        return self._made[1]

    @contextmanager
    def _naming(self, name: str) -> Iterator[None]:
        errors = _errors()
        try:
            yield
        except errors as error:
            raise InputError(f"{self.where(name)} cannot be read ({error}): {_REMEDY}") from error


def _errors() -> tuple[type[Exception], ...]:
    """Return what reading from S3 may raise."""
    try:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        extra = "add it with pip install -e '.[streaming]' in a checkout of facerec"
        raise InputError(f"data in an object storage needs the package {error.name}: {extra}") from error
    return Boto3Error, BotoCoreError, ClientError


def _new_client() -> Any:
    from boto3.session import Session
    from botocore.config import Config

    retries: Any = {"max_attempts": _TRIES, "mode": "standard"}
    config = Config(connect_timeout=_WAIT, read_timeout=_WAIT, retries=retries)
    return Session().client("s3", config=config)  # a session of its own, since threads cannot share one
