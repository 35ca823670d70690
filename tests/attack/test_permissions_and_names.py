"""What may not be read or written, is no file, or has a strange name."""

import os
import pickle
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attack_endings import become_nobody, ending, set_environment
from attack_row import Row
from forked_program import Program
from image_files import encode, write_noise
from recordio_writer import classic, write_records
from running import DEPTHWISE, ONE_EPOCH, THREE_EPOCHS

NETWORK = [part for part in DEPTHWISE if not part.startswith("data")]
QUICK = [*NETWORK, "logger=none", "~callbacks.pictures", "data.root=faces", "data.benchmarks=[odd]"]
SIZES = ["data.global_batch_size=4", "data.num_workers=0"]
FOLDER = ["train", *QUICK, *SIZES, *ONE_EPOCH, "data=folder"]
LISTED = [*FOLDER, "data.train_list=listed.txt"]
RECORDS = [
    "train",
    *QUICK[:-1],
    *SIZES,
    *ONE_EPOCH,
    "data=insightface",
    "data.index_cache=null",
    "data.benchmarks=[packed]",
]
CACHED = [*FOLDER, "data.cache=cache"]
DRAWN = ["train", *DEPTHWISE, *THREE_EPOCHS, "trainer.max_epochs=4", "logger=none", "~callbacks.pictures"]
RUN, NAMED = "outputs/default/run", "name=name"


