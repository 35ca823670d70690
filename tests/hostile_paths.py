"""Commands on lists, archives, shards and benchmarks with names that lead out of the folder that is written to."""

import json
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from image_files import RED, plain, write_benchmark, write_faces, write_image, write_text
from photos import HEADER, write_photos
from recordio_writer import flat, pack, png, write_records
from scipy.io import savemat
from shard_files import write_shards

from facerec.alignment.placement import template

Case = Callable[[Path], Sequence[object]]  # given the working folder, writes files and returns a command line


def pairs(form: str, text: str, *arguments: str) -> Case:
    """A list of pairs to prepare; there are images in the folder and above it."""

    def written(inside: Path) -> Sequence[object]:
        for folder in (inside / "images", inside, inside.parent):
            for name in ("secret.png", "secret_0001.png", "a.png", "b.png"):
                write_image(folder / name, plain(RED))
        write_text(inside / "pairs.txt", text)
        return "prepare_benchmark", form, "images=images", "pairs=pairs.txt", "root=out", *arguments

    return written


def listed(line: str, *arguments: str) -> Case:
    return pairs("list", 10 * f"a.png b.png 1\n{line}\n", *(arguments or ("name=own",)))


def cfp(path: str) -> Case:
    def written(inside: Path) -> Sequence[object]:
        pairs("list", "")(inside)
        frontal = [f"{number} {path}/secret.png" for number in (1, 2)] + ["3 x/y/b.png"]
        write_text(inside / "protocol/Pair_list_F.txt", "\n".join(frontal) + "\n")
        for fold in range(1, 11):
            write_text(inside / f"protocol/Split/FF/{fold:02d}/same.txt", "1,2\n")
            write_text(inside / f"protocol/Split/FF/{fold:02d}/diff.txt", "1,3\n")
        return "prepare_benchmark", "cfp_ff", "images=images", "protocol=protocol", "root=out"

    return written


def agedb(inside: Path) -> Sequence[object]:
    pairs("list", "")(inside)
    names = np.empty((2, 2), object)
    names[:] = [[{"name": "../secret"}, {"name": "a"}], [{"name": "a"}, {"name": "../secret"}]]
    splits = np.empty((10, 1), object)
    splits[:, 0] = [{"pairs": names, "answers": [[1.0, -1.0]]}] * 10
    savemat(inside / "protocol.mat", {"splits": splits})
    return "prepare_benchmark", "agedb_30", "images=images", "pairs=protocol.mat", "root=out"


def unpacked(name: str) -> Case:
    def written(inside: Path) -> Sequence[object]:
        (inside / "lfw.bin").write_bytes(pickle.dumps(([png(0), png(1)], [True])))
        return "prepare_benchmark", "bin", "lfw.bin", "root=out", f"name={name}"

    return written


def packed(name: str) -> Case:
    def written(inside: Path) -> Sequence[object]:
        write_benchmark(inside.parent, "secret", 10)
        return "prepare_benchmark", "to-bin", "root=data", f"name={name}", "out=out/lfw.bin"

    return written


def extracted(labels: Sequence[float], index: str | None = None, keys: Sequence[int] = (0, 1)) -> Case:
    """An archive to extract, with such labels and keys, and an index of this text."""

    def written(inside: Path) -> Sequence[object]:
        contents = {key: pack(label, key % 2**64, png(key % 5)) for key, label in zip(keys, labels, strict=True)}
        write_records(inside / "train.rec", contents, index=False)
        if index is not None:
            (inside / "train.idx").write_text(index)
        return "recordio", "extract", "train.rec", "out"

    return written


def with_property(inside: Path) -> Sequence[object]:
    write_records(inside / "train.rec", flat([0.0, 1.0], [png(0), png(1)]))
    (inside / "property").write_text("../../secret,112,112\n../../secret\n")
    return "recordio", "extract", "train.rec", "out"


def built(text: str) -> Case:
    def written(inside: Path) -> Sequence[object]:
        write_faces(inside / "faces")
        write_image(inside.parent / "secret.png", plain(RED))
        write_text(inside / "faces/train.txt", text.format(outside=inside.parent))
        return "recordio", "build", "faces/train", "out", "list=faces/train.txt"

    return written


def sharded(text: str, *arguments: str) -> Case:
    def written(inside: Path) -> Sequence[object]:
        built(text)(inside)
        data = ["data=folder", "data.root=faces", "data.train_list=train.txt", "data.benchmarks=[pairs]"]
        return "write_shards", *data, "data.num_workers=0", "out=out", *arguments

    return written


def aligned(path: str) -> Case:
    """Photographs to align, with landmarks of another image."""

    def written(inside: Path) -> Sequence[object]:
        write_photos(inside / "photos", 2)
        write_image(inside.parent / "secret.png", plain(RED, (160, 200)))
        points = (template(112) + 20).ravel().tolist()
        names = ["ann é/0.png", path.format(outside=inside.parent)]
        rows = [HEADER, *([name, *points] for name in names)]
        write_text(inside / "points.csv", "\n".join(",".join(map(str, row)) for row in rows))
        return "align_faces", "photos", "out", "landmarks=points.csv", "workers=1"

    return written


