"""Checkpoints that are not what they should be, in structure or in size."""

import copy
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

Content = dict[str, Any]


def with_part(place: str, value: object) -> Callable[[Content], Content]:
    """Changes one part; a dot leads deeper."""

    def change(content: Content) -> Content:
        node = content
        *nodes, last = place.split("/")
        for key in nodes:
            node = node[key]
        node[last] = value
        return content

    return change


def without(key: str) -> Callable[[Content], Content]:
    return lambda content: {name: value for name, value in content.items() if name != key}


def instead(value: object) -> Callable[[Content], object]:
    return lambda _: value


def deep(levels: int) -> list[Any]:
    nested: list[Any] = []
    for _ in range(levels):
        nested = [nested]
    return nested


def laughs() -> list[Any]:
    """A list of 10^50 entries in little memory."""
    found: list[Any] = ["ha"]
    for _ in range(50):
        found = [found] * 10
    return found


def itself() -> dict[str, Any]:
    found: dict[str, Any] = {}
    found["itself"] = found
    return found


def with_weight(change: Callable[[torch.Tensor], object]) -> Callable[[Content], Content]:
    """Changes the first weight of the backbone."""

    def changed(content: Content) -> Content:
        name = next(name for name in content["state_dict"] if name.startswith("backbone.") and name.endswith("weight"))
        content["state_dict"][name] = change(content["state_dict"][name])
        return content

    return changed


CHANGES: dict[str, Callable[[Content], object]] = {
    "a list": instead([1, 2]),
    "a number": instead(3),
    "a tensor": instead(torch.zeros(3)),
    "an empty dictionary": instead({}),
    "no configuration": without("config"),
    "no weights": without("state_dict"),
    "no epoch": without("epoch"),
    **{f"a configuration that is {value!r}": with_part("config", value) for value in (None, [], "text", 3, {})},
    **{f"weights that are {value!r}": with_part("state_dict", value) for value in (None, [], {}, "text")},
    **{f"an epoch that is {value!r}": with_part("epoch", value) for value in (None, "3", 1.5, -1, 10**30, True)},
    "weights under a number": with_part("state_dict", {1: torch.ones(1)}),
    "weights that are text": with_weight(lambda _: "text"),
    "weights in a dictionary": with_weight(lambda weight: {"weight": weight}),
    "weights of another shape": with_weight(lambda weight: weight[:1]),
    "weights of no dimension": with_weight(lambda _: torch.tensor(1.0)),
    "complex weights": with_weight(lambda weight: weight.to(torch.complex64)),
    "weights of truth values": with_weight(lambda weight: weight > 0),
    "weights that are not finite": with_weight(lambda weight: weight * float("nan")),
    "weights without storage": with_weight(lambda weight: weight.to("meta")),
    "sparse weights": with_weight(lambda weight: weight.to_sparse()),
    "weights of a terabyte in a byte": with_weight(lambda _: torch.zeros(1).expand(10**6, 10**6)),
    "a configuration without end": with_part("config/data/seed", deep(300)),
    "a configuration of 10^50 entries": with_part("config/data/seed", laughs()),
    "a configuration in itself": with_part("config/data/seed", itself()),
    "a configuration of a million entries": with_part("config/data/seed", ["x"] * 1_000_000),
    "a network a million times as wide": with_part("config/backbone/width", 10**6),
    "a network of a width that is no number": with_part("config/backbone/width", float("nan")),
    "a network of negative width": with_part("config/backbone/width", -1.0),
    "images of a million pixels a side": with_part("config/data/image_size", [10**6, 10**6]),
    "images of text": with_part("config/data/image_size", "large"),
    "embeddings of 10^12 elements": with_part("config/backbone/embedding_dim", 10**12),
    "a filter of a million pixels": with_part("config/operator/kernel_size", 10**6 + 1),
    "a width of 10^50 entries": with_part("config/backbone/width", laughs()),
    "a width that is a set": with_part("config/backbone/width", {1, 2}),
    "settings under a number": with_part("config/backbone/7", 1),
    "settings under numbers": with_part("config/operator", {1: 2, None: 3}),
    "a backbone that is a head": with_part("config/backbone/_target_", "facerec.heads.AMSoftmax"),
    "a partial backbone": with_part("config/backbone/_partial_", True),
    "callbacks in a list": with_part("callbacks", [1]),
    "no loops": with_part("loops", None),
    "loops of text": with_part("loops", {"fit_loop": {"epoch_progress": "text"}}),
    "a place inside an epoch without end": with_part("inside_epoch", deep(300)),
    "an older Lightning": with_part("pytorch-lightning_version", "0.1"),
}


