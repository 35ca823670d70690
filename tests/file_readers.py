"""Every kind of file that the project reads: a small one, and what its reader makes of it."""

import hashlib
import json
import pickle
import shutil
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from fundus_files import write_domain
from image_files import encode, write_faces, write_text
from photos import HEADER
from PIL import Image
from recordio_writer import classic, png, write_records
from report_rows import table_rows
from safetensors.torch import save_file
from scipy.io import savemat
from shard_files import write_shards
from yunet_file import Face, write_yunet

from facerec.alignment.detector import FaceDetector
from facerec.alignment.fiducials import PROFILE_LINES, Fiducials, parse_lines
from facerec.alignment.landmarks import read_landmarks
from facerec.alignment.outputs import Origin, read_origin, write_aligned
from facerec.alignment.placement import template
from facerec.backbones.weight_files import timm_weights
from facerec.config.compose import compose
from facerec.config.teachers import open_teacher
from facerec.config.trained import build_trained, read_model
from facerec.data import cache
from facerec.data.cache import pack
from facerec.data.decode import decode_rgb, read_header
from facerec.data.fundus.domain_folders import read_domain_folders
from facerec.data.loading import ImageDataset
from facerec.data.official.agedb import read_agedb_pairs
from facerec.data.official.cfp import read_cfp_pairs
from facerec.data.official.cross import read_cross_pairs
from facerec.data.official.lfw import read_lfw_pairs
from facerec.data.official.pair_lists import read_plain_pairs
from facerec.data.readers.bin import open_bin
from facerec.data.readers.folders import read_identity_folders, read_pairs
from facerec.data.readers.image_groups import read_groups
from facerec.data.readers.insightface import InsightFaceRecords
from facerec.data.readers.train_lists import read_record_list, read_train_list
from facerec.data.shards.sharded_source import open_faces, open_sharded_benchmark
from facerec.data.shards.storage import Folder
from facerec.data.statistics import position_statistics
from facerec.data.teacher_cache import cached_rows
from facerec.exporting import formats
from facerec.exporting.deployed_network import EmbedsPixels
from facerec.exporting.measured import read_rates
from facerec.frontal.classifier import FrontalClassifier, load_classifier, save_classifier
from facerec.recognise import user_settings
from facerec.recognise.folder_embeddings import FolderEmbeddings
from facerec.recognise.gallery import Gallery
from facerec.runs import run_lock
from facerec.runs.claims import Claims
from facerec.runs.comparison_file import read_comparison
from facerec.runs.learning_curves import learning_curves
from facerec.runs.mask_scores import load_mask_scores
from facerec.runs.run_results import RunResults
from facerec.runs.scores import load_scores
from facerec.runs.search_studies import Study, choice_of, opened, range_of
from facerec.runs.speeds_file import kept_speeds
from facerec.training.callbacks.affinity_maps import read_maps
from facerec.training.callbacks.metrics import MetricsTable
from facerec.training.checkpoints import load_checkpoint
from facerec.training.initial_weights import InitialWeights
from facerec.training.inside_epoch import InsideEpoch
from facerec.training.resumed import Resumed, init_of, refuse_foreign_paths

RNG = np.random.default_rng(0)
SIDE = 16  # pixels of an image


@dataclass(frozen=True)
class Reader:
    """A kind of file.

    Attributes:
        file: its path in a folder, with ``*`` where a fingerprint is.
        write: writes it, and what belongs to it, into a folder; None: it is the file of a run.
        read: what the reader makes of it, given the folder.
        has_sum: whether the file holds a checksum of its content, or one that is kept beside it.
        named: what a sentence about the file may name instead of it.
    """

    file: str
    write: Callable[[Path], object] | None
    read: Callable[[Path], object]
    has_sum: bool = False
    named: tuple[str, ...] = ()


OF_A_RUN = ("best.ckpt", "last.ckpt", "results.json", "metrics.csv", "last_scores.npz")


