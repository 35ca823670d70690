"""Embeddings by a teacher: computed once, continued where they broke off, and of the right images."""

import pickle
import time

import numpy as np
import pytest
import torch
from counting_source import CountingSource
from says import every, refuses

from facerec.data import teacher as teachers
from facerec.data import teacher_cache
from facerec.data.loading import ImageDataset, image_loader
from facerec.data.teacher import Images, NetworkTeacher, StoredTeacher, TeacherInput, refuse_other_teacher
from facerec.data.teacher_cache import TaughtImages
from facerec.errors import InputError

TAKEN = TeacherInput((4, 6), "rgb", (127.5,) * 3, (127.5,) * 3)
NUMBER = 11


class Noise(CountingSource):
    def load(self, index: int) -> np.ndarray:
        self.loads[index] += 1
        return np.random.default_rng(index).integers(0, 256, (8, 12, 3)).astype(np.uint8)


class Broken(Exception):
    pass


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    for module in (teachers, teacher_cache):
        monkeypatch.setattr(module, "BLOCK", 3)


def means(pixels: np.ndarray) -> np.ndarray:
    """An embedding of three numbers that tells left from right."""
    return pixels[:, :, :2].astype(np.float64).mean((1, 2)) + np.array([1.0, 0, 0])


def network(embed=means, flip=False, taken=TAKEN, digest="d") -> NetworkTeacher:
    return NetworkTeacher("net.ckpt", digest, "checkpoint", taken, flip, embed)


def images(source) -> Images:
    return Images(source, source.state(), 0)


def by_hand(source, flip: bool) -> np.ndarray:
    rows = []
    for index in range(len(source)):
        pixels, _ = ImageDataset(source, np.arange(len(source)), (4, 6)).__getitems__([index])
        views = [pixels.numpy(), pixels.numpy()[:, :, ::-1]][: 1 + flip]
        ways = [means(view)[0] / np.linalg.norm(means(view)[0]) for view in views]
        rows.append(sum(ways) / np.linalg.norm(sum(ways)))
    return np.array(rows)


@pytest.mark.parametrize("flip", [False, True])
def test_embeddings_have_length_1_and_are_of_the_image_at_the_teachers_size(flip, tmp_path):
    table = network(flip=flip).embeddings(images(Noise(NUMBER)), tmp_path)
    found = table.take(range(NUMBER))
    assert found.dtype == torch.float16
    np.testing.assert_allclose(found.float().numpy(), by_hand(Noise(NUMBER), flip), atol=1e-3)


def test_a_mirrored_embedding_is_another_one():
    assert np.abs(by_hand(Noise(NUMBER), True) - by_hand(Noise(NUMBER), False)).max() > 0.01


def test_they_are_computed_once(tmp_path):
    source = Noise(NUMBER)
    for _ in range(2):
        table = network().embeddings(images(source), tmp_path)
    assert source.loads == [1] * NUMBER
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".json", ".npy"]
    np.testing.assert_array_equal(np.load(table.path), table.take(range(NUMBER)).numpy())


@pytest.mark.parametrize(
    "other",
    [
        {"digest": "e"},
        {"flip": True},
        {"taken": TeacherInput((4, 6), "rgb", (0.0,) * 3, (127.5,) * 3)},
        {"taken": TeacherInput((4, 6), "bgr", (127.5,) * 3, (127.5,) * 3)},
        {"taken": TeacherInput((6, 6), "rgb", (127.5,) * 3, (127.5,) * 3)},
        {"changed": 1},
    ],
    ids=str,
)
def test_another_teacher_or_image_has_other_embeddings(other, tmp_path):
    source = Noise(NUMBER)
    network().embeddings(images(source), tmp_path)
    source.changed = other.pop("changed", 0)
    network(**other).embeddings(images(source), tmp_path)
    assert source.loads == [2] * NUMBER and len(list(tmp_path.glob("teacher-*.npy"))) == 2


