"""Shards that cannot be used: one sentence each, and nothing in them is run."""

import hashlib
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from says import refuses

from facerec.data.shards.sharded_source import open_faces, open_sharded_benchmark
from facerec.data.shards.storage import Folder, open_storage
from facerec.errors import InputError


def opened(folder: Path):
    return open_faces(Folder(folder), None)


def change(folder: Path, **changes) -> None:
    path = folder / "shards.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def change_file(folder: Path, **changes) -> None:
    """Change what is said about the third shard."""
    shards = json.loads((folder / "shards.json").read_text())["shards"]
    shards[2] |= changes
    change(folder, shards=shards)


def write_index(folder: Path, **changes) -> None:
    """Change arrays of the index, and say the right digest."""
    path = folder / "index.npz"
    with np.load(path) as arrays:
        changed = dict(arrays) | changes
    np.savez(path, **{name: array for name, array in changed.items() if array is not None})
    content = path.read_bytes()
    change(folder, index={"file": path.name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()})


@pytest.mark.parametrize(
    "name", ["../odd/00000.tar", "/etc/passwd", "a/b.tar", "..", ".tar", "", "a\nb", "a\0b", "C:x", 3]
)
def test_a_name_that_leads_out_is_refused(shards, name):
    change_file(shards / "train", file=name)
    with refuses(str(shards / "train/shards.json"), "write the shards again", error=InputError):
        opened(shards / "train")


def test_another_version_is_named_with_this_one(shards):
    change(shards / "train", version=2)
    with refuses(str(shards / "train/shards.json"), "version 2", "version 1", "again", error=InputError):
        opened(shards / "train")


DAMAGES = [
    *({"format": "tar"}, {"format": None}, {"shards": []}, {"shards": None}, {"shards": [1]}, {"index": {}}),
    *(
        {"fingerprint": 3},
        {"fingerprint": "../../x"},
        {"index": {"file": "index.npz", "bytes": -1, "sha256": "0" * 64}},
    ),
    {"index": {"file": "index.npz", "bytes": 4243, "sha256": "0" * 64, "more": 1}},
]


@pytest.mark.parametrize("damage", DAMAGES, ids=str)
def test_another_content_of_the_manifest_is_refused(shards, damage):
    change(shards / "train", **damage)
    with refuses(str(shards / "train"), "write the shards again", error=InputError):
        opened(shards / "train")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"format": "facerec shards"}'])
def test_another_text_than_the_manifest_is_refused(shards, text):
    (shards / "train/shards.json").write_bytes(text)
    with refuses(str(shards / "train/shards.json"), "write the shards again", error=InputError):
        opened(shards / "train")


def test_a_missing_and_a_cut_off_shard_are_named_before_training(shards):
    path = shards / "train/00005.tar"
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with refuses(str(path), f"{len(content) - 1} bytes", str(len(content)), "copy", error=InputError):
        opened(shards / "train")
    path.unlink()
    with refuses(str(path), "missing", "copy", error=InputError):
        opened(shards / "train")
    os.mkfifo(path)
    with refuses(str(path), "missing", error=InputError):
        opened(shards / "train")


def test_a_set_that_is_not_there_is_named(shards):
    (shards / "odd/index.npz").unlink()
    (shards / "train/shards.json").unlink()
    with refuses(str(shards / "odd/index.npz"), "missing", error=InputError):
        open_sharded_benchmark(Folder(shards / "odd"), "odd", None)
    for name in ("train", "none"):
        with refuses(str(shards / name / "shards.json"), "No such file", "there", error=InputError):
            opened(shards / name)


def test_a_training_set_is_no_benchmark_and_a_benchmark_no_training_set(shards):
    with refuses(str(shards / "odd"), "benchmark", "data.root", error=InputError):
        opened(shards / "odd")
    with refuses(str(shards / "train"), "training set", "train", "data.benchmarks", error=InputError):
        open_sharded_benchmark(Folder(shards / "train"), "train", None)