def is_slow(name: str) -> bool:
    """Whether seconds go by until there is such a file."""
    return READERS[name].write is None or name.startswith(("exported", "timm", "search", "teacher"))


class Example:
    """A file of the kind ``name``, in a folder that is the same whenever it is renewed."""

    def __init__(self, name: str, folder: Path, run: Path | None) -> None:
        self.folder, self.reader = folder, READERS[name]
        self._whole = folder.with_suffix(".whole")
        folder.mkdir()
        for file in OF_A_RUN if run is not None else ():
            shutil.copy2(run / file, folder)  # pyright: ignore[reportOptionalOperand]
        if self.reader.write is not None:
            self.reader.write(folder)
        shutil.copytree(folder, self._whole)

    def renewed(self) -> Path:
        """The file, in a folder as it was at first."""
        shutil.rmtree(self.folder)
        shutil.copytree(self._whole, self.folder)
        (path,) = self.folder.glob(self.reader.file)
        return path


class Examples:
    """Examples below ``folder``, made when they are asked for; ``run`` gives the folder of a run."""

    def __init__(self, folder: Path, run: Callable[[], Path]) -> None:
        self._folder, self._run, self._made = folder, run, dict[str, Example]()

    def of(self, name: str) -> Example:
        if name not in self._made:
            needs_run = READERS[name].write is None or name.startswith("exported")
            folder = self._folder / f"{len(self._made)}"
            self._made[name] = Example(name, folder, self._run() if needs_run else None)
        return self._made[name]


def digest_of(name: str, folder: Path) -> str:
    """A digest of what reader ``name`` makes of the file in ``folder``."""
    sha = hashlib.sha256()
    _add(READERS[name].read(folder), sha)
    return sha.hexdigest()


