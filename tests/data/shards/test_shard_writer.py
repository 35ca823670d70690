"""What is written: the images as they are, everything that the source knows of them, and nothing by half."""

import errno
import hashlib
import json
import tarfile
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from image_files import encode
from recordio_writer import flat, png, write_records
from says import refuses
from shard_files import write_shards

from facerec.data.modules import read_benchmark
from facerec.data.readers.folders import FolderImages, read_identity_folders
from facerec.data.readers.insightface import InsightFaceRecords
from facerec.data.readers.train_lists import read_train_list
from facerec.data.shards.shard_writer import write_faces, write_sharded_benchmark
from facerec.data.shards.sharded_source import open_faces, open_sharded_benchmark
from facerec.data.shards.storage import Folder
from facerec.data.source import EncodedSource, LabelledSource
from facerec.data.synthetic.synthetic_faces import SyntheticFaces, synthetic_benchmark
from facerec.errors import InputError


def a_list(root: Path) -> LabelledSource:
    (root / "list.txt").write_text("train/1/3.png\tb c\ntrain/0/2.png\ta\ntrain/1/0.png\tb c\n")
    return read_train_list(root, "list.txt")


def an_archive(root: Path) -> LabelledSource:
    write_records(root / "train.rec", flat([5.0, 8.0, 5.0, 9.0], [png(number) for number in range(4)]))
    return InsightFaceRecords(root)


SOURCES = {
    "folder": lambda root: read_identity_folders(root / "train"),
    "list": a_list,
    "archive": an_archive,
    "painted": lambda root: SyntheticFaces(3, 2, image_size=32),
}


@pytest.fixture
def root(noise, tmp_path) -> Path:
    (tmp_path / "root").mkdir()
    for name in ("train", "odd"):
        (tmp_path / "root" / name).symlink_to(noise / name)
    return tmp_path / "root"


