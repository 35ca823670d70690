import pytest
from folder_data import folder_data, ready
from image_files import GREY, RED, plain, write_image
from says import refuses

from facerec.data.readers.folders import FolderImages
from facerec.errors import InputError


class TestHeldOut:
    @pytest.fixture
    def many(self, faces):
        """25 identities of two images more."""
        for number in range(50):
            write_image(faces / f"train/{number // 2:03}/{number}.png", plain(GREY))
        return faces

    def test_held_out_identities_are_verified_after_the_benchmarks_and_not_trained_on(self, many):
        module = ready(folder_data(many, held_out_identities=20))
        assert [benchmark.name for benchmark in module.opened_benchmarks] == ["pairs", "held_out"]
        train, held_out = module.train_source, module.opened_benchmarks[1]
        assert train is not None and train.num_identities == 8 and len(held_out) == 40
        people = [
            {name.partition("/")[0] for name in map(source.name, range(len(source)))}
            for source in (train, held_out.images)
        ]
        assert not people[0] & people[1] and len(people[1]) == 20
        sizes = [sum(len(indices) for _, indices in loader) for loader in module.val_dataloader()]
        assert sizes == [3, len(held_out.images)]

    def test_seeds_of_a_comparison_hold_out_the_same(self, many):
        one, other, another = (
            ready(folder_data(many, held_out_identities=20, **seeds))
            for seeds in ({"seed": 1}, {"seed": 2}, {"held_out_seed": 1})
        )
        assert one.train_source and other.train_source and another.train_source
        assert one.train_source.fingerprint() == other.train_source.fingerprint()
        assert one.train_source.fingerprint() != another.train_source.fingerprint()

    def test_no_benchmark_is_needed_beside_them_and_no_training_set_to_evaluate(self, many):
        module = ready(folder_data(many, held_out_identities=0.75, benchmarks=[]))
        assert [benchmark.name for benchmark in module.opened_benchmarks] == ["held_out"]
        module = folder_data(many, held_out_identities=20)
        module.setup("validate")
        assert [benchmark.name for benchmark in module.opened_benchmarks] == ["pairs"]
        module.setup("fit")
        assert len(module.val_dataloader()) == 2

    def test_a_benchmark_of_the_same_name_is_refused(self, tmp_path):
        with refuses("benchmarks", "'held_out'", "held_out_identities"):
            folder_data(tmp_path, held_out_identities=20, benchmarks=["held_out"])

    @pytest.mark.parametrize("number", [-1, "many", float("nan"), float("inf"), 20.9, None, True])
    def test_a_number_that_is_none_is_refused(self, tmp_path, number):
        with refuses("held_out_identities", "at least 0", "below 1", repr(number)):
            folder_data(tmp_path, held_out_identities=number)

    @pytest.mark.parametrize("key", ["held_out_seed", "seed"])
    @pytest.mark.parametrize("seed", [-1, "abc", 1.5, None, 2**32])
    def test_a_seed_that_is_none_is_refused(self, tmp_path, key, seed):
        with refuses(key, "4294967295", repr(seed)):
            folder_data(tmp_path, **{key: seed})

    def test_they_alone_are_verified_without_a_training_set_decoded_or_a_batch_filled(self, many, tmp_path):
        settings = {"held_out_identities": 20, "benchmarks": [], "cache": str(tmp_path / "cache")}
        module = folder_data(many, global_batch_size=2, **settings)
        module.setup("validate")
        assert [benchmark.name for benchmark in module.opened_benchmarks] == ["held_out"]
        assert len(list((tmp_path / "cache").glob("images-*.npy"))) == 1
        module.setup("fit")
        assert len(module.opened_benchmarks) == len(module.val_dataloader()) == 1
        assert len(list((tmp_path / "cache").glob("images-*.npy"))) == 1  # the other one is filled by the first epoch

    def test_the_files_are_looked_at_once_for_all_who_share_them(self, many, tmp_path, monkeypatch):
        looked, state = [], FolderImages.state
        monkeypatch.setattr(FolderImages, "state", lambda images: [looked.append(images.root), state(images)][1])
        module = ready(folder_data(many, held_out_identities=20, cache=str(tmp_path / "cache")))
        module.position_statistics(tmp_path / "cache")
        assert len(looked) == len(set(looked)) == 2  # the benchmark's and the training images
        before = set((tmp_path / "cache").glob("images-*.npy"))
        write_image(many / "train/000/0.png", plain(RED))
        ready(folder_data(many, held_out_identities=20, cache=str(tmp_path / "cache")))
        assert len(set((tmp_path / "cache").glob("images-*.npy")) - before) == 1  # the benchmark's

    def test_a_checkpoint_goes_on_with_the_same_images_alone(self, many):
        first, same, other = (
            ready(folder_data(many, held_out_identities=20, held_out_seed=seed)) for seed in (0, 0, 5)
        )
        same.load_state_dict(first.state_dict())
        with refuses("checkpoint", "other images", error=InputError):
            other.load_state_dict(first.state_dict())