def _add(value: object, sha: Any) -> None:
    if isinstance(value, torch.Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        sha.update(f"{value.dtype} {value.shape}".encode() + value.tobytes())
    elif isinstance(value, Mapping):
        for key, item in value.items():
            sha.update(repr(key).encode())
            _add(item, sha)
    elif isinstance(value, list | tuple):
        sha.update(f"{len(value)}".encode())
        for item in value:
            _add(item, sha)
    else:
        sha.update(repr(value).encode())


# What is written


def text(file: str, content: str) -> Callable[[Path], object]:
    return lambda folder: write_text(folder / file, content)


def content(file: str, written: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / file).write_bytes(written)


def picture(side: int = SIDE, number: int = 0) -> np.ndarray:
    """Smooth colours with some noise, as in a photograph."""
    rng = np.random.default_rng(number)
    ramp = np.add.outer(np.arange(side), np.arange(side))[..., None] * rng.uniform(1, 4, 3)
    return (ramp + rng.integers(0, 30, (side, side, 3))).clip(0, 255).astype(np.uint8)


def by_pillow(folder: Path, file: str, **options: Any) -> None:
    Image.fromarray(picture(48)).save(folder / file, **options)


def exported(folder: Path, format: str) -> None:
    """Write the network of the run's checkpoint, which is then removed."""
    backbone, _, checkpoint = build_trained(folder / "best.ckpt")
    config, network = checkpoint["config"], EmbedsPixels(backbone).eval()
    metadata = {"config": json.dumps(config), "epoch": "1", "protocol": config["protocol"]}
    pixels = torch.zeros(2, *config["data"]["image_size"], 3, dtype=torch.uint8)
    formats.write(format, network, pixels, metadata, folder / f"net{formats.SUFFIXES[format]}")


def cached_pixels(folder: Path) -> Any:
    faces = read_identity_folders(folder / "train")
    packed = pack(ImageDataset(faces, faces.labels, (8, 8)), folder / "cache")
    return [part.clone() for part in packed.__getitems__(range(len(faces)))]


def with_pixels_cached(folder: Path) -> None:
    write_faces(folder)
    cached_pixels(folder)


def statistics(folder: Path) -> Any:
    faces = read_identity_folders(folder / "train")
    images = ImageDataset(faces, faces.labels, (8, 8))
    return position_statistics(images, images.fingerprint(), False, folder / "cache")


def with_statistics(folder: Path) -> None:
    write_faces(folder)
    statistics(folder)


def taught(folder: Path) -> Any:
    rows = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    table = cached_rows(folder / "teacher.npy", rows.shape, lambda start: iter([rows[start:]]), str)
    return table.take(range(5))


def records(folder: Path) -> Any:
    with mock.patch.object(cache, "_WORTH_CACHING", -1):
        source = InsightFaceRecords(folder, cache=folder / "cache" if (folder / "cache").is_dir() else None)
    return [source.labels, source.keys, [source.load(index) for index in range(len(source))]]


def write_archive(folder: Path, index: bool = True, cached: bool = False) -> None:
    contents = classic([0, 0, 1, 1, 2], [png(number) for number in range(5)])
    write_records(folder / "train.rec", contents, index)
    (folder / "property").write_text("3,6,5\n5\n")
    if cached:
        (folder / "cache").mkdir()
        records(folder)


def write_cfp(folder: Path) -> None:
    frontal = [f"{number + 1} ../Data/Images/00{number // 2}/frontal/0{number}.jpg" for number in range(4)]
    write_text(folder / "Pair_list_F.txt", "\n".join(frontal) + "\n")
    for fold in range(1, 11):
        write_text(folder / f"Split/FF/{fold:02d}/same.txt", "2,1\n3,4\n")
        write_text(folder / f"Split/FF/{fold:02d}/diff.txt", "1,4\n3,2\n")


def write_agedb(folder: Path) -> None:
    names = np.empty((2, 2), object)
    names[:] = [[{"name": "Ann_0001"}, {"name": "Ann_0002"}], [{"name": "Ann_0002"}, {"name": "Bob_0001"}]]
    splits = np.empty((10, 1), object)
    splits[:, 0] = [{"pairs": names, "answers": [[1.0, -1.0]]}] * 10
    savemat(folder / "protocol.mat", {"splits": splits})


def write_embeddings(folder: Path) -> None:
    rows = [row.astype(np.float32) for row in RNG.normal(size=(5, 8))]
    paths, boxes = [f"ann/{number}.jpg" for number in range(5)], [np.zeros(4)] * 5
    FolderEmbeddings("net", paths, ["1 2"] * 5, [""] * 5, boxes, [np.zeros((5, 2))] * 5, [1] * 5, rows).write(
        folder / "faces.npz"
    )


def write_gallery(folder: Path) -> None:
    faces = RNG.normal(size=(3, 8)).astype(np.float32)
    Gallery.empty("net").with_faces("ann", ["1.jpg", "2.jpg", "3.jpg"], faces).write(folder / "gallery.npz")


SEARCHED = {"lr": range_of(0.01, 1.0, log=True, integer=False), "head": choice_of(("arcface", "am_softmax"))}


def studied(folder: Path) -> Any:
    study = Study(opened(folder / "search.db", {"all": {"width": "0.1"}})["all"], SEARCHED, 1, 3, pruning=False)
    before = study.records()
    trial = study.next_trial()
    trial.report(0, 0.5)
    trial.finish(0.6)
    return [before, trial.settings, study.best()]


def write_search(folder: Path) -> None:
    for _ in range(3):
        studied(folder)


def stored_maps(folder: Path) -> None:
    np.savez_compressed(
        folder / "affinity_maps.npz", layer=RNG.normal(size=(2, 3, 4, 4)).astype(np.float16), epochs=np.arange(2)
    )


def stored_masks(folder: Path) -> None:
    arrays = {"west/images": np.array(["a", "b"]), "west/mean_dice": np.array([0.5, 0.25])}
    np.savez_compressed(folder / "scores.npz", allow_pickle=False, **arrays)


def stored_teacher(folder: Path) -> None:
    np.savez(folder / "teacher.npz", embeddings=RNG.normal(size=(5, 4)).astype(np.float32), fingerprint=np.array("f"))


def write_face(folder: Path, file: str) -> None:
    points = [(1.5, 2.5), None, (3.0, 4.0), (5.0, 6.0), (7.0, 8.0)]
    write_aligned(folder / file, picture(48), Origin("key", 0.5, points, False, "images"))


def write_locked(folder: Path) -> None:
    owner = {"machine": "elsewhere 1 pid:[2]", "process": 7, "started": "3", "number": 4, "beats": 0}
    (folder / ".lock").write_text(json.dumps(owner).ljust(300))


def write_claim(folder: Path) -> None:
    write_text(folder / ".claims" / "cell.1", json.dumps({"host": socket.gethostname(), "pid": 1}))


def write_failed(folder: Path) -> None:
    told = {"host": "elsewhere", "why": "it had no memory", "of_settings": True}
    write_text(folder / ".claims" / "cell.failed", json.dumps(told))


# What is read


def resumed(folder: Path) -> Any:
    found = Resumed.read(folder / "last.ckpt")
    refuse_foreign_paths(found)
    place = InsideEpoch.read(found.content, str(found))
    return [found.content, init_of(found), place, load_checkpoint(found.path)]


def started(folder: Path) -> Any:
    config = json.loads((folder / "results.json").read_text())["config"]
    found = InitialWeights.read(str(folder / "best.ckpt"), config)
    return [found._replace(path="", sha256=""), found.differences(config)]


def evaluated(folder: Path) -> Any:
    backbone, cfg, _ = build_trained(folder / "best.ckpt")
    return [cfg, backbone.state_dict()]


def embedded(file: str, folder: Path) -> Any:
    model = read_model(folder / file)
    side = json.loads(model.metadata["config"])["data"]["image_size"][0]
    pixels = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), np.uint8)
    return [{key: model.metadata.get(key) for key in ("config", "epoch", "protocol")}, model.embed(pixels)]