def changed(path: Path, name: str, run: Path) -> None:
    """Write the checkpoint of the run with the change of that name."""
    content = torch.load(run / "last.ckpt", weights_only=True)
    torch.save(CHANGES[name](copy.deepcopy(content)), path)


def rezipped(path: Path, run: Path, record: Callable[[str, bytes], bytes], compression: int = 0) -> None:
    """Write the checkpoint of the run with each record as ``record`` gives it."""
    with zipfile.ZipFile(run / "last.ckpt") as old, zipfile.ZipFile(path, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, record(name, old.read(name)))


def grown(path: Path, run: Path) -> None:
    """A record of two gigabytes that take two megabytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        with new.open("archive/data/0", "w", force_zip64=True) as record:
            for _ in range(2048):
                record.write(bytes(1 << 20))
        with zipfile.ZipFile(run / "last.ckpt") as old:
            new.writestr("archive/data.pkl", old.read(next(n for n in old.namelist() if n.endswith("data.pkl"))))


def crowded(path: Path, run: Path) -> None:
    """A hundred thousand records beside the usual ones."""
    with zipfile.ZipFile(run / "last.ckpt") as old, zipfile.ZipFile(path, "w") as new:
        folder = old.namelist()[0].split("/")[0]
        for name in old.namelist():
            new.writestr(name, old.read(name))
        for number in range(100_000):
            new.writestr(f"{folder}/other/{number}", b"")


def overlapping(path: Path, run: Path) -> None:
    """A directory with one record under a hundred thousand names."""
    with zipfile.ZipFile(path, "w") as new:
        new.writestr("archive/data.pkl", bytes(1 << 20))
        new.filelist *= 100_000


def stolen(path: Path, run: Path) -> None:
    """Records with names that lead out of a folder."""
    with zipfile.ZipFile(run / "last.ckpt") as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(f"../../{name}", old.read(name))


ARCHIVES: dict[str, Callable[[Path, Path], None]] = {
    "two gigabytes in two megabytes": grown,
    "a hundred thousand records": crowded,
    "one record under a hundred thousand names": overlapping,
    "records that lead out": stolen,
    "compressed records": lambda path, run: rezipped(path, run, lambda _, data: data, zipfile.ZIP_DEFLATED),
    "empty records": lambda path, run: rezipped(path, run, lambda name, data: data * name.endswith("data.pkl")),
    "half of each record": lambda path, run: rezipped(
        path, run, lambda name, data: data[: len(data) // 2] if "/data/" in name else data
    ),
    "a pickle that is another's": lambda path, run: rezipped(
        path, run, lambda name, data: b"\x80\x02I1\n." if name.endswith("data.pkl") else data
    ),
    "a pickle of a list without end": lambda path, run: rezipped(
        path, run, lambda name, data: b"\x80\x02" + b"(" * 10**6 if name.endswith("data.pkl") else data
    ),
    "a pickle of ten gigabytes": lambda path, run: rezipped(
        path,
        run,
        lambda name, data: b"\x80\x02cbuiltins\nbytearray\nI10000000000\n\x85R." if name.endswith("data.pkl") else data,
    ),
    "no zip file": lambda path, run: path.write_bytes(b"hello" * 1000) and None,
    "an empty file": lambda path, run: path.write_bytes(b"") and None,
}


def write(path: Path, name: str, run: Path) -> None:
    ARCHIVES[name](path, run) if name in ARCHIVES else changed(path, name, run)
