"""A bounded cache of shards on the local disk, which all processes of a machine share."""

from contextlib import suppress
from pathlib import Path

from facerec.data.cache import alone
from facerec.data.shards.shard_index import StoredFile
from facerec.data.shards.storage import Storage
from facerec.files import remove_leftovers, replacing

_REMEDY = "free space, lower data.shard_cache_gb or set data.shard_cache to another folder"
_PATTERN = "shard-*"


class ShardCache:
    """Copies of shards in ``folder``, up to ``limit`` bytes; those that were asked for the longest ago go first.

    A copy is named after its SHA-256, which was compared when it was fetched: it is that of any run and any set.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit
        for partial in folder.glob(f".partial.*.{_PATTERN}"):  # of killed processes
            remove_leftovers(folder / partial.name.split(".", 3)[3])

    def path(self, file: StoredFile) -> Path:
        """Return where the copy of ``file`` is, or would be."""
        return self.folder / f"shard-{file.sha256}"

    def fetch(self, storage: Storage, file: StoredFile) -> Path:
        """Return the path of a copy of ``file``, which is fetched if there is none.

        One of several processes fetches it while the others wait. It is never incomplete under its name. Raises
        `InputError` if the storage does not give it, if it has another digest, and if the disk is full.
        """
        path = self.path(file)
        if not self._is_there(path, file):
            with alone(path, "", _REMEDY):
                if not self._is_there(path, file):
                    self._make_room(file.bytes)
                    with replacing(path, _REMEDY) as partial:
                        storage.fetch(file.file, partial)
                        file.refuse_other_content(partial, storage.where(file.file))
        return path

    def _is_there(self, path: Path, file: StoredFile) -> bool:
        with suppress(OSError):
            if path.stat().st_size == file.bytes:
                path.touch()  # asked for now
                return True
        return False

    def _make_room(self, needed: int) -> None:
        found = []
        for path in self.folder.glob(_PATTERN):
            with suppress(OSError):  # another process made room
                found.append((path.stat().st_mtime_ns, path.stat().st_size, path))
        excess = sum(size for _, size, _ in found) + needed - self.limit
        for _, size, path in sorted(found):
            if excess <= 0:
                break
            with suppress(OSError):
                path.unlink()
            excess -= size
