"""Images that are decoded once."""

import os
import pickle
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from counting_source import CountingSource
from noise_images import Noise, assert_same_batches, dataset, files
from says import refuses

from facerec.data import cache as packed
from facerec.data.cache import pack
from facerec.data.loading import PackedDataset, image_loader
from facerec.errors import InputError


class Endless(Noise):
    """The last image never comes."""

    def load(self, index: int) -> np.ndarray:
        if index == len(self) - 1:
            time.sleep(600)
        return super().load(index)


ELSEWHERE = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], str(Path(sys.argv[1]).parent)]
from test_packed import Endless, Noise, dataset, pack
source = eval(sys.argv[2])
pack(dataset(source), Path(sys.argv[3]))
print(source.loads)
"""


def packing_elsewhere(source: str, folder: Path) -> subprocess.Popen[str]:
    """Another process, which prints how often it loaded each image."""
    command = [sys.executable, "-c", ELSEWHERE, str(Path(__file__).parent), source, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("number", [1, 7, 300])  # 256 images are written at once
def test_the_batches_are_those_without_the_cache(tmp_path, number, workers):
    assert_same_batches(pack(dataset(Noise(number)), tmp_path, workers), dataset(Noise(number)))


def test_each_image_is_loaded_once_for_every_epoch_and_run(tmp_path):
    source = Noise(7)
    for _ in range(2):
        images = pack(dataset(source), tmp_path / "new" / "cache")
        for _ in range(2):
            list(image_loader(images, 3, 0))
    assert source.loads == [1] * 7


def test_the_file_is_an_array_of_all_images_and_nothing_else_is_left(tmp_path):
    images = pack(dataset(), tmp_path)
    expected, _ = dataset().__getitems__(range(7))
    np.testing.assert_array_equal(np.load(images.path), expected)
    name = f"images-{dataset().fingerprint()}"
    assert files(tmp_path) == [f"{name}.json", f"{name}.npy"]  # the checksum, and the array


def test_changed_images_are_decoded_anew(tmp_path):
    pack(dataset(), tmp_path)
    source = Noise(7)
    source.changed = 1
    pack(dataset(source), tmp_path)
    assert source.loads == [1] * 7 and len(files(tmp_path)) == 4


def test_changing_a_batch_changes_nothing_that_is_kept(tmp_path):
    images = pack(dataset(), tmp_path)
    images.__getitems__([2])[0].fill_(77)
    assert_same_batches(images, dataset())


def test_it_travels_as_a_path(tmp_path):
    images = pack(dataset(), tmp_path)
    assert len(pickle.dumps(images)) < 7 * 4 * 6 * 3
    assert_same_batches(pickle.loads(pickle.dumps(images)), dataset())


def test_no_process_is_started_to_gather_what_is_packed(tmp_path):
    loader = image_loader(pack(dataset(), tmp_path), 3, 2, keep_workers=True)
    assert loader.num_workers == 0 and not loader.persistent_workers


class TestAnEndTooEarly:
    @pytest.mark.parametrize("error", [InputError("image 3 is cut off"), KeyboardInterrupt()])
    def test_leaves_no_file(self, tmp_path, monkeypatch, error):
        images = dataset()
        monkeypatch.setattr(packed, "image_loader", self.batches_until(error))
        with pytest.raises(type(error)):
            pack(images, tmp_path)
        assert files(tmp_path) == []
        monkeypatch.undo()
        assert_same_batches(pack(images, tmp_path), dataset())

    def test_of_a_killed_process_is_cleared_away_by_the_next(self, tmp_path):
        with packing_elsewhere("Endless(600)", tmp_path) as process:
            while not list(tmp_path.glob(".partial.*")):
                assert process.poll() is None
                time.sleep(0.01)
            process.kill()
        assert not list(tmp_path.glob("images-*")) and list(tmp_path.glob(".partial.*"))
        assert_same_batches(pack(dataset(Noise(600)), tmp_path), dataset(Noise(600)))
        assert not list(tmp_path.glob(".partial.*"))

    @staticmethod
    def batches_until(error):
        def broken(*arguments, **options):
            yield from list(image_loader(*arguments, **options))[:1]
            raise error

        return broken


def test_random_numbers_do_not_depend_on_whether_the_file_was_there(tmp_path):
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        pack(dataset(), tmp_path)
        states.append(torch.rand(2).tolist())
    assert states[0] == states[1]


def test_a_second_process_waits_for_the_first_and_takes_its_file(tmp_path):
    path = tmp_path / f"images-{dataset().fingerprint()}.npy"
    with packed.alone(path):
        second = packing_elsewhere("Noise(7)", tmp_path)
        assert second.stderr is not None and "another process is decoding the same" in second.stderr.readline()
        packed._write(dataset(), path, 0)
    assert second.communicate(timeout=60)[0].strip() == str([0] * 7)
    assert files(tmp_path) == [path.with_suffix(".json").name, path.name]


def test_who_is_told_to_stop_while_waiting_leaves_the_lock_to_its_owner(tmp_path, monkeypatch):
    path = tmp_path / "images.npy"

    def interrupt(_):
        raise KeyboardInterrupt

    with packed.alone(path):
        monkeypatch.setattr(packed, "log", interrupt)
        with pytest.raises(KeyboardInterrupt), packed.alone(path):
            pytest.fail("two have the lock")
        assert files(tmp_path) == [".lock.images.npy"]


def test_without_locks_two_processes_may_do_the_same_work(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError("Function not implemented")

    monkeypatch.setattr("fcntl.flock", unsupported)
    (tmp_path / f".partial.1.images-{dataset().fingerprint()}.npy").write_text("of another process")
    assert_same_batches(pack(dataset(), tmp_path), dataset())
    assert len(files(tmp_path)) == 3


class TestRefusals:
    def test_too_little_room(self, tmp_path, monkeypatch):
        monkeypatch.setattr("shutil.disk_usage", lambda _: namedtuple("Usage", "free")(0.2e9))
        monkeypatch.setattr(packed.np, "prod", lambda _: 1.25e9)
        source = Noise(7)
        with refuses(str(tmp_path), "0.2 GB", "1.2", "free space", "data.cache", "null", error=InputError):
            pack(dataset(source), tmp_path)
        assert source.loads == [0] * 7

    def test_a_disk_that_fills_up(self, tmp_path, monkeypatch):
        monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with refuses("images-", ".npy", "No space left on device", "free sp", error=InputError):
            pack(dataset(), tmp_path)
        assert not files(tmp_path)

    def test_a_folder_that_is_a_file(self, tmp_path):
        (tmp_path / "cache").touch()
        with refuses("File exists", "data.cache", error=InputError):
            pack(dataset(), tmp_path / "cache")


class TestDamage:
    """What was changed is noticed when it is opened, and decoded again."""

    @staticmethod
    def changed(path: Path, change) -> None:
        content = bytearray(path.read_bytes())
        change(content)
        path.write_bytes(content)
        os.utime(path, ns=(0, 0))

    def opened_again(self, tmp_path, change) -> CountingSource:
        self.changed(pack(dataset(), tmp_path).path, change)
        source = Noise(7)
        assert_same_batches(pack(dataset(source), tmp_path), dataset())
        return source

    @pytest.mark.parametrize("place", [0, 9, 60, 128, 300, -1])
    def test_of_a_byte(self, tmp_path, capsys, place):
        def flip(content):
            content[place] ^= 1

        assert self.opened_again(tmp_path, flip).loads == [1] * 7
        assert "damaged" in capsys.readouterr().err

    @pytest.mark.parametrize("kept", [0, 10, 200])
    def test_of_the_end(self, tmp_path, kept):
        def cut(content):
            del content[kept:]

        assert self.opened_again(tmp_path, cut).loads == [1] * 7

    @pytest.mark.parametrize("array", [np.zeros((5, 4, 6, 3), np.uint8), np.zeros((7, 4, 6, 3), np.float32)])
    def test_of_the_kind(self, tmp_path, array):
        path = pack(dataset(), tmp_path).path
        np.save(path, array)
        assert_same_batches(pack(dataset(), tmp_path), dataset())

    @pytest.mark.parametrize("text", [None, "", "[]", '{"crc32": 0}'])
    def test_of_the_checksum(self, tmp_path, text):
        path = pack(dataset(), tmp_path).path.with_suffix(".json")
        path.unlink() if text is None else path.write_text(text)
        source = Noise(7)
        assert_same_batches(pack(dataset(source), tmp_path), dataset())
        assert source.loads == [1] * 7

    def test_a_copied_file_is_compared_once(self, tmp_path, monkeypatch):
        assert self.opened_again(tmp_path, lambda content: None).loads == [0] * 7
        monkeypatch.setattr(packed, "checksum", lambda _: pytest.fail("compared again"))
        pack(dataset(), tmp_path)

    def test_that_is_met_in_use_is_named(self, tmp_path):
        images = pack(dataset(), tmp_path)
        images.__getitems__([0, 6])
        os.truncate(images.path, 300)
        with refuses(str(images.path), "cut off", "300 of 632 bytes", "delete", error=InputError):
            images.__getitems__([0, 6])

    def test_a_deleted_file_stays_readable(self, tmp_path):
        images = pack(dataset(), tmp_path)
        images.__getitems__([0])
        images.path.unlink()
        assert_same_batches(images, dataset())

    @pytest.mark.parametrize(
        "array", [np.zeros((10, 4, 6, 3), np.uint8), np.zeros((12, 4, 6, 3)), np.zeros(12, np.uint8)]
    )
    def test_an_array_that_does_not_fit_is_not_served(self, tmp_path, array):
        np.save(tmp_path / "c.npy", array)
        with refuses(
            str(tmp_path / "c.npy"), array.dtype.name, str(len(array)), "uint8 12x", "delete", error=InputError
        ):
            PackedDataset(tmp_path / "c.npy", np.arange(12)).__getitems__(range(12))