class TestAnInterruption:
    @staticmethod
    def until(blocks: int, error: BaseException):
        left = [blocks + 1]  # and one to learn the dimension

        def embed(pixels):
            left[0] -= 1
            if left[0] < 0:
                raise error
            return means(pixels)

        return embed

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), Broken(), OSError(28, "No space left on device")])
    def test_is_gone_on_from(self, error, tmp_path, capsys):
        source, whole = Noise(NUMBER), network().embeddings(images(Noise(NUMBER)), tmp_path / "whole")
        raised = InputError if isinstance(error, OSError) else type(error)
        with pytest.raises(raised):
            network(self.until(2, error)).embeddings(images(source), tmp_path)
        assert not list(tmp_path.glob("teacher-*"))
        deadline = time.monotonic() + 20
        while source.loads != [1] * NUMBER and time.monotonic() < deadline:  # a thread loads the last ones
            time.sleep(0.01)
        before = list(source.loads)
        table = network().embeddings(images(source), tmp_path)
        assert [now - then for now, then in zip(source.loads, before, strict=True)] == [0] * 6 + [1] * (NUMBER - 6)
        assert table.path.read_bytes() == whole.path.read_bytes()
        assert f"6 of {NUMBER}" in capsys.readouterr().err
        assert not list(tmp_path.glob(".begun*")) and not list(tmp_path.glob(".lock*"))

    @pytest.mark.parametrize("damage", ["content", "note", "cut"])
    def test_that_left_damage_is_begun_again(self, damage, tmp_path, capsys):
        source = Noise(NUMBER)
        with pytest.raises(Broken):
            network(self.until(2, Broken())).embeddings(images(source), tmp_path)
        (begun,) = tmp_path.glob(".begun*.npy")
        if damage == "note":
            begun.with_suffix(".json").write_text("{}")
        else:
            content = bytearray(begun.read_bytes())
            content[-5] ^= 1
            begun.write_bytes(content if damage == "content" else content[:-5])
        table = network().embeddings(images(source), tmp_path)
        np.testing.assert_allclose(table.take(range(NUMBER)).float().numpy(), by_hand(source, False), atol=1e-3)
        assert "damaged" in capsys.readouterr().err

    def test_between_the_last_block_and_the_name_costs_nothing(self, tmp_path, monkeypatch):
        source, note = Noise(NUMBER), teacher_cache.note
        monkeypatch.setattr(teacher_cache, "note", lambda *_: (_ for _ in ()).throw(Broken()))
        with pytest.raises(Broken):
            network().embeddings(images(source), tmp_path)
        monkeypatch.setattr(teacher_cache, "note", note)
        table = network().embeddings(images(source), tmp_path)
        assert source.loads == [1] * NUMBER and table.take([NUMBER - 1]).isfinite().all()


def test_a_damaged_file_is_made_again(tmp_path, capsys):
    source = Noise(NUMBER)
    path = network().embeddings(images(source), tmp_path).path
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    network().embeddings(images(source), tmp_path)
    assert path.read_bytes() == content and source.loads == [2] * NUMBER and "damaged" in capsys.readouterr().err


def test_a_file_that_is_cut_off_in_use_is_said(tmp_path):
    table = network().embeddings(images(Noise(NUMBER)), tmp_path)
    table.take([0])
    with table.path.open("r+b") as file:
        file.truncate(100)
    with refuses(str(table.path), "cut off", "delete", error=InputError):
        table.take([0])
    table = pickle.loads(pickle.dumps(table))
    with refuses(str(table.path), "damaged", "delete", error=InputError):
        table.take([0])


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_an_embedding_without_a_direction_names_its_image(value, tmp_path):
    seventh, _ = ImageDataset(Noise(NUMBER), np.arange(NUMBER), (4, 6)).__getitems__([7])

    def embed(pixels):
        found = means(pixels)
        found[(found == means(seventh.numpy())).all(1)] = value
        return found

    with refuses("image 7", "teacher", "normalisation", error=InputError):
        network(embed).embeddings(images(Noise(NUMBER)), tmp_path)
    assert not list(tmp_path.glob("teacher-*"))


def test_a_result_that_is_no_embedding_is_refused():
    with refuses("net.ckpt", "(2, 4, 4)", error=InputError):
        network(lambda pixels: pixels[:, :4, :4, 0])