@pytest.fixture
def folder(depthwise_run: Path) -> Iterator[Path]:
    """Where anybody may read and write: images, records, and a run whose folder is also there as an unfinished one."""
    with tempfile.TemporaryDirectory(dir="/tmp" if os.path.isdir("/tmp") else None) as place:
        os.chmod(place, 0o755)
        here = Path(place) / "template"
        write_noise(here / "faces")
        noise = np.random.default_rng(0).integers(0, 256, (40, 12, 12, 3), np.uint8)
        write_records(
            here / "faces" / "train.rec", classic([float(n // 4) for n in range(16)], list(map(encode, noise[:16])))
        )
        (here / "faces" / "property").write_text("4,12,12\n")
        content = (list(map(encode, noise)), [n % 2 == 0 for n in range(20)])
        (here / "faces" / "packed.bin").write_bytes(pickle.dumps(content, protocol=2))
        lines = [f"train/{path.parent.name}/{path.name} {path.parent.name}\n" for path in here.glob("faces/train/*/*")]
        (here / "listed.txt").write_text("".join(lines))
        shutil.copytree(depthwise_run, here / "run")
        shutil.copytree(depthwise_run, here / RUN)
        (here / RUN / "results.json").unlink()
        (here / "cache").mkdir()
        open_to_all(here)
        yield here


def open_to_all(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)


def copied(template: Path, to: Path) -> Path:
    shutil.copytree(template, to)
    open_to_all(to)
    return to


READ_ONLY, CLOSED = 0o755, 0o700
# What belongs to root, how, the command, and what its sentence must say, or nothing if it ends well.
CLOSED_PLACES: dict[str, tuple[str, int, list[str], tuple[str, ...]]] = {
    "nothing": ("listed.txt", 0o666, FOLDER, ()),
    "the folder where it runs": (".", READ_ONLY, [*FOLDER, "hydra.run.dir=here"], ("here", "permission")),
    "the folder of all runs": ("outputs", READ_ONLY, [*FOLDER, NAMED], ("outputs", "permission")),
    "the folder of runs of this name": ("outputs/default", READ_ONLY, FOLDER, ("outputs/default", "permission")),
    "a person's folder": ("faces/train/1", CLOSED, FOLDER, ("faces/train/1", "read")),
    "a person's folder that may be listed": ("faces/train/1", 0o744, FOLDER, ("faces/train/1", "read")),
    "the people's folder": ("faces/train", CLOSED, FOLDER, ("faces/train", "read")),
    "the images' folder": ("faces", CLOSED, FOLDER, ("faces",)),
    "a benchmark's folder": ("faces/odd", CLOSED, FOLDER, ("faces/odd",)),
    "the folder of a benchmark's images": ("faces/odd/odd", CLOSED, FOLDER, ("faces/odd/odd",)),
    "a list of pairs": ("faces/odd/odd_pair.txt", 0o600, FOLDER, ("odd_pair.txt",)),
    "a list to train on": ("listed.txt", 0o600, LISTED, ("listed.txt",)),
    "an image": ("faces/train/1/3.png", 0o600, FOLDER, ("train/1/3.png",)),
    "an image of a benchmark": ("faces/odd/odd/3.png", 0o600, FOLDER, ("odd/odd/3.png",)),
    "no record": ("listed.txt", 0o666, RECORDS, ()),
    "records": ("faces/train.rec", 0o600, RECORDS, ("train.rec",)),
    "an index of records": ("faces/train.idx", 0o600, RECORDS, ("train.idx",)),
    "a property file": ("faces/property", 0o600, RECORDS, ("property",)),
    "a packed benchmark": ("faces/packed.bin", 0o600, RECORDS, ("packed.bin",)),
    "a cache": ("cache", READ_ONLY, CACHED, ("cache",)),
    "a closed cache": ("cache", CLOSED, CACHED, ("cache",)),
    "a checkpoint to resume": ("run/last.ckpt", 0o600, [*DRAWN, "resume=run/last.ckpt"], ("run/last.ckpt",)),
    "a checkpoint to begin with": ("run/last.ckpt", 0o600, [*FOLDER, "init=run/last.ckpt"], ("run/last.ckpt",)),
    "no unfinished run": ("listed.txt", 0o666, [*DRAWN, "resume=auto"], ()),
    "an unfinished run": (RUN, READ_ONLY, [*DRAWN, "resume=auto"], (RUN,)),
    "a closed unfinished run": (RUN, CLOSED, [*DRAWN, "resume=auto"], ()),
    "the checkpoint of an unfinished run": (f"{RUN}/last.ckpt", 0o600, [*DRAWN, "resume=auto"], ("last.ckpt",)),
    "the table of an unfinished run": (f"{RUN}/metrics.csv", 0o600, [*DRAWN, "resume=auto"], ("metrics.csv",)),
    "results": ("run/results.json", 0o600, ["report", "run"], ("results.json",)),
    "a run": ("run", CLOSED, ["report", "run"], ("run",)),
    "a checkpoint to evaluate": ("run/last.ckpt", 0o600, ["evaluate", "checkpoint=run/last.ckpt"], ("last.ckpt",)),
    "where a file is to be written": (
        "cache",
        READ_ONLY,
        ["export", "checkpoint=run/last.ckpt", "format=torchscript", "output=cache/x.pt"],
        ("cache",),
    ),
}


def test_permissions(row: Row, folder: Path) -> None:
    """What another user may not read or write"""
    if not hasattr(os, "getuid") or os.getuid() != 0:
        row.not_tried = "needs root"
        return
    for number, (what, (place, mode, command, facts)) in enumerate(row.cases(list(CLOSED_PLACES.items()), 1)):
        with row.trial(what) as trial:
            here = copied(folder, folder.parent / str(number))
            (here / place).chmod(mode)
            trial.ending = ending(Program(here, *command, first=become_nobody), *facts)


def pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def link(path: Path, to: str) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(to)


def renamed(path: Path, name: str | bytes) -> None:
    os.rename(path, path.parent / os.fsdecode(name))


# What is done to the folder, the command, and what its sentence must say, or nothing if it ends well.
Strange = tuple[Callable[[Path], Any], list[str], tuple[str, ...]]
PLACES: dict[str, Strange] = {
    "a pipe as an image": (lambda at: pipe(at / "faces/train/0/3.png"), FOLDER, ("train/0/3.png",)),
    "a pipe as an image of a benchmark": (lambda at: pipe(at / "faces/odd/odd/3.png"), FOLDER, ("odd/odd/3.png",)),
    "a pipe as a list of pairs": (lambda at: pipe(at / "faces/odd/odd_pair.txt"), FOLDER, ("odd_pair.txt", "pipe")),
    "a pipe as a list to train on": (lambda at: pipe(at / "listed.txt"), LISTED, ("listed.txt", "pipe")),
    "a pipe as records": (lambda at: pipe(at / "faces/train.rec"), RECORDS, ("train.rec", "pipe")),
    "a pipe as a property file": (lambda at: pipe(at / "faces/property"), RECORDS, ()),
    "a pipe as a packed benchmark": (lambda at: pipe(at / "faces/packed.bin"), RECORDS, ("packed.bin", "pipe")),
    "a pipe as results": (lambda at: pipe(at / "run/results.json"), ["report", "run"], ("results.json", "pipe")),
    "a pipe as a checkpoint": (lambda at: pipe(at / "x.ckpt"), [*DRAWN, "resume=x.ckpt"], ("x.ckpt", "pipe")),
    "a pipe as the last checkpoint": (
        lambda at: pipe(at / RUN / "last.ckpt"),
        [*DRAWN, "resume=auto"],
        ("last.ckpt", "pipe"),
    ),
    "a pipe as the table of a run": (
        lambda at: pipe(at / RUN / "metrics.csv"),
        [*DRAWN, "resume=auto"],
        ("metrics.csv",),
    ),
    "a pipe to evaluate": (lambda at: pipe(at / "x.ckpt"), ["evaluate", "checkpoint=x.ckpt"], ("x.ckpt", "pipe")),
    "a pipe as the folder of all runs": (lambda at: pipe(at / "new"), [*FOLDER, "hydra.run.dir=new"], ("new",)),
    "a socket as an image": (lambda at: unix_socket(at / "faces/train/0/3.png"), FOLDER, ("train/0/3.png",)),
    "a folder with an image's name": (lambda at: (at / "faces/train/0/x.png").mkdir(), FOLDER, ()),
    "a folder as an image of a benchmark": (
        lambda at: (renamed(at / "faces/odd/odd/3.png", "x.png"), (at / "faces/odd/odd/3.png").mkdir()),
        FOLDER,
        ("odd/odd/3.png",),
    ),
    "an image that is a link to itself": (
        lambda at: link(at / "faces/train/0/3.png", "3.png"),
        FOLDER,
        ("train/0/3.png",),
    ),
    "an image that is a dead link": (lambda at: link(at / "faces/train/0/3.png", "gone"), FOLDER, ("train/0/3.png",)),
    "a person who is a link to herself": (lambda at: link(at / "faces/train/0", "0"), FOLDER, ("train/0",)),
    "a person who is a link to the folder of all": (lambda at: link(at / "faces/train/x", "."), FOLDER, ("train/x",)),
    "runs in a file": (lambda at: (shutil.rmtree(at / "outputs"), (at / "outputs").touch()), FOLDER, ("outputs",)),
    "runs in a link to itself": (lambda at: link(at / "outputs", "outputs"), FOLDER, ("outputs", "itself")),
    "runs in a dead link": (lambda at: link(at / "outputs", "gone"), FOLDER, ("outputs",)),
    "runs in the system's files": (lambda at: None, [*FOLDER, "hydra.run.dir=/proc/x"], ("/proc/x",)),
    "a cache that is a file": (lambda at: (at / "c").touch(), [*FOLDER, "data.cache=c"], ("c/images",)),
    "images in a folder with spaces and quotes": (
        lambda at: renamed(at / "faces", 'it\'s "a" b'),
        [*FOLDER, 'data.root=it\'s "a" b'],
        (),
    ),
}
NAMES = {
    "emoji": "\U0001f600",
    "other scripts": "\u6f22\u5b57 \u05d0",
    "quotes": 'it\'s "a"',
    "a line break": "a\nb",
    "bytes that are not UTF-8": b"a\xff\xfeb",
    "a dash first": "-a",
    "a wave": "~",
    "spaces": " a  b ",
    "an equals sign": "a=b",
    "commas and brackets": "a,[b]{c}",
    "a dollar": "${a}$b",
    "255 letters": "n" * 255,
    "a backslash": "a\\b",
    "a percent sign": "%s%d",
    "a comment": "a # b",
}


OF_HYDRA = {"commas and brackets": ("name=a,", "-m"), "a dollar": ("name", "'a'")}  # what they mean in its settings


def name_data(at: Path, name: str | bytes) -> None:
    """Call an image and a person so."""
    raw = name if isinstance(name, bytes) else name.encode()
    renamed(at / "faces" / "train" / "2" / "3.png", raw[:200] + b".png")
    renamed(at / "faces" / "train" / "2", raw)


ENVIRONMENTS = {
    "HOME": (None, "/gone"),
    "TMPDIR": (None, "/gone"),
    "USER": (None,),
    "PATH": (None,),
    "LANG": (None, "C", "x"),
}


def test_places(row: Row, folder: Path) -> None:
    """Pipes, sockets, folders and links where files are to be"""
    for number, (what, (make, command, facts)) in enumerate(row.cases(list(PLACES.items()), 1)):
        with row.trial(what) as trial:
            here = copied(folder, folder.parent / str(number))
            make(here)
            trial.ending = ending(Program(here, *command), *facts)


def test_names(row: Row, folder: Path) -> None:
    """Strange names of people and images, and of runs"""
    cases = [(what, name, of_run) for what, name in NAMES.items() for of_run in (False, True)]
    for number, (what, name, of_run) in enumerate(row.cases(cases, 1)):
        with row.trial(f"{what}, {of_run}") as trial:
            here = copied(folder, folder.parent / str(number))
            if not of_run:
                name_data(here, name)
            given = [f"name={os.fsdecode(name)}"] if of_run else []
            trial.ending = ending(Program(here, *FOLDER, *given), *(OF_HYDRA.get(what, ()) if of_run else ()))


def test_environments(row: Row, folder: Path) -> None:
    """Without variables of the environment, or with ones that lead nowhere"""
    cases = [(name, value) for name, values in ENVIRONMENTS.items() for value in values]
    for number, (name, value) in enumerate(row.cases(cases, 1)):
        with row.trial(f"{name}={value}") as trial:
            here = copied(folder, folder.parent / str(number))
            trial.ending = ending(Program(here, *FOLDER, first=partial(set_environment, name, value)))
