"""Shards in an object storage: moto's S3 server on the loopback interface."""

import sys
import threading
from pathlib import Path

import pytest
from folder_data import ready, trainer
from image_files import write_noise
from says import every, refuses
from shard_files import upload, write_shards

from facerec.data.modules import FolderData
from facerec.data.shards import storage as storages
from facerec.data.shards.shard_cache import ShardCache
from facerec.data.shards.shard_index import read_manifest
from facerec.data.shards.sharded_source import open_faces
from facerec.data.shards.storage import Bucket, Folder, open_storage
from facerec.data.shards.streaming_data import StreamingData
from facerec.errors import InputError

pytest.importorskip("moto.server")


@pytest.fixture
def stored(shards, bucket) -> str:
    """The address of the shards in a bucket."""
    upload(shards, f"{bucket}/set")
    return f"{bucket}/set"


@pytest.fixture
def cache(tmp_path) -> ShardCache:
    return ShardCache(tmp_path / "cache", 10**9)


@pytest.fixture
def client():
    from boto3.session import Session

    return Session().client("s3")


def place(address: str) -> tuple[str, str]:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    return bucket, key


def module(root: str, **changes) -> StreamingData:
    arguments = {"benchmarks": ["odd"], "image_size": (32, 32), "global_batch_size": 8, "num_workers": 0}
    made = StreamingData(root=root, **{**arguments, **changes})
    made.trainer = trainer()
    return made


def epoch(data, number: int = 0) -> list[tuple[list, list]]:
    data.trainer = trainer(epoch=number)
    return [(images.tolist(), labels.tolist()) for images, labels in data.train_dataloader()]