def linked(inside: Path) -> Sequence[object]:
    """Photographs with a link to a folder outside."""
    arguments = aligned("ann é/1.png")(inside)
    write_image(inside.parent / "elsewhere" / "x.png", plain(RED, (160, 200)))
    (inside / "photos" / "link").symlink_to(inside.parent / "elsewhere")
    return arguments


def streamed(change: Callable[[dict[str, Any]], object]) -> Case:
    """Shards whose list of files is changed."""

    def written(inside: Path) -> Sequence[object]:
        write_faces(inside / "faces")
        write_shards(inside / "faces", inside / "shards", "pairs")
        for path in (inside / "shards" / "train").iterdir():
            (inside.parent / path.name).write_bytes(path.read_bytes())
        manifest = inside / "shards/train/shards.json"
        content = json.loads(manifest.read_text())
        change(content)
        manifest.write_text(json.dumps(content))
        data = ["data=streaming", "data.root=shards", "data.benchmarks=[pairs]", "data.num_workers=0"]
        return "check_data", *data, "out=out"

    return written


def checked(benchmark: str) -> Case:
    def written(inside: Path) -> Sequence[object]:
        write_faces(inside / "faces")
        for folder in (inside, inside.parent):
            (folder / "secret.bin").write_bytes(pickle.dumps(([png(0), png(1)] * 20, [True, False] * 10)))
        data = ["data=folder", "data.root=faces", f"data.benchmarks=[{benchmark}]", "data.num_workers=0"]
        return "write_shards", *data, "out=out/deep"

    return written


CASES: dict[str, Case] = {
    "LFW's pairs, a name above": pairs("lfw", "10\t1\n" + 10 * "../secret\t1\t1\n../secret\t1\ta\t1\n"),
    "LFW's pairs, an absolute name": pairs("lfw", "10\t1\n" + 10 * "/tmp/secret\t1\t1\n/tmp/secret\t1\ta\t1\n"),
    "CALFW's pairs": pairs(
        "calfw",
        "".join(f"../secret.png {n}\na.png {n}\n" for n in range(1, 11)) + 10 * "a.png 0\n../secret.png 0\n",
    ),
    "CPLFW's pairs": pairs("cplfw", 10 * "/tmp/secret.png 1\na.png 1\n" + 10 * "a.png 0\n/tmp/secret.png 0\n"),
    "AgeDB's pairs": agedb,
    "CFP's pairs, above": cfp("../.."),
    "CFP's pairs, an absolute path": cfp("/tmp/x"),
    "pairs above": listed("../secret.png b.png -1"),
    "pairs in between": listed("x/../../secret.png b.png -1"),
    "absolute pairs": listed("/tmp/secret.png b.png -1"),
    "pairs with a line break of Windows": listed("..\\secret.png b.png -1"),
    "a benchmark's name above": listed("a.png b.png -1", "name=../escaped"),
    "a benchmark's absolute name": listed("a.png b.png -1", "name=/tmp/escaped"),
    "a benchmark's name of dots": listed("a.png b.png -1", "name=.."),
    "a verification set's name": unpacked("../escaped"),
    "a verification set's name of a folder": unpacked("deeper/name"),
    "a verification set of a benchmark above": packed("../secret"),
    "negative labels of an archive": extracted([-1.0, 2.0]),
    "labels that are no numbers": extracted([float("nan"), 1.0]),
    "endless labels": extracted([float("inf"), 1.0]),
    "labels of 30 digits": extracted([1e30, 1.0]),
    "negative keys": extracted([0.0, 1.0], f"-1\t0\n1\t{8 + len(pack(0.0, 0, png(0))) + 3 & ~3}\n"),
    "keys that are paths": extracted([0.0, 1.0], "../../secret\t0\n1\t200\n"),
    "an index that leads out of the file": extracted([0.0, 1.0], "0\t0\n1\t99999999\n"),
    "the largest keys": extracted([0.0, 1.0], None, (2**64 - 1, 2**63)),
    "a property file of paths": with_property,
    "a list above": built("../../secret.png\tann\n"),
    "an absolute list": built("{outside}/secret.png\tann\n"),
    "identities that are paths": built("ann/0.png\t../../escaped\nbob/0.png\t/tmp/escaped\n"),
    "shards of a list above": sharded("../secret.png\tann\n"),
    "shards of an absolute list": sharded("{outside}/secret.png\tann\nann/0.png\tbob\n"),
    "shards of identities that are paths": sharded("ann/0.png\t../../escaped\nbob/0.png\t..\n"),
    "shards of a benchmark above": checked("../../secret"),
    "shards of a benchmark beside": checked("../secret"),
    "shards of an absolute benchmark": checked("/tmp/secret"),
    "shards of a benchmark of dots": checked(".."),
    "a shard above": streamed(lambda content: content["shards"][0].update(file="../../../00000.tar")),
    "an absolute shard": streamed(lambda content: content["shards"][0].update(file="/tmp/00000.tar")),
    "an index of shards above": streamed(lambda content: content["index"].update(file="../../../index.npz")),
    "a digest that is a path": streamed(lambda content: content["shards"][0].update(sha256="../../escaped")),
    "a fingerprint that is a path": streamed(lambda content: content.update(fingerprint="../../escaped")),
    "landmarks of an image above": aligned("../secret.png"),
    "landmarks of an absolute image": aligned("{outside}/secret.png"),
    "photographs behind a link": linked,
}