def decoded(file: str, folder: Path) -> Any:
    data = (folder / file).read_bytes()
    return [decode_rgb(data, file), read_header(data, file)]


def with_mask(folder: Path) -> Any:
    files = read_domain_folders(folder)
    return [files.fingerprint(), [files.mask(index) for index in range(len(files))]]


def in_shards(folder: Path) -> Any:
    faces, pairs = (
        open_faces(Folder(folder / "train"), None),
        open_sharded_benchmark(Folder(folder / "pairs"), "pairs", None),
    )
    images = [[each.name(index), each.encoded(index)] for each in (faces, pairs.images) for index in range(len(each))]
    return [images, faces.labels, pairs.left, pairs.right, pairs.is_same, pairs.people]


def write_sharded(folder: Path) -> None:
    write_faces(folder / "from", 2)
    write_shards(folder / "from", folder, "pairs")
    shutil.rmtree(folder / "from")


def benchmark_of(found: Any) -> Any:
    images = [found.images.load(index) for index in range(len(found.images))]
    return [found.left, found.right, found.is_same, found.people, images]


def listed(folder: Path) -> Any:
    found = read_train_list(folder, "train.txt", "train")
    return [list(found.paths), found.labels, found.missing()]


def write_list(folder: Path) -> None:
    write_faces(folder, 2)
    names = [f"{name}/{number}.png" for name in ("ann", "bob", "eve") for number in range(2)]
    write_text(folder / "train.txt", "# images\n" + "".join(f"{name}\tM. {name[:3]}\n" for name in names))


def listed_records(folder: Path) -> Any:
    found = read_record_list(InsightFaceRecords(folder), folder, "kept.txt")
    return [found.positions, found.labels]


def write_listed_records(folder: Path) -> None:
    write_archive(folder)
    write_text(folder / "kept.txt", "1\t0\n2\t0\n4\t1\n")


def write_pairs(folder: Path) -> None:
    write_faces(folder)
    names = [("r1.png", "g 1"), ("r2.png", "g 1"), ("b.png", "g 2")]
    write_text(folder / "groups.txt", "# images\n" + "".join(f"{path}\t{group}\n" for path, group in names))


