import pytest
from folder_data import folder_data, ready, trainer
from image_files import write_text

from facerec.errors import InputError


class TestRefusals:
    def test_augmentation_that_is_only_a_name(self, tmp_path):
        with pytest.raises(ValueError, match=r"test_augmentation holds transforms by name, got 'rotation': write aug"):
            folder_data(tmp_path, test_augmentation="rotation")

    def test_no_augmentation_at_all(self, tmp_path):
        sentence = (
            "train_augmentation holds transforms by name, got None: write augmentation@data.train_augmentation=none"
        )
        with pytest.raises(ValueError, match=f"^{sentence}$"):
            folder_data(tmp_path, train_augmentation=None)

    @pytest.mark.parametrize("value", [3, {"degrees": 15}, None, print])
    def test_augmentation_that_is_no_transform(self, tmp_path, value):
        with pytest.raises(
            ValueError, match=r"^train_augmentation\.foo is no transform, got .*: give it a _target_ or"
        ):
            folder_data(tmp_path, train_augmentation={"foo": value})

    def test_a_training_image_that_is_listed_and_not_there_before_the_first_step(self, faces):
        write_text(faces / "list.txt", "".join(f"train/ann/{number}.png a\n" for number in range(7)))
        with pytest.raises(InputError, match=r"^image .*ann.4\.png in line 5 of .*list\.txt is not there, nor are 2"):
            folder_data(faces, train_list="list.txt").setup("fit")

    def test_a_batch_that_does_not_divide_over_the_devices(self, faces):
        module = ready(folder_data(faces))
        module.trainer = trainer(devices=4)
        with pytest.raises(InputError, match="global_batch_size=6 does not divide over 4 devices: use a multiple of 4"):
            module.train_dataloader()

    def test_a_missing_benchmark_before_any_image_is_read(self, faces, monkeypatch):
        monkeypatch.setattr("facerec.data.readers.folders.decode_rgb", lambda *_: pytest.fail("an image was decoded"))
        module = folder_data(faces, benchmarks=["pairs", "lfw"])
        with pytest.raises(
            InputError, match=r"benchmark lfw is missing, neither .*lfw_pair\.txt nor .*lfw\.bin exists: add"
        ):
            module.setup("fit")

    def test_no_benchmark(self, faces):
        with pytest.raises(InputError, match=r"data\.benchmarks is empty: name a set"):
            folder_data(faces, benchmarks=[]).setup("fit")

    def test_one_name_in_place_of_a_list_of_benchmarks(self, tmp_path):
        with pytest.raises(ValueError, match=r"benchmarks must be a list of names, got 'lfw': write \[lfw\]"):
            folder_data(tmp_path, benchmarks="lfw")

    def test_fewer_images_than_a_batch(self, faces):
        with pytest.raises(
            InputError, match=r"training set has 12 images, fewer than one step of data\.global_batch_size=13: lower it"
        ):
            folder_data(faces, global_batch_size=13).setup("fit")

    def test_a_listed_image_that_is_not_there_before_the_first_step(self, faces):
        (image, *_) = (faces / "pairs" / "pairs").rglob("*.png")
        image.unlink()
        with pytest.raises(InputError, match=rf"image {image} is listed and not there: restore it or take it off"):
            folder_data(faces).setup("fit")

    def test_a_batch_of_one(self, tmp_path):
        with pytest.raises(ValueError, match="global_batch_size must be a whole number of at least 2, got 1"):
            folder_data(tmp_path, global_batch_size=1)

    @pytest.mark.parametrize("workers", [-1, "two", 0.5])
    def test_a_number_of_loading_processes_that_is_none(self, tmp_path, workers):
        with pytest.raises(ValueError, match="num_workers must be null or a whole number of at least 0, got"):
            folder_data(tmp_path, num_workers=workers)