def test_another_image_in_its_place_is_refused_when_it_is_read(shards):
    faces = opened(shards / "train")
    path = shards / "train" / f"{faces.shards[7]:05}.tar"
    content = bytearray(path.read_bytes())
    image = faces.encoded(7)
    content[content.index(image) + len(image) // 2] ^= 1
    path.write_bytes(content)
    with refuses(faces.name(7), str(path), "copy", error=InputError):
        faces.load(7)
    others = np.flatnonzero(faces.shards != faces.shards[7])
    assert faces.load(int(others[0])).shape == (32, 32, 3)
    path.write_bytes(content[:100])
    with refuses(faces.name(7), str(path), error=InputError):
        faces.load(7)
    path.unlink()
    with refuses(str(path), "there", error=InputError):
        faces.load(7)


def test_an_index_of_another_digest_is_refused(shards):
    path = shards / "train/index.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with refuses(str(path), "SHA-256", "shards.json", "copy", error=InputError):
        opened(shards / "train")


def test_nothing_that_an_index_names_is_run(shards, tmp_path):
    class Command:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "run"),)

    objects = np.empty(32, object)
    objects[:] = [Command()] * 32
    write_index(shards / "train", start=objects)
    with refuses(str(shards / "train/index.npz"), "write the shards again", error=InputError):
        opened(shards / "train")
    path = shards / "train/index.npz"
    path.write_bytes(pickle.dumps(Command()))
    content = path.read_bytes()
    named = {"file": path.name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    change(shards / "train", index=named)
    with refuses(str(path), "write the shards again", error=InputError):
        opened(shards / "train")
    assert not (tmp_path / "run").exists()


MISFITS = {
    "a shard too many": {"shard": np.full(32, 8)},
    "a shard before the first": {"shard": np.full(32, -1)},
    "another number of images": {"length": np.zeros(31, np.int64)},
    "a start before the shard": {"start": np.full(32, -1)},
    "an end behind the shard": {"length": np.full(32, 10**6)},
    "an end beyond all numbers": {"start": np.full(32, 2**63 - 1), "length": np.full(32, 2**63 - 1)},
    "names without an end": {"names": np.full(64, 65, np.uint8)},
    "a name too few": {"names": np.zeros(31, np.uint8)},
    "an identity too many": {"labels": np.full(32, 4)},
    "an identity without images": {"labels": np.zeros(32, np.int64)},
    "no identity": {"people": np.empty(0, np.uint8)},
    "floats": {"start": np.zeros(32)},
    "a table": {"start": np.zeros((32, 1), np.int64)},
    "no starts": {"start": None},
    "no image": {name: np.empty(0, np.int64) for name in ("shard", "start", "length", "check", "labels")},
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_an_index_that_does_not_fit_the_shards_is_refused(shards, misfit):
    write_index(shards / "train", **MISFITS[misfit])
    with refuses(str(shards / "train/index.npz"), "write the shards again", error=InputError):
        opened(shards / "train")


@pytest.mark.parametrize(
    "pairs", [{"left": np.full(20, 13)}, {"right": np.full(20, -1)}, {"left": np.zeros(3, np.int64)}], ids=str
)
def test_pairs_of_images_that_are_not_there_are_refused(shards, pairs):
    write_index(shards / "odd", **pairs)
    with refuses(str(shards / "odd/index.npz"), "write the shards again", error=InputError):
        open_sharded_benchmark(Folder(shards / "odd"), "odd", None)


@pytest.mark.parametrize(
    "address", ["gs://faces", "http://127.0.0.1/faces", "reference://x", "simplecache::s3://x", "pipe:ls://"]
)
def test_no_other_address_is_opened(address):
    with refuses(address, "s3://", error=InputError):
        open_storage(address)


def test_an_address_names_a_bucket():
    with refuses("s3:///faces", "bucket", error=InputError):
        open_storage("s3:///faces")