def detected(folder: Path) -> Any:
    return [vars(face) for face in FaceDetector(folder / "yunet.onnx").detect(np.full((480, 640, 3), 99, np.uint8))]


def taken(folder: Path) -> Any:
    with mock.patch.object(run_lock, "PATIENCE", 0.05), run_lock.alone_in(folder):
        return "taken"


def claimed(folder: Path) -> Any:
    with Claims(1000).take(folder / "cell") as holder:
        return holder


def failed(folder: Path) -> Any:
    claims = Claims(1000)
    claims._begun[folder / ".claims"] = 0
    return claims.failure(folder / "cell")


def user_detector(folder: Path) -> Any:
    with mock.patch.dict("os.environ", XDG_CONFIG_HOME=str(folder)):
        return user_settings.chosen_detector(None)


def rates(folder: Path) -> Any:
    found = read_rates({"thresholds": (folder / "rates.json").read_text(errors="replace")})
    return found if isinstance(found, str) else found.to_json()


def write_rates(folder: Path) -> None:
    from known_faces import rates as known

    (folder / "rates.json").write_text(known().to_json())


def metrics(folder: Path) -> Any:
    return MetricsTable(str(folder / "metrics.csv"))._rows()


def results(folder: Path) -> Any:
    found = RunResults.read(folder)
    return [vars(found), found.objective(), table_rows([folder])]


def kept_scores(folder: Path) -> Any:
    return {name: vars(scores) for name, scores in load_scores(folder / "last_scores.npz").items()}


def teacher(folder: Path) -> Any:
    settings = ["distillation=embedding", f"teacher={folder / 'teacher.npz'}"]
    found = open_teacher(compose(settings))
    return [getattr(found, "rows", None), getattr(found, "fingerprint", None)]


def points(file: str, folder: Path) -> Any:
    return read_landmarks(folder / file, folder).points


TEN = template(112).ravel().round(2).tolist()
NAMED = [f"ann/{number}.jpg" for number in range(4)]
CSV = "\n".join(",".join(map(str, row)) for row in (HEADER, *([name, *TEN] for name in NAMED)))
CELEBA = f"4\n{' '.join(HEADER[1:])}\n" + "".join(f"{name} {' '.join(map(str, TEN))}\n" for name in NAMED)
PLAIN = "".join(f"ann/{number}.jpg ann/1{number}.jpg 1\nann/{number}.jpg bob/1.jpg -1\n" for number in range(10))
LFW = "10\t1\n" + "".join(f"Ann_{fold}\t1\t2\nAnn_{fold}\t1\tBob_{fold}\t3\n" for fold in range(10))
SAME = "".join(f"Ann_{number}.jpg {number}\nAnn_1{number}.jpg {number}\n" for number in range(1, 11))
CROSS = SAME + "".join(f"Bob_{number}.jpg 0\nEve_{number}.jpg 0\n" for number in range(10))
BIN = pickle.dumps(([png(number) for number in (0, 1, 2, 0)], [True, False]), 4)
COMPARISON = {
    **{"label": "accuracy", "unit": "points", "factor": 100},
    "comparisons": [
        {
            **{"benchmark": "lfw", "first": "Depthwise", "second": "TVConv", "p": 0.01},
            "found": {"difference": 0.02, "interval": [0.01, 0.03], "seeds": 3},
        }
    ],
}
SPEEDS = {"machine": "a machine", "networks": {"a": {"images_per_second": 5.5, "peak_memory_mb": 20.5}}}
FACE = Face(50, 40, 150, 200, template(112) * 1.4 + [50, 40])


def write_frontal(folder: Path) -> None:
    torch.manual_seed(0)
    save_classifier(FrontalClassifier(0.1, 32), folder / "frontal.pt", {})


def write_weights(folder: Path, file: str) -> None:
    weights = {"conv.weight": torch.randn(8, 3, 3, 3, generator=torch.Generator().manual_seed(0))}
    save_file(weights, folder / file) if file.endswith("safetensors") else torch.save(weights, folder / file)


