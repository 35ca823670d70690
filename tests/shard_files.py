"""Shards of the faces of `image_files`, in a folder or in a bucket of a server in this process."""

from pathlib import Path

from facerec.data.modules import read_benchmark
from facerec.data.readers.folders import read_identity_folders
from facerec.data.shards.shard_writer import write_faces, write_sharded_benchmark


def write_shards(root: Path, out: Path, *benchmarks: str, images_per_shard: int = 4) -> None:
    """Write ``root/train`` and the benchmarks into shards in ``out``."""
    write_faces(read_identity_folders(root / "train"), out / "train", images_per_shard)
    for name in benchmarks:
        write_sharded_benchmark(read_benchmark(root, name), out / name, images_per_shard)


def upload(folder: Path, root: str) -> None:
    """Copy all files below ``folder`` to ``s3://BUCKET/FOLDER``."""
    from boto3.session import Session

    bucket, _, prefix = root.removeprefix("s3://").partition("/")
    client = Session().client("s3")
    for file in folder.rglob("*"):
        if file.is_file():
            client.upload_file(str(file), bucket, f"{prefix}/{file.relative_to(folder).as_posix()}".lstrip("/"))
