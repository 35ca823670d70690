"""Pairs, data and settings at the edge of what can be verified and trained: a sentence, or numbers that are right."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from attack_endings import check_results, ending, limit_memory
from attack_row import Row
from forked_program import Program
from image_files import plain, write_image, write_noise, write_text
from running import DEPTHWISE, ONE_EPOCH

from facerec.verification.protocols import PROTOCOLS
from facerec.verification.verify import VerificationResult, verify

RNG = np.random.default_rng(0)
LEFT, RIGHT = RNG.normal(size=(2, 40, 8))
SAME = np.arange(40) % 2 == 0
ALIKE = np.ones((40, 8))
AXES = np.eye(8)[np.arange(40) % 8]
OTHER_AXES = np.where(SAME[:, None], AXES, np.roll(AXES, 1, axis=1))
USUAL, REFUSED, CHANCE = "as usual", "a sentence", {"tvconv": 0.5, "insightface": 0.5, "tvconv_reference": 0.0}


def with_value(value: float, places: Any = (3, 2)) -> np.ndarray:
    changed = LEFT.copy()
    changed[places] = value
    return changed


# left, right, is_same, and what is right: a sentence, the result of the usual pairs, an accuracy, or any of finite ones
PAIRS: dict[str, tuple[Any, Any, Any, Any]] = {
    "all alike": (ALIKE, ALIKE, SAME, CHANCE),
    "all alike, not of length 1": (0.3 * ALIKE, 7 * ALIKE, SAME, CHANCE),
    "a NaN": (with_value(np.nan), RIGHT, SAME, REFUSED),
    "NaN everywhere": (ALIKE * np.nan, ALIKE * np.nan, SAME, REFUSED),
    "an infinite number": (with_value(np.inf), RIGHT, SAME, REFUSED),
    "a negative infinite number": (with_value(-np.inf), RIGHT, SAME, REFUSED),
    "1e38": (LEFT * 1e38, RIGHT * 1e38, SAME, {"tvconv": USUAL, "insightface": USUAL, "tvconv_reference": REFUSED}),
    "1e-40": (LEFT * 1e-40, RIGHT * 1e-40, SAME, {"tvconv": USUAL, "insightface": USUAL, "tvconv_reference": REFUSED}),
    "1e200, whose square is infinite": (LEFT * 1e200, RIGHT, SAME, REFUSED),
    "1e-200, whose square is zero": (LEFT, RIGHT * 1e-200, SAME, REFUSED),
    "a row of zeros": (with_value(0, np.s_[3, :]), RIGHT, SAME, REFUSED),
    "one pair": (LEFT[:1], RIGHT[:1], SAME[:1], REFUSED),
    "no pair": (LEFT[:0], RIGHT[:0], SAME[:0], REFUSED),
    "9 pairs": (LEFT[:9], RIGHT[:9], SAME[:9], REFUSED),
    "10 pairs": (LEFT[:10], RIGHT[:10], SAME[:10], None),
    "same-person pairs only": (LEFT, RIGHT, SAME | True, REFUSED),
    "different-person pairs only": (LEFT, RIGHT, SAME & False, REFUSED),
    "one pair of the other kind": (LEFT, RIGHT, np.arange(40) == 0, None),
    "float16": (LEFT.astype(np.float16), RIGHT.astype(np.float16), SAME, USUAL),
    "a tensor in bfloat16": (torch.tensor(LEFT).bfloat16(), torch.tensor(RIGHT).bfloat16(), SAME, None),
    "lists": (LEFT.tolist(), RIGHT.tolist(), SAME.tolist(), USUAL),
    "in Fortran's order, backwards in memory": (np.asfortranarray(LEFT), RIGHT[:, ::-1][:, ::-1], SAME, USUAL),
    "integers": (np.sign(LEFT).astype(np.int8), np.sign(RIGHT).astype(np.int8), SAME, None),
    "each pair four times": (LEFT.repeat(4, 0), RIGHT.repeat(4, 0), SAME.repeat(4), USUAL),
    "the same pair forty times": (LEFT[:1].repeat(40, 0), RIGHT[:1].repeat(40, 0), SAME, 0.5),
    "people on axes of their own": (AXES, OTHER_AXES, SAME, 1.0),
    "opposite ones": (LEFT, -LEFT, SAME, None),
    "one dimension": (LEFT[:, :1], RIGHT[:, :1], SAME, None),
    "no dimension": (LEFT[:, :0], RIGHT[:, :0], SAME, REFUSED),
    "three axes": (LEFT[None], RIGHT[None], SAME, REFUSED),
    "a number": (1.0, 1.0, True, REFUSED),
    "nothing": (None, None, None, REFUSED),
    "words": (np.full((40, 8), "a"), RIGHT, SAME, REFUSED),
    "rows of several lengths": ([[1.0], [1.0, 2.0]] * 20, RIGHT, SAME, REFUSED),
    "complex numbers": (LEFT + 1j, RIGHT, SAME, REFUSED),
    "a complex tensor": (torch.tensor(LEFT + 1j), RIGHT, SAME, REFUSED),
    "sides of several lengths": (LEFT, RIGHT[:39], SAME, REFUSED),
    "sides of several dimensions": (LEFT, RIGHT[:, :7], SAME, REFUSED),
    "too few answers": (LEFT, RIGHT, SAME[:39], REFUSED),
    "answers in a column": (LEFT, RIGHT, SAME[:, None], REFUSED),
    "answers 1 and -1": (LEFT, RIGHT, np.where(SAME, 1, -1), REFUSED),
    "answers 1 and 0": (LEFT, RIGHT, SAME.astype(float), USUAL),
    "an answer that is NaN": (LEFT, RIGHT, np.where(np.arange(40) == 3, np.nan, SAME), REFUSED),
    "answers in words": (LEFT, RIGHT, np.where(SAME, "yes", "no"), REFUSED),
}


def test_pairs(row: Row) -> None:
    """verify() of degenerate pairs, by each protocol"""
    cases = [(name, protocol) for name in PAIRS for protocol in PROTOCOLS]
    for name, protocol in row.cases(cases, 40):
        left, right, is_same, right_answer = PAIRS[name]
        answer = right_answer[protocol] if isinstance(right_answer, dict) else right_answer
        with row.trial(f"{name}, {protocol}") as trial:
            try:
                result = verify(left, right, is_same, protocol)
            except ValueError as error:
                assert answer == REFUSED and "\n" not in str(error), error
                assert any(name in str(error) for name in ("pair", "left", "right", "is_same")), error
                trial.ending = "refused in a sentence"
                continue
            check_numbers(result, verify(LEFT, RIGHT, SAME, protocol).accuracy if answer == USUAL else answer)
            trial.ending = "numbers that are right" if answer is not None else "numbers in their range"


def check_numbers(result: VerificationResult, accuracy: float | str | None) -> None:
    json.dumps(result.summary(), allow_nan=False)
    rates = [result.accuracy, *result.fold_accuracies, result.auc, result.eer, *result.tar_at_far.values()]
    assert all(0 <= rate <= 1 for rate in rates), rates
    assert ((result.scores >= 0) & (result.scores <= 4 + 1e-6)).all()
    assert accuracy is None or result.accuracy == pytest.approx(accuracy), (result.accuracy, accuracy)


# Settings of a run on drawn faces, and what its sentence must say, or nothing if it ends well.
_SCHEDULE = "~lr_scheduler.milestones ~lr_scheduler.gamma ~lr_scheduler.warmup_epochs lr_scheduler._target_=torch.optim"
SETTINGS: dict[str, tuple[str, ...]] = {
    "trainer.precision=16-true": ("precision",),
    "trainer.precision=bf16-true": ("precision",),
    "trainer.precision=64-true": ("precision",),
    "trainer.precision=bf16-mixed": (),
    "trainer.precision=8": ("precision",),
    "+trainer.gradient_clip_val=nan": ("gradient_clip_val",),
    "+trainer.gradient_clip_val=-1": ("gradient_clip_val",),
    "+trainer.gradient_clip_val=1e-30": (),
    "+trainer.limit_val_batches=0": ("limit_val_batches",),
    "+trainer.limit_train_batches=0": ("limit_train_batches",),
    "+trainer.limit_train_batches=-1": ("limit_train_batches",),
    "+trainer.limit_train_batches=1": (),
    "+trainer.val_check_interval=0": ("val_check_interval",),
    "+trainer.check_val_every_n_epoch=0": ("check_val_every_n_epoch",),
    "+trainer.accumulate_grad_batches=0": ("accumulate_grad_batches",),
    "+trainer.accumulate_grad_batches=1000": (),
    "trainer.log_every_n_steps=0": (),
    "+trainer.max_steps=0": ("max_steps",),
    "+trainer.max_steps=-2": ("max_steps",),
    "trainer.max_epochs=0": ("max_epochs",),
    "trainer.max_epochs=-1": ("max_epochs",),
    "trainer.max_epochs=1.5": ("max_epochs",),
    "trainer.devices=0": ("devices",),
    "trainer.devices=1000000": ("devices",),
    "trainer.save_every=0": ("save_every",),
    "trainer.save_every=-1": ("save_every",),
    "trainer.save_every=often": ("save_every",),
    "trainer.save_every=1steps": (),
    "trainer.grace=-1": ("grace",),
    "trainer.grace=nan": ("grace",),
    "data.num_workers=300": ("num_workers",),
    "data.num_workers=1000000": ("num_workers",),
    "data.num_workers=-1": ("num_workers",),
    "data.global_batch_size=0": ("global_batch_size",),
    "data.global_batch_size=65": ("global_batch_size",),
    "data.num_identities=1": ("identit",),
    "data.num_identities=0": ("num_identities",),
    "data.images_per_identity=0": ("images_per_identity",),
    "data.num_pairs=9": ("pairs",),
    "data.num_test_identities=1": ("num_test_identities",),
    "data.benchmarks=[]": ("benchmarks",),
    "data.held_out_identities=7": ("identit",),
    "data.held_out_identities=-1": ("held_out_identities",),
    "data.cache=": ("cache",),
    "optimizer.lr=nan": ("optimizer.lr",),
    "optimizer.lr=inf": ("optimizer.lr",),
    "optimizer.lr=0": (),
    "optimizer.lr=-1": ("optimizer.lr",),
    "optimizer.lr=1e30": ("optimizer.lr", "loss"),
    "optimizer.momentum=-1": ("momentum",),
    "optimizer.weight_decay=nan": ("weight_decay",),
    "image_size=0": ("image_size",),
    "image_size=1": ("image_size",),
    "image_size=[10,10,10]": ("image_size",),
    "image_size=100000": ("image",),
    "width=0": ("width",),
    "width=nan": ("width",),
    "width=1e6": ("backbone", "memory", "smaller"),
    "embedding_dim=0": ("embedding_dim",),
    "embedding_dim=1": (),
    "embedding_dim=1000000000000": ("backbone", "memory", "smaller"),
    "operator.kernel_size=0": ("kernel_size",),
    "head.scale=nan": ("scale",),
    "head.margin=-1": ("margin",),
    "affine_strength=0": ("affine_strength",),
    "lr_scheduler.milestones=[3,1]": (),
    "lr_scheduler.milestones=[-1]": ("milestones", "-1"),
    "lr_scheduler.milestones=[1000000]": (),
    "lr_scheduler.milestones=3": ("milestones",),
    "lr_scheduler.gamma=nan": ("gamma",),
    "lr_scheduler.warmup_epochs=1": ("warmup_epochs",),
    f"{_SCHEDULE}.lr_scheduler.ReduceLROnPlateau": ("ReduceLROnPlateau",),
    f"{_SCHEDULE}.lr_scheduler.OneCycleLR": ("max_lr",),
    f"{_SCHEDULE}.lr_scheduler.OneCycleLR +lr_scheduler.max_lr=0.1 +lr_scheduler.total_steps=9": (),
    f"{_SCHEDULE}.lr_scheduler.StepLR +lr_scheduler.step_size=0": ("StepLR",),
    f"{_SCHEDULE}.lr_scheduler.CosineAnnealingLR +lr_scheduler.T_max=0": ("T_max",),
    f"{_SCHEDULE}.lr_scheduler.Nothing": ("Nothing",),
    "lr_scheduler=none": ("lr_scheduler",),
    "backbone=[1]": ("backbone",),
    "backbone=null": ("backbone",),
    "head=null": ("head",),
    "callbacks=null": ("callbacks",),
    "hydra.run.dir=2024_11": (),
    "hydra.run.dir=/dev/null": ("/dev/null",),
    "seed=-1": ("seed",),
    "seed=100000000000000000000": ("seed",),
    "seed=null": ("seed",),
    f"name={'n' * 300}": ("name", "255"),
    "name=..": ("name",),
    "name=/": ("name",),
    "resume=": ("resume",),
    "skip_finished=perhaps": ("skip_finished",),
}


def test_settings(row: Row, tmp_path: Path) -> None:
    """Degenerate settings of a training"""
    for number, (setting, facts) in enumerate(row.cases(list(SETTINGS.items()), 1)):
        with row.trial(setting) as trial:
            trial.ending = trained(tmp_path / str(number), [*DEPTHWISE, *ONE_EPOCH, *setting.split()], facts)


def trained(folder: Path, arguments: list[str], facts: tuple[str, ...]) -> str:
    """How a training ends, which keeps what was there, and which begins no epoch if its sentence says ``facts``."""
    write_text(folder / "outputs" / "mine" / "notes.txt", "mine")
    end = ending(Program(folder, "train", *arguments, first=limit_memory), *facts)
    assert (folder / "outputs" / "mine" / "notes.txt").read_text() == "mine"
    if facts:
        assert not list(folder.rglob("metrics.csv")) or "loss" in facts, "found only after an epoch"
    else:
        (results,) = folder.rglob("results.json")
        check_results(results.parent)
    return end


FACES = ("data=folder", "data.root=faces", "data.benchmarks=[odd]", "data.global_batch_size=4", "data.num_workers=0")


def images(root: Path, colours: list[tuple[int, int, int]], size: tuple[int, int] = (12, 12)) -> None:
    """In place of the images to train on: so many people, of two images each."""
    shutil.rmtree(root / "train")
    for number, colour in enumerate(colours):
        for image in range(2):
            write_image(root / "train" / str(number) / f"{image}.png", plain(colour, size))


def pairs(root: Path, *lines: str) -> None:
    write_text(root / "odd" / "odd_pair.txt", "".join(lines))


def pair_lines(number: int, flag: int | None = None) -> list[str]:
    return [f"{i % 13}.png {(i + 1) % 13}.png {flag or (-1) ** i}\n" for i in range(number)]


def replace(root: Path, name: str, content: bytes | np.ndarray, place: str = "train/0") -> None:
    """An image to train on, or of another ``place``, anew under this name."""
    (root / place / "0.png").unlink()
    path = root / place / name
    path.write_bytes(content if isinstance(content, bytes) else cv2.imencode(path.suffix.lower(), content)[1].tobytes())


NOISE = np.random.default_rng(1).integers(0, 256, (32, 32, 4)).astype(np.uint8)
ALL = [(n * 20, 9, 90) for n in range(6)]
# What is done to a folder of faces, further settings, and what the sentence must say, or nothing if it ends well.
DATA: dict[str, tuple[Callable[[Path], Any], tuple[str, ...]]] = {
    "constant images, all alike": (lambda root: images(root, [(9, 9, 9)] * 4), ("training set", "same")),
    "constant images, of another colour each person": (lambda root: images(root, ALL), ()),
    "constant images of a benchmark": (
        lambda root: [write_image(path, plain((9, 9, 9))) for path in (root / "odd" / "odd").iterdir()],
        ("odd", "same"),
    ),
    "one image a person": (
        lambda root: [path.unlink() for path in root.glob("train/*/*") if path.name != "0.png"],
        (),
    ),
    "one person": (lambda root: images(root, ALL[:1]), ("identit",)),
    "nobody": (lambda root: images(root, []), ("train",)),
    "no folder of images to train on": (lambda root: shutil.rmtree(root / "train"), ("train",)),
    "a folder of people without images": (
        lambda root: [path.unlink() for path in root.glob("train/*/*")],
        ("train",),
    ),
    "a person without images": (lambda root: (root / "train" / "empty").mkdir(), ("empty",)),
    "images and no people": (
        lambda root: [
            path.rename(root / "train" / f"{path.parent.name}{path.name}") for path in root.glob("train/*/*")
        ],
        ("train",),
    ),
    "an empty folder": (lambda root: (shutil.rmtree(root), root.mkdir()), ("faces",)),
    "no folder": (shutil.rmtree, ("faces",)),
    "a file as the folder": (lambda root: (shutil.rmtree(root), root.touch()), ("faces",)),
    "no list of pairs": (lambda root: (root / "odd" / "odd_pair.txt").unlink(), ("odd_pair.txt",)),
    "an empty list of pairs": (lambda root: pairs(root), ("odd",)),
    "a list of pairs of blank lines": (lambda root: pairs(root, "\n" * 20), ("odd",)),
    "one pair": (lambda root: pairs(root, *pair_lines(1)), ("odd",)),
    "9 pairs": (lambda root: pairs(root, *pair_lines(9)), ("odd", "9")),
    "10 pairs": (lambda root: pairs(root, *pair_lines(10)), ()),
    "pairs of one kind": (lambda root: pairs(root, *pair_lines(20, 1)), ("odd", "same-person")),
    "pairs of the other kind": (lambda root: pairs(root, *pair_lines(20, -1)), ("odd", "different-person")),
    "first all pairs of one kind": (lambda root: pairs(root, *pair_lines(20, 1), *pair_lines(20, -1)), ()),
    "each pair ten times": (lambda root: pairs(root, *pair_lines(4) * 10), ()),
    "pairs of an image and itself": (lambda root: pairs(root, *["0.png 0.png 1\n", "0.png 1.png -1\n"] * 10), ()),
    "pairs in Windows' lines": (lambda root: pairs(root, *(x.replace("\n", "\r\n") for x in pair_lines(20))), ()),
    "pairs in UTF-16": (
        lambda root: (root / "odd" / "odd_pair.txt").write_bytes("".join(pair_lines(20)).encode("utf-16")),
        ("odd_pair.txt",),
    ),
    "a pair with a third answer": (
        lambda root: pairs(root, *pair_lines(20), "0.png 1.png 3\n"),
        ("odd_pair.txt", "21"),
    ),
    "a pair without an answer": (lambda root: pairs(root, *pair_lines(20), "0.png 1.png\n"), ("odd_pair.txt", "21")),
    "a pair of a missing image": (lambda root: pairs(root, *pair_lines(20), "0.png gone.png 1\n"), ("gone.png",)),
    "an empty image": (lambda root: replace(root, "0.png", b""), ("train/0/0.png",)),
    "a text as an image": (lambda root: replace(root, "0.png", b"an image"), ("train/0/0.png",)),
    "an empty image of a benchmark": (lambda root: replace(root, "0.png", b"", "odd/odd"), ("odd/odd/0.png",)),
    "an image of one pixel": (lambda root: replace(root, "0.png", NOISE[:1, :1]), ()),
    "an image of one row": (lambda root: replace(root, "0.png", NOISE[:1].repeat(90, 1)), ()),
    "a grey image": (lambda root: replace(root, "0.png", NOISE[..., 0]), ()),
    "an image with an alpha channel": (lambda root: replace(root, "0.png", NOISE), ()),
    "an image of 16 bits": (lambda root: replace(root, "0.png", NOISE.astype(np.uint16) * 257), ()),
    "an image with another format's name": (
        lambda root: replace(root, "0.jpg", cv2.imencode(".png", NOISE)[1].tobytes()),
        (),
    ),
    "an image with its suffix in capitals": (lambda root: replace(root, "0.PNG", NOISE), ()),
    "other files beside images": (lambda root: write_text(root / "train" / "0" / "Thumbs.db", "x"), ()),
}


def test_data(row: Row, tmp_path: Path) -> None:
    """A training on degenerate data"""
    network = [part for part in DEPTHWISE if not part.startswith("data")]
    for number, (what, (make, facts)) in enumerate(row.cases(list(DATA.items()), 1)):
        with row.trial(what) as trial:
            write_noise(tmp_path / str(number) / "faces")
            make(tmp_path / str(number) / "faces")
            trial.ending = trained(tmp_path / str(number), [*network, *ONE_EPOCH, *FACES], facts)