def write_eyes(folder: Path) -> None:
    write_domain(folder, "west", 3)
    names = "".join(f"west,{number:02},{'test' if number == 2 else 'train'}\n" for number in range(3))
    write_text(folder / "splits.csv", f"domain,name,split\n{names}")


READERS = {
    "checkpoint to evaluate": Reader("best.ckpt", None, evaluated, True),
    "checkpoint to resume": Reader("last.ckpt", None, resumed, True),
    "checkpoint to start from": Reader("best.ckpt", None, started, True),
    "classifier of poses": Reader(
        "frontal.pt", write_frontal, lambda folder: load_classifier(folder / "frontal.pt").state_dict(), True
    ),
    **{
        f"exported {format}": Reader(
            f"net{suffix}", partial(exported, format=format), partial(embedded, f"net{suffix}"), True
        )
        for format, suffix in formats.SUFFIXES.items()
    },
    "timm's weights, pth": Reader(
        "a.pth", partial(write_weights, file="a.pth"), lambda folder: timm_weights("a.pth", folder / "a.pth"), True
    ),
    "timm's weights, safetensors": Reader(
        "a.safetensors",
        partial(write_weights, file="a.safetensors"),
        lambda folder: timm_weights("a.safetensors", folder / "a.safetensors"),
    ),
    "teacher's embeddings": Reader("teacher.npz", stored_teacher, teacher, True),
    "cache of a teacher": Reader("teacher.npy", taught, taught, True),
    "checksum of a teacher's cache": Reader("teacher.json", taught, taught, True),
    "cache of pixels": Reader("cache/images-*.npy", with_pixels_cached, cached_pixels, True),
    "checksum of pixels": Reader("cache/images-*.json", with_pixels_cached, cached_pixels, True),
    "cache of statistics": Reader("cache/position-*.npz", with_statistics, statistics, True),
    "cache of an index": Reader("cache/contents-*.npz", partial(write_archive, cached=True), records, True),
    "scores": Reader("last_scores.npz", None, kept_scores, True),
    "scores of masks": Reader("scores.npz", stored_masks, lambda folder: {
        name: vars(found) for name, found in load_mask_scores(folder / "scores.npz").items()
    }, True),
    "affinity maps": Reader(
        "affinity_maps.npz", stored_maps, lambda folder: read_maps(folder / "affinity_maps.npz"), True
    ),
    "results": Reader("results.json", None, results),
    "curves": Reader("metrics.csv", None, learning_curves),
    "metrics of a resumed run": Reader("metrics.csv", None, metrics),
    "speeds": Reader(
        "speeds.json", text("speeds.json", json.dumps(SPEEDS)), lambda folder: kept_speeds(folder / "speeds.json")
    ),
    "comparison": Reader(
        "compare.json",
        text("compare.json", json.dumps(COMPARISON)),
        lambda folder: read_comparison(folder / "compare.json"),
    ),
    "search": Reader("search.db", write_search, studied),
    "lock of a run": Reader(".lock", write_locked, taken),
    "claim of a cell": Reader(".claims/cell.1", write_claim, claimed),
    "failure of a cell": Reader(".claims/cell.failed", write_failed, failed),
    "settings of a person": Reader(
        "facerec/settings.yaml", text("facerec/settings.yaml", "# mine\ndetector: ~/yunet.onnx\n"), user_detector
    ),
    "error rates": Reader("rates.json", write_rates, rates),
    "training list": Reader("train.txt", write_list, listed),
    "training list of keys": Reader("kept.txt", write_listed_records, listed_records),
    "pair list": Reader(
        "pairs/pairs_pair.txt",
        write_faces,
        lambda folder: benchmark_of(read_pairs(folder, "pairs")),
        named=("pairs/pairs/",),
    ),
    "group list": Reader(
        "groups.txt", write_pairs, lambda folder: read_groups(folder / "groups.txt", [read_pairs(folder, "pairs")])
    ),
    "pairs to prepare": Reader(
        "pairs.txt", text("pairs.txt", PLAIN), lambda folder: read_plain_pairs(folder / "pairs.txt")
    ),
    "pairs of LFW": Reader("pairs.txt", text("pairs.txt", LFW), lambda folder: read_lfw_pairs(folder / "pairs.txt")),
    "pairs of CALFW": Reader(
        "pairs.txt", text("pairs.txt", CROSS), lambda folder: read_cross_pairs(folder / "pairs.txt")
    ),
    "images of CFP": Reader(
        "Pair_list_F.txt", write_cfp, lambda folder: read_cfp_pairs(folder, "FF"), named=("same.txt", "diff.txt")
    ),
    "pairs of CFP": Reader("Split/FF/03/same.txt", write_cfp, lambda folder: read_cfp_pairs(folder, "FF")),
    "pairs of AgeDB": Reader("protocol.mat", write_agedb, lambda folder: read_agedb_pairs(folder / "protocol.mat")),
    "archive": Reader("train.rec", write_archive, records),
    "archive without an index": Reader("train.rec", partial(write_archive, index=False), records),
    "index of an archive": Reader("train.idx", write_archive, records),
    "property of an archive": Reader("property", write_archive, records),
    "verification set": Reader(
        "lfw.bin", content("lfw.bin", BIN), lambda folder: benchmark_of(open_bin(folder / "lfw.bin"))
    ),
    "shard": Reader("train/00000.tar", write_sharded, in_shards, True),
    "index of shards": Reader("train/index.npz", write_sharded, in_shards, True),
    "index of a sharded benchmark": Reader("pairs/index.npz", write_sharded, in_shards, True),
    "names of shards": Reader("train/shards.json", write_sharded, in_shards),
    "landmarks": Reader("points.csv", text("points.csv", CSV), partial(points, "points.csv")),
    "landmarks of CelebA": Reader("points.txt", text("points.txt", CELEBA), partial(points, "points.txt")),
    "fiducials of CFP": Reader(
        "001/profile/01.txt",
        text("001/profile/01.txt", "".join(f"{number}.5,{2 * number}\n" for number in range(30))),
        lambda folder: Fiducials(folder, parse_lines(PROFILE_LINES), None).key("001/profile/01.jpg"),
        named=("its fiducial file",),
    ),
    "detector": Reader("yunet.onnx", lambda folder: write_yunet(folder / "yunet.onnx", [FACE]), detected),
    "aligned JPEG": Reader("a.jpg", partial(write_face, file="a.jpg"), lambda folder: read_origin(folder / "a.jpg")),
    "aligned PNG": Reader("a.png", partial(write_face, file="a.png"), lambda folder: read_origin(folder / "a.png")),
    "JPEG": Reader("a.jpg", partial(by_pillow, file="a.jpg"), partial(decoded, "a.jpg")),
    "progressive JPEG": Reader(
        "a.jpg", partial(by_pillow, file="a.jpg", progressive=True), partial(decoded, "a.jpg")
    ),
    "PNG": Reader("a.png", partial(by_pillow, file="a.png"), partial(decoded, "a.png")),
    "BMP": Reader("a.bmp", content("a.bmp", encode(picture(), ".bmp")), partial(decoded, "a.bmp")),
    "WebP": Reader("a.webp", partial(by_pillow, file="a.webp"), partial(decoded, "a.webp")),
    "lossless WebP": Reader("a.webp", partial(by_pillow, file="a.webp", lossless=True), partial(decoded, "a.webp")),
    "mask": Reader("west/mask/01.png", write_eyes, with_mask),
    "split list": Reader("splits.csv", write_eyes, with_mask),
    "embeddings of a folder": Reader(
        "faces.npz", write_embeddings, lambda folder: vars(FolderEmbeddings.read(folder / "faces.npz", "net")), True
    ),
    "gallery": Reader(
        "gallery.npz", write_gallery, lambda folder: vars(Gallery.read(folder / "gallery.npz", "net")), True
    ),
}  # fmt: skip