@pytest.mark.parametrize("kind", SOURCES)
def test_a_training_set_is_what_it_was(kind, root, tmp_path):
    source = SOURCES[kind](root)
    written = write_faces(source, tmp_path / "out", 3)
    faces = open_faces(Folder(tmp_path / "out"), None)
    assert (written.images, written.shards) == (len(source), -(-len(source) // 3)) == (len(faces), written.shards)
    assert faces.fingerprint() == source.fingerprint()
    assert (faces.labels == source.labels).all() and faces.num_identities == source.num_identities
    for index in range(len(source)):
        assert faces.name(index) == faces.reference(index) == source.name(index)
        assert (faces.load(index) == source.load(index)).all()
        if isinstance(source, EncodedSource):
            assert faces.encoded(index) == source.encoded(index)
    identities = range(source.num_identities)
    assert [faces.identity_name(i) for i in identities] == [source.identity_name(i) for i in identities]


@pytest.mark.parametrize("kind", ["listed", "painted"])
def test_a_benchmark_is_what_it_was(kind, root, tmp_path):
    benchmark = read_benchmark(root, "odd") if kind == "listed" else synthetic_benchmark("synthetic", 20, 4, 20)
    write_sharded_benchmark(benchmark, tmp_path / "out", 4)
    found = open_sharded_benchmark(Folder(tmp_path / "out"), benchmark.name, None)
    assert found.fingerprint() == benchmark.fingerprint() and found.people == benchmark.people
    assert (found.left == benchmark.left).all() and (found.right == benchmark.right).all()
    assert (found.is_same == benchmark.is_same).all() and found.is_apart is benchmark.is_apart
    assert all((found.images.load(i) == benchmark.images.load(i)).all() for i in range(len(benchmark.images)))


def test_a_shard_is_a_tar_file_of_folders_of_identities_and_a_random_part_of_the_images(shards):
    found = {}
    for path in sorted((shards / "train").glob("*.tar")):
        with tarfile.open(path) as tar:
            found[path.name] = tar.getnames()
    assert len(found) == 8 and all(len(names) == 4 for names in found.values())
    assert sorted(chain.from_iterable(found.values())) == [f"{n // 8:07}/{n:09}.png" for n in range(32)]
    assert all(len({name.split("/")[0] for name in names}) > 1 for names in found.values())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("read", [0, 3, 4, 17, 31])
def test_an_interrupted_call_is_continued_and_leaves_nothing_by_half(read, noise, shards, tmp_path, monkeypatch):
    out, source, seen = tmp_path / "out", read_identity_folders(noise / "train"), []

    def encoded(images: FolderImages, index: int) -> bytes:
        if len(seen) == read:
            raise KeyboardInterrupt
        seen.append(index)
        return real(images, index)

    real = FolderImages.encoded
    with monkeypatch.context() as patched:
        patched.setattr("facerec.data.shards.shard_writer._READ_AT_A_TIME", 1)
        patched.setattr(FolderImages, "encoded", encoded)
        with pytest.raises(KeyboardInterrupt):
            write_faces(source, out, 4)
    left = contents(out)
    assert len(left) == 1 + read // 4 and "shards.json" not in left
    (out / ".partial.999999999.00007.tar").write_bytes(b"of a killed process")
    patched_reads = []
    monkeypatch.setattr(FolderImages, "encoded", lambda *a: patched_reads.append(a[1]) or real(*a))
    write_faces(source, out, 4)
    assert len(patched_reads) == 32 - read // 4 * 4
    assert contents(out) == contents(shards / "train")


def test_what_is_finished_is_not_read_again(noise, shards, monkeypatch):
    monkeypatch.setattr(FolderImages, "encoded", lambda *_: pytest.fail("an image was read"))
    before = contents(shards)
    write_shards(noise, shards, "odd")
    assert contents(shards) == before


def test_other_pairs_of_the_same_images_are_another_benchmark(root, tmp_path):
    benchmark = read_benchmark(root, "odd")
    write_sharded_benchmark(benchmark, tmp_path / "out", 4)
    with refuses(str(tmp_path / "out"), "other images", "empty folder", error=InputError):
        write_sharded_benchmark(replace(benchmark, left=benchmark.right), tmp_path / "out", 4)


def test_workers_write_the_same(noise, shards, tmp_path):
    write_faces(read_identity_folders(noise / "train"), tmp_path / "out", 4, num_workers=2)
    assert contents(tmp_path / "out") == contents(shards / "train")


def test_other_files_are_left_alone(noise, shards, tmp_path):
    source = read_identity_folders(noise / "train")
    before = contents(shards)
    for size in (5, 32):
        with refuses(str(shards / "train"), "other images", "empty folder", error=InputError):
            write_faces(source, shards / "train", size)
    with refuses(str(shards), "not empty", "empty folder", error=InputError):
        write_faces(source, shards, 4)
    with refuses(str(shards / "odd"), "other images", error=InputError):
        write_faces(source, shards / "odd", 4)
    assert contents(shards) == before


def test_a_full_disk_is_said_and_what_is_complete_stays(noise, shards, tmp_path, monkeypatch):
    added = []

    def addfile(tar: tarfile.TarFile, member: tarfile.TarInfo, *arguments) -> None:
        if len(added) == 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        added.append(member)
        real(tar, member, *arguments)

    real, source = tarfile.TarFile.addfile, read_identity_folders(noise / "train")
    with monkeypatch.context() as patched:
        patched.setattr(tarfile.TarFile, "addfile", addfile)
        with refuses(str(tmp_path / "out/00001.tar"), "No space left", "free space", error=InputError):
            write_faces(source, tmp_path / "out", 4)
    assert sorted(contents(tmp_path / "out")) == [".written_from", "00000.tar"]
    write_faces(source, tmp_path / "out", 4)
    assert contents(tmp_path / "out") == contents(shards / "train")


def test_a_shard_that_a_power_failure_damaged_is_named(noise, shards):
    (shards / "train/shards.json").unlink()
    path = shards / "train/00002.tar"
    path.write_bytes(path.read_bytes()[:1000])
    source = read_identity_folders(noise / "train")
    with refuses(str(path), "damaged", "remove", "run", error=InputError):
        write_faces(source, shards / "train", 4)
    path.unlink()
    write_faces(source, shards / "train", 4)
    faces = open_faces(Folder(shards / "train"), None)
    assert all(faces.encoded(index) == source.encoded(index) for index in range(32))


def test_the_index_says_the_digests_of_all_files(shards):
    manifest = json.loads((shards / "train/shards.json").read_text())
    files = [manifest["index"], *manifest["shards"]]
    assert len(files) == 9 and manifest["version"] == 1
    for file in files:
        content = (shards / "train" / file["file"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file["bytes"], file["sha256"])


def test_an_image_of_every_format_keeps_its_bytes_and_a_damaged_one_too(tmp_path):
    rng = np.random.default_rng(0)
    images = {
        f"0.{kind}": encode(rng.integers(0, 256, (9, 7, 3)).astype(np.uint8), f".{kind}")
        for kind in ("jpg", "bmp", "webp")
    }
    images |= {"1.png": b"", "2.png": b"no image"}
    for name, content in images.items():
        (tmp_path / "train/ann").mkdir(parents=True, exist_ok=True)
        (tmp_path / "train/ann" / name).write_bytes(content)
    source = read_identity_folders(tmp_path / "train")
    write_faces(source, tmp_path / "out", 9)
    faces = open_faces(Folder(tmp_path / "out"), None)
    assert [faces.encoded(i) for i in range(5)] == [source.encoded(i) for i in range(5)]
    for index in (3, 4):
        with refuses(faces.name(index), "00000.tar", "image", error=InputError):
            faces.load(index)
