"""Write images into shards, for more data than a disk holds: facerec write_shards data.root=FACES out=SHARDS

    facerec write_shards data=folder data.root=FACES out=SHARDS               from image files, with a list or without
    facerec write_shards data=insightface data.root=faces_webface out=SHARDS  from an archive
    facerec write_shards data=synthetic out=SHARDS                            from painted faces, as PNG files
    facerec train data=streaming data.root=SHARDS 'data.benchmarks=[lfw]'     train on them
    facerec train data=streaming data.root=s3://BUCKET/SHARDS                 after another program has copied them

Training set and benchmarks, those of data.benchmarks, become tar files of image files in OUT/train and OUT/BENCHMARK,
with an index beside them. Image files are copied byte for byte. Order, names, labels and fingerprint are those of what
was read, so that a run on shards has the result of a run on the original. The images of each shard are a random part of
all. An interrupted command continues when it is run again. The last line on standard output is JSON.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facerec.config.build import build_faces
from facerec.config.compose import compose
from facerec.config.settings import command, run_settings, setting
from facerec.console import log
from facerec.data.shards.shard_writer import Sharded, write_faces, write_sharded_benchmark
from facerec.data.shards.streaming_data import TRAIN
from facerec.data.source import refuse_missing
from facerec.errors import InputError
from facerec.process import prepare_process


@dataclass
class Settings:
    """Settings:"""

    interrupted = "interrupted: run the same command again to continue"

    out: Path = setting("an empty folder, or one from an interrupted call", written="folder")
    images_per_shard: int = setting("number of images in a shard", 8192, least=1)
    overrides: tuple[str, ...] = run_settings("as for train: data=..., data.root=... and other settings of the data")


def write(settings: Settings) -> dict[str, Any]:
    """Write the training set and the benchmarks; return their numbers of images and shards."""
    prepare_process()
    module = build_faces(compose(list(settings.overrides)))
    if TRAIN in module.benchmarks:
        raise InputError(f"a benchmark is named {TRAIN!r}, as the folder of the training set: give it another name")
    for name in module.benchmarks:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise InputError(
                f"benchmark {name!r} leads out of out={settings.out}: give the folder that holds it as data.root"
            )
    train, workers = module.open_train(), module.num_workers or 0
    benchmarks = {name: module.open_benchmark(name) for name in module.benchmarks}
    for images in (train, *(benchmark.images for benchmark in benchmarks.values())):
        refuse_missing(images)
    written = {TRAIN: write_faces(train, settings.out / TRAIN, settings.images_per_shard, workers)}
    for name, benchmark in benchmarks.items():
        folder = settings.out / name
        written[name] = write_sharded_benchmark(benchmark, folder, settings.images_per_shard, workers)
    for name, part in written.items():
        _say(settings.out / name, part)
    return {"folder": str(settings.out), **{name: part._asdict() for name, part in written.items()}}


def _say(folder: Path, part: Sharded) -> None:
    log(f"{folder}: {part.images:,} images in {part.shards:,} shards, {part.bytes / 1e6:,.1f} MB")


main = command(Settings, write)
