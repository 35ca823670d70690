"""The data modules of the configuration, one per kind of data."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facerec.checks import check_counts
from facerec.data.datamodule import FaceDataModule
from facerec.data.readers.bin import open_bin
from facerec.data.readers.folders import read_identity_folders, read_pairs
from facerec.data.readers.insightface import InsightFaceRecords
from facerec.data.readers.train_lists import read_record_list, read_train_list
from facerec.data.source import ALLOW, Benchmark, LabelledSource, OnProblem, refuse, refusing_unreadable
from facerec.data.synthetic.synthetic_faces import LARGEST, SMALLEST, SyntheticFaces, synthetic_benchmark
from facerec.errors import InputError
from facerec.files import in_home, refuse_missing_folder, refuse_no_regular_file


def read_benchmark(root: str | Path, name: str, on_problem: OnProblem = refuse) -> Benchmark:
    """Read benchmark ``name`` in ``root``: the published layout's ``name/name_pair.txt`` or InsightFace's ``name.bin``.
    ``on_problem`` is called for each wrong line of the list."""
    pair_list, archive = Path(root) / name / f"{name}_pair.txt", Path(root) / f"{name}.bin"
    with refusing_unreadable(f"benchmark {name} in {root}", ALLOW):
        if pair_list.is_file():
            return read_pairs(root, name, on_problem)
        if archive.is_file():
            return open_bin(archive)
    for file in (pair_list, archive):
        refuse_no_regular_file(file)
    refuse_missing_folder(root)
    missing = f"benchmark {name} is missing, neither {pair_list} nor {archive} exists"
    raise InputError(f"{missing}: add one of them or leave {name} out of data.benchmarks")


@dataclass(kw_only=True, eq=False, repr=False)
class FolderData(FaceDataModule):
    """Image files in folders.

    Args:
        root: the folder of all data.
        train_list: a list of lines ``PATH IDENTITY``, relative to ``root`` or ``train_folder``; None: all of it.
        train_folder: folder in ``root`` with one folder per identity; read if there is no list.
    """

    root: str
    train_list: str | None = None
    train_folder: str = "train"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.root, self.train_list = in_home(self.root), in_home(self.train_list)
        self.train_folder = in_home(self.train_folder)

    def open_train(self, on_problem: OnProblem = refuse) -> LabelledSource:
        with refusing_unreadable(f"the training set in {self.root}", ALLOW):
            if self.train_list is None:
                return read_identity_folders(Path(self.root) / self.train_folder, on_problem)
            return read_train_list(self.root, self.train_list, self.train_folder, on_problem)

    def open_benchmark(self, name: str, on_problem: OnProblem = refuse) -> Benchmark:
        return read_benchmark(self.root, name, on_problem)


@dataclass(kw_only=True, eq=False, repr=False)
class InsightFaceData(FaceDataModule):
    """InsightFace's archives: ``root/train.rec``, its index, and benchmarks ``root/NAME.bin``.

    Args:
        root: the folder of the archives.
        train_list: a list of lines ``KEY IDENTITY``, the records to train on; None: all.
        index_cache: folder to cache the index of an archive that takes seconds to read; None: no cache.
    """

    root: str
    train_list: str | None = None
    index_cache: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.root, self.train_list = in_home(self.root), in_home(self.train_list)
        self.index_cache = in_home(self.index_cache)

    def open_train(self, on_problem: OnProblem = refuse) -> LabelledSource:
        with refusing_unreadable(f"the training set in {self.root}", ALLOW):
            records = InsightFaceRecords(self.root, cache=None if self.index_cache is None else Path(self.index_cache))
            if self.train_list is None:
                return records
            return read_record_list(records, self.root, self.train_list, on_problem)

    def open_benchmark(self, name: str, on_problem: OnProblem = refuse) -> Benchmark:
        return read_benchmark(self.root, name, on_problem)


@dataclass(kw_only=True, eq=False, repr=False)
class SyntheticData(FaceDataModule):
    """Synthetic faces; no person of the benchmarks is in the training set.

    Args:
        num_identities: people to train on.
        images_per_identity: training images per person.
        num_test_identities: people of each benchmark.
        num_pairs: pairs of each benchmark.
    """

    num_identities: int = 256
    images_per_identity: int = 32
    num_test_identities: int = 200
    num_pairs: int = 2000
    benchmarks: Sequence[str] = ("synthetic",)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(num_identities=self.num_identities, images_per_identity=self.images_per_identity)
        check_counts(num_test_identities=self.num_test_identities, num_pairs=self.num_pairs)

    def open_train(self, on_problem: OnProblem = refuse) -> LabelledSource:
        return SyntheticFaces(self.num_identities, self.images_per_identity, image_size=self._drawn_size())

    def open_benchmark(self, name: str, on_problem: OnProblem = refuse) -> Benchmark:
        return synthetic_benchmark(name, self.num_test_identities, 10, self.num_pairs, image_size=self._drawn_size())

    def _drawn_size(self) -> int:
        """Return the size to paint at, that of the images if possible: half the size takes half the time."""
        return min(max(*self.image_size, SMALLEST), LARGEST)