class TestEmbeddingsOfAFile:
    ROWS = np.random.default_rng(0).normal(size=(NUMBER, 5))

    def teacher(self, fingerprint="abc", rows=ROWS) -> StoredTeacher:
        return StoredTeacher("rows.npz", "d", rows, fingerprint)

    def test_are_taken_as_they_are_with_length_1(self, tmp_path):
        source = Noise(NUMBER)
        table = self.teacher().embeddings(images(source), tmp_path)
        expected = self.ROWS / np.linalg.norm(self.ROWS, axis=1, keepdims=True)
        np.testing.assert_allclose(table.take(range(NUMBER)).float().numpy(), expected, atol=1e-3)
        assert not any(source.loads)

    @pytest.mark.parametrize(("fingerprint", "rows"), [("other", ROWS), ("abc", ROWS[:-1])])
    def test_of_other_images_are_refused(self, fingerprint, rows, tmp_path):
        with refuses("rows.npz", f"{len(rows)} images", fingerprint, "abc", error=InputError):
            self.teacher(fingerprint, rows).embeddings(images(Noise(NUMBER)), tmp_path)


class TestWhatATeacherTakes:
    def test_pixels_are_normalised_channel_by_channel_in_its_order(self):
        pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 3)).astype(np.uint8)
        taken = TeacherInput((4, 6), "bgr", (1.0, 2.0, 3.0), (4.0, 5.0, 6.0)).apply(pixels)
        assert taken.shape == (2, 3, 4, 6) and taken.dtype == np.float32
        for channel, (mean, std) in enumerate([(1, 4), (2, 5), (3, 6)]):
            np.testing.assert_allclose(taken[:, channel], (pixels[..., 2 - channel] - float(mean)) / std, rtol=1e-6)

    def test_is_what_its_file_says_completed_by_what_is_stated(self):
        stated = TeacherInput.stated(None, "bgr", 127.5, [1.0, 2.0, 3.0])
        found = TeacherInput((112, 112)).agreed(stated, "net.onnx")
        assert found == TeacherInput((112, 112), "bgr", (127.5,) * 3, (1.0, 2.0, 3.0))
        assert TAKEN.agreed(TeacherInput.stated([4, 6], "rgb", 127.5, None), "net.ckpt") == TAKEN

    @pytest.mark.parametrize(
        ("stated", "facts"),
        [
            (TeacherInput(image_size=(112, 112)), ("image_size=[4,6]", "distillation.image_size=[112,112]")),
            (TeacherInput(colours="bgr"), ("colours=rgb", "distillation.colours=bgr")),
            (TeacherInput(mean=(0.0,) * 3), ("mean=[127.5,127.5,127.5]", "distillation.mean=[0,0,0]")),
        ],
    )
    def test_is_refused_if_it_is_stated_otherwise(self, stated, facts):
        with refuses("net.onnx", *facts, "leave", error=InputError):
            TAKEN.agreed(stated, "net.onnx")

    def test_is_asked_for_where_nobody_says_it(self):
        with refuses("net.onnx", "distillation.colours=rgb", "distillation.std=127.5", error=InputError):
            TeacherInput((112, 112)).agreed(TeacherInput(), "net.onnx")


def test_a_batch_has_the_embeddings_of_its_images(tmp_path):
    source = Noise(NUMBER)
    plain = ImageDataset(source, np.arange(NUMBER) % 4, (8, 12))
    table = network().embeddings(images(source), tmp_path)
    order = np.random.default_rng(0).permutation(NUMBER).tolist()
    for dataset in (TaughtImages(plain, table), pickle.loads(pickle.dumps(TaughtImages(plain, table)))):
        batches = list(image_loader(dataset, 4, 0, sampler=order))
        found = torch.cat([taught for _, _, taught in batches])
        assert torch.equal(found, table.take(order))
        assert torch.equal(torch.cat([labels for _, labels, _ in batches]), torch.tensor(order) % 4)
    assert len(dataset) == NUMBER and dataset.needs_workers and dataset.image_size == (8, 12)


def test_another_teacher_of_a_checkpoint_is_refused_and_one_that_moved_is_not():
    ours = network().described()
    refuse_other_teacher(None, None)
    refuse_other_teacher(ours | {"name": "before/net.ckpt"}, ours)
    changes = [{"digest": "e"}, {"image_size": [6, 6]}, {"flip": True}]
    assert every(ours | change != ours for change in changes)
    for change in changes:
        ((key, value),) = change.items()
        with refuses(f"{key}={value}", f"{key}={ours[key]}", "without resume", error=InputError):
            refuse_other_teacher(ours | change, ours)
    with refuses("another teacher", "without resume", error=InputError):
        refuse_other_teacher(ours, None)