def test_a_bucket_is_read_as_a_folder_is(shards, stored, tmp_path):
    here, there = Folder(shards / "train"), open_storage(f"{stored}/train")
    assert isinstance(there, Bucket)
    assert there.sizes() == here.sizes() and len(there.sizes()) == 11
    for part in ((), (0, 10), (1000, 50), (7, 0)):
        assert there.read("00003.tar", *part) == here.read("00003.tar", *part)
    for storage in (here, there):
        storage.fetch("00003.tar", tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == (shards / "train/00003.tar").read_bytes()
    assert there.where("00003.tar") == f"{stored}/train/00003.tar"


def test_a_bucket_may_be_the_root_itself(shards, bucket):
    upload(shards / "train", bucket)
    assert open_storage(bucket).sizes() == Folder(shards / "train").sizes()


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_those_of_the_folder_bit_for_bit(noise, stored, tmp_path, workers):
    arguments = {"benchmarks": ["odd"], "image_size": (32, 32), "global_batch_size": 8, "num_workers": 0}
    folder = FolderData(root=str(noise), **arguments)
    folder.trainer = trainer()
    streaming = module(f"{stored}/", shard_cache=str(tmp_path / "cache"), num_workers=workers)
    ready(folder), ready(streaming)
    assert streaming.state_dict() == folder.state_dict()
    assert streaming.opened_benchmarks[0].fingerprint() == folder.opened_benchmarks[0].fingerprint()
    for number in range(2):
        assert epoch(streaming, number) == epoch(folder, number)
    (ours,), (theirs,) = streaming.val_dataloader(), folder.val_dataloader()
    assert every((a[0] == b[0]).all() for a, b in zip(ours, theirs, strict=True))


class TestASmallCache:
    """A cache for seven of the eight shards, of which two are mixed."""

    @pytest.fixture
    def small(self, shards) -> float:
        """Gigabytes."""
        return 7 * (shards / "train/00000.tar").stat().st_size / 1e9

    @pytest.mark.parametrize("workers", [0, 2])
    def test_epochs_are_those_of_a_folder_and_the_cache_stays_small(self, shards, stored, tmp_path, small, workers):
        here = ready(module(str(shards), mixed_shards=2))
        cache = tmp_path / "cache"
        there = ready(module(stored, mixed_shards=2, shard_cache=str(cache), shard_cache_gb=small, num_workers=workers))
        assert not there.open_train().reader.fits
        for number in range(3):
            assert epoch(there, number) == epoch(here, number)
            for thread in threading.enumerate():
                if thread.name == "fetch shards":
                    thread.join(30)
            copies = [path.stat().st_size for path in cache.glob("shard-*")]
            assert sum(copies) <= small * 1e9 and len(copies) > 2

    def test_without_copies_images_are_read_one_by_one(self, stored, tmp_path, small):
        data = ready(module(stored, mixed_shards=2, shard_cache=str(tmp_path / "cache"), shard_cache_gb=small))
        before = set((tmp_path / "cache").glob("shard-*"))
        assert data.train_source.load(9).shape == (32, 32, 3)
        assert set((tmp_path / "cache").glob("shard-*")) == before

    def test_more_than_it_holds_is_refused_before_training(self, stored, tmp_path, small):
        data = module(stored, shard_cache=str(tmp_path), shard_cache_gb=small)
        with refuses("data.mixed_shards=64", "data.shard_cache_gb", "raise", "fewer", error=InputError):
            data.setup("fit")
        data = module(stored, mixed_shards=5, shard_cache=str(tmp_path), shard_cache_gb=small)
        with refuses("data.mixed_shards=5", "data.shard_cache_gb", error=InputError):
            data.setup("fit")
        data = module(stored, mixed_shards=2, shard_cache=str(tmp_path), shard_cache_gb=small, sampling="identities")
        with refuses("data.sampling=identities", "data.shard_cache_gb", "images", error=InputError):
            data.setup("fit")


def test_copies_that_were_asked_for_the_longest_ago_make_room(stored, tmp_path):
    storage = open_storage(f"{stored}/train")
    shards = read_manifest(storage).shards
    cache = ShardCache(tmp_path, 3 * shards[0].bytes)
    for number in (0, 1, 2, 0, 3):
        cache.fetch(storage, shards[number])
    assert [cache.path(shard).exists() for shard in shards[:4]] == [True, False, True, True]


def test_a_damaged_copy_is_fetched_again(shards, stored, cache):
    faces, here = open_faces(open_storage(f"{stored}/train"), cache), open_faces(Folder(shards / "train"), None)
    assert faces.encoded(3) == here.encoded(3)
    copy = cache.path(faces.reader.shards[faces.shards[3]])
    whole = copy.read_bytes()
    for damaged in (bytes(len(whole)), whole[:100]):
        copy.write_bytes(damaged)
        assert faces.encoded(3) == here.encoded(3) and copy.read_bytes() == whole


def test_what_killed_processes_left_is_removed(tmp_path):
    left = tmp_path / ".partial.999999999.shard-abc"
    left.write_bytes(b"half")
    ShardCache(tmp_path, 1)
    assert not left.exists()


def test_a_shard_of_another_digest_is_refused_and_no_copy_is_kept(shards, stored, cache, client):
    content = bytearray((shards / "train/00002.tar").read_bytes())
    content[600] ^= 1
    bucket, key = place(f"{stored}/train/00002.tar")
    client.put_object(Bucket=bucket, Key=key, Body=bytes(content))
    faces = open_faces(open_storage(f"{stored}/train"), cache)
    (index,) = (faces.shards == 2).nonzero()[0][:1]
    before = set(cache.folder.iterdir())
    with refuses(f"{stored}/train/00002.tar", "SHA-256", "copy", error=InputError):
        faces.load(int(index))
    assert set(cache.folder.iterdir()) == before


def test_a_missing_and_a_cut_off_object_are_named(stored, cache, client):
    bucket, key = place(f"{stored}/train/00002.tar")
    client.put_object(Bucket=bucket, Key=key, Body=b"cut off")
    with refuses(f"{stored}/train/00002.tar", "7 bytes", "copy", error=InputError):
        open_faces(open_storage(f"{stored}/train"), cache)
    client.delete_object(Bucket=bucket, Key=key)
    with refuses(f"{stored}/train/00002.tar", "missing", "copy", error=InputError):
        open_faces(open_storage(f"{stored}/train"), cache)


def test_an_object_that_goes_away_is_named_and_the_rest_can_be_read(stored, cache, client):
    faces = open_faces(open_storage(f"{stored}/train"), cache)
    bucket, key = place(f"{stored}/train/00002.tar")
    client.delete_object(Bucket=bucket, Key=key)
    gone, left = (int((faces.shards == shard).nonzero()[0][0]) for shard in (2, 3))
    with refuses(f"{stored}/train/00002.tar", "404", "resume=auto", error=InputError):
        faces.load(gone)
    assert faces.load(left).shape == (32, 32, 3)


def test_what_is_not_there_is_named(bucket, cache):
    for address, reason in ((f"{bucket}/none", "NoSuchKey"), ("s3://no-such-bucket", "NoSuchBucket")):
        with refuses(f"{address}/shards.json", reason, "there", error=InputError):
            open_faces(open_storage(address), cache)


def test_no_network_is_said_at_the_start_and_in_training(stored, cache, monkeypatch):
    faces = open_faces(open_storage(f"{stored}/train"), cache)
    monkeypatch.setattr(storages, "_TRIES", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with refuses(f"{stored}/train/shards.json", "127.0.0.1:1", "resume=auto", error=InputError):
        open_faces(open_storage(f"{stored}/train"), cache)
    faces.reader.storage._made = None
    with refuses(f"{stored}/train/0", "127.0.0.1:1", "resume=auto", error=InputError):
        faces.load(0)


def test_no_credentials_are_said(stored, cache, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with refuses(f"{stored}/train/shards.json", "credentials", error=InputError):
        open_faces(open_storage(f"{stored}/train"), cache)


def test_a_full_disk_is_said_and_nothing_is_left(stored, cache, monkeypatch):
    faces = open_faces(open_storage(f"{stored}/train"), cache)
    before = set(cache.folder.iterdir())

    def fetch(storage: Bucket, name: str, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Bucket, "fetch", fetch)
    with refuses(str(cache.folder), "No space left", "data.shard_cache", error=InputError):
        faces.load(0)
    assert set(cache.folder.iterdir()) == before


def test_a_folder_for_copies_is_needed(stored):
    for none in (None, ""):
        with refuses(f"data.root={stored}", "data.shard_cache", "outputs/cache", error=InputError):
            module(stored, shard_cache=none).setup("fit")


def test_without_the_package_it_is_said_how_to_add_it(stored, cache, monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3.exceptions", None)
    with refuses("boto3", "pip install -e '.[streaming]'", error=InputError):
        open_faces(open_storage(f"{stored}/train"), cache)


def test_held_out_identities_are_those_of_the_folder(bucket, tmp_path):
    write_noise(tmp_path / "faces")
    for person in range(4, 24):
        for number in range(2):
            path = tmp_path / f"faces/train/{person}/{number}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes((tmp_path / f"faces/train/{person % 4}/{number}.png").read_bytes())
    write_shards(tmp_path / "faces", tmp_path / "out")
    upload(tmp_path / "out", bucket)
    options = {"benchmarks": [], "held_out_identities": 20, "image_size": (32, 32), "num_workers": 0}
    options |= {"global_batch_size": 4}
    folder = FolderData(root=str(tmp_path / "faces"), **options)
    folder.trainer = trainer()
    streaming = module(bucket, shard_cache=str(tmp_path / "cache"), **options)
    ready(folder), ready(streaming)
    assert streaming.state_dict() == folder.state_dict() and epoch(streaming) == epoch(folder)
    assert streaming.opened_benchmarks[0].fingerprint() == folder.opened_benchmarks[0].fingerprint()
