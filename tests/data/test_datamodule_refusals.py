import pytest
from folder_data import folder_data, ready, trainer
from image_files import plain, write_image, write_text
from says import refuses, says

from facerec.errors import InputError


class TestRefusals:
    def test_augmentation_that_is_only_a_name(self, tmp_path):
        with refuses("test_augmentation", "'rotation'", "augmentation@data.test_augmentation="):
            folder_data(tmp_path, test_augmentation="rotation")

    def test_no_augmentation_at_all(self, tmp_path):
        with refuses("train_augmentation", "None", "augmentation@data.train_augmentation=none"):
            folder_data(tmp_path, train_augmentation=None)

    def test_a_cache_without_a_name(self, tmp_path):
        with refuses("cache", "''", "null"):
            folder_data(tmp_path, cache="")

    @pytest.mark.parametrize("cache", [None, "cache"])
    def test_images_that_are_all_the_same(self, faces, cache):
        cache = cache and str(faces / cache)
        folder_data(faces, cache=cache).setup("validate")
        ready(folder_data(faces, cache=cache)).refuse_equal_images()
        for place, what in {"pairs/pairs": "benchmark pairs", "train": "training set"}.items():
            for file in (faces / place).rglob("*.png"):
                write_image(file, plain((0, 0, 0), (20, 12)))
            module = ready(folder_data(faces, cache=cache))
            with refuses(what, "the same", "facerec check_data", error=InputError):
                module.refuse_equal_images()
            for number, file in enumerate((faces / place).rglob("*.png")):
                write_image(file, plain((0, 0, number)))

    @pytest.mark.parametrize("value", [3, {"degrees": 15}, None, print])
    def test_augmentation_that_is_no_transform(self, tmp_path, value):
        with refuses("train_augmentation.foo", "_target_"):
            folder_data(tmp_path, train_augmentation={"foo": value})

    def test_a_training_image_that_is_listed_and_not_there_before_the_first_step(self, faces):
        write_text(faces / "list.txt", "".join(f"train/ann/{number}.png a\n" for number in range(7)))
        with refuses("ann/4.png", "line 5", "list.txt", "2 others", error=InputError):
            folder_data(faces, train_list="list.txt").setup("fit")

    def test_a_first_image_of_a_list_that_is_not_there_although_others_are(self, faces):
        write_text(faces / "list.txt", "gone/0.png a\nann/0.png a\nbob/0.png b\n")
        with refuses(str(faces / "train/gone/0.png"), "line 1", "list.txt", "missing", error=InputError):
            folder_data(faces, train_list="list.txt").setup("fit")

    def test_a_link_among_the_training_images_that_leads_nowhere(self, faces):
        (faces / "train/bob/9.png").symlink_to("gone.png")
        with refuses(str(faces / "train/bob/9.png"), "missing", "restore", error=InputError):
            folder_data(faces).setup("fit")

    def test_a_batch_that_does_not_divide_over_the_devices(self, faces):
        module = ready(folder_data(faces))
        module.trainer = trainer(devices=4)
        with refuses("global_batch_size=6", "4 devices", "multiple of 4", error=InputError):
            module.train_dataloader()

    def test_a_missing_benchmark_before_any_image_is_read(self, faces, monkeypatch):
        monkeypatch.setattr("facerec.data.readers.folders.decode_rgb", lambda *_: pytest.fail("an image was decoded"))
        module = folder_data(faces, benchmarks=["pairs", "lfw"])
        with refuses("benchmark lfw", "lfw_pair.txt", "lfw.bin", error=InputError):
            module.setup("fit")

    def test_no_benchmark(self, faces):
        with refuses("data.benchmarks", "empty", error=InputError):
            folder_data(faces, benchmarks=[]).setup("fit")

    def test_one_name_in_place_of_a_list_of_benchmarks(self, tmp_path):
        with refuses("benchmarks", "'lfw'", "[lfw]"):
            folder_data(tmp_path, benchmarks="lfw")

    def test_fewer_images_than_a_batch(self, faces):
        with refuses("12 images", "data.global_batch_size=13", "lower", error=InputError):
            folder_data(faces, global_batch_size=13).setup("fit")

    def test_a_listed_image_that_is_not_there_before_the_first_step(self, faces):
        (image, *_) = (faces / "pairs" / "pairs").rglob("*.png")
        image.unlink()
        with refuses(str(image), "list", "restore", error=InputError):
            folder_data(faces).setup("fit")

    @pytest.mark.parametrize("stage", ["fit", "validate"])
    @pytest.mark.parametrize(
        ("text", "facts"),
        [
            (4 * "r1.png r2.png 1\nr1.png b.png -1\n", ("8 pairs", "10 folds", "bring more")),
            (30 * "r1.png r2.png 1\n", ("30 same-person pairs", "add different-person pairs")),
            (30 * "r1.png b.png -1\n", ("30 different-person pairs", "add same-person pairs")),
        ],
    )
    def test_a_benchmark_that_cannot_be_verified_before_the_first_step(self, faces, text, facts, stage):
        write_text(faces / "pairs/pairs_pair.txt", text)
        with refuses("benchmark pairs", "cannot be verified", *facts, error=InputError):
            folder_data(faces).setup(stage)

    def test_one_identity(self, faces):
        write_text(faces / "list.txt", "".join(f"train/{who}/{n}.png 0\n" for who in ("ann", "bob") for n in range(4)))
        with refuses("8 training images", "one identity", "'0'", "add people", error=InputError):
            folder_data(faces, train_list="list.txt").setup("fit")

    def test_a_batch_of_one(self, tmp_path):
        with refuses("global_batch_size", "at least 2", "1"):
            folder_data(tmp_path, global_batch_size=1)

    @pytest.mark.parametrize("workers", [-1, "two", 0.5])
    def test_a_number_of_loading_processes_that_is_none(self, tmp_path, workers):
        with refuses("num_workers", "null", "at least 0"):
            folder_data(tmp_path, num_workers=workers)


class TestFoldsOfOneKind:
    """A sorted list of pairs is verified, since its order may be the published one, but it is said."""

    SORTED = 30 * "r1.png r2.png 1\n" + 30 * "r1.png b.png -1\n"

    def test_are_said_once(self, faces, capsys):
        write_text(faces / "pairs/pairs_pair.txt", self.SORTED)
        module = ready(folder_data(faces))
        module.setup("validate")
        (line,) = capsys.readouterr().err.splitlines()
        assert says(line, "10 of the 10 folds", "benchmark pairs", "one kind", "deal=true")

    def test_are_counted(self, faces, capsys):
        write_text(faces / "pairs/pairs_pair.txt", 12 * "r1.png r2.png 1\n" + 9 * "r1.png b.png -1\nr1.png r2.png 1\n")
        ready(folder_data(faces))  # folds of three pairs, of which the first four are of one kind
        assert says(capsys.readouterr().err, "4 of the 10 folds")

    def test_nothing_is_said_of_others(self, faces, capsys):
        ready(folder_data(faces))
        assert capsys.readouterr().err == ""
