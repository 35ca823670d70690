"""Whole folders, with the files that cameras and other programs write."""

import errno
import os
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest
from image_files import encode
from PIL import Image
from says import every, says

from facerec.alignment import align
from facerec.alignment.align import Alignment, Outcome, Settings, align_all
from facerec.alignment.crop import FixedCrop
from facerec.alignment.landmarks import ListedLandmarks
from facerec.alignment.paths import find_images, outputs
from facerec.alignment.placement import template
from facerec.data import decode
from facerec.data.decode import decode_rgb

SIDE, SHIFT = 180, 30
POINTS = template(112) + SHIFT


def photo() -> np.ndarray:
    """A smooth picture whose colours and places tell each other apart."""
    y, x = np.mgrid[:SIDE, :SIDE] * (255 / SIDE)
    return np.uint8(np.stack([x, y, 255 - (x + y) / 2], axis=-1))


def grey(picture: np.ndarray) -> np.ndarray:
    return np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=-1)


def cmyk(picture: np.ndarray) -> Image.Image:
    """Inks without black, as an image processor makes them."""
    inks = np.concatenate([255 - picture, np.zeros((SIDE, SIDE, 1), np.uint8)], axis=-1)
    return Image.frombytes("CMYK", (SIDE, SIDE), inks.tobytes())


def write_photos(folder: Path) -> dict[str, np.ndarray]:
    """One picture in all kinds of files, and what each should look like."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = photo()
    plain = Image.fromarray(picture)
    plain.save(folder / "plain.jpg", quality=98, subsampling=0)
    Image.fromarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)).save(folder / "grey ünï.png")
    (folder / "sixteen.png").write_bytes(encode(picture.astype(np.uint16) * 257, ".png"))
    (folder / "sixteen too.tiff").write_bytes(encode(picture.astype(np.uint16) * 257, ".tiff"))
    Image.fromarray(picture[..., 0].astype(np.uint16) * 257).save(folder / "sixteen grey.png")
    cmyk(picture).save(folder / "cmyk.jpg", quality=98, subsampling=0)
    plain.convert("RGBA").save(folder / "transparent.png")
    plain.quantize(256).save(folder / "palette.png")
    expected = dict.fromkeys(("plain.jpg", "sixteen.png", "sixteen too.tiff", "cmyk.jpg", "transparent.png"), picture)
    return {
        **expected,
        "palette.png": picture,
        "grey ünï.png": grey(picture),
        "sixteen grey.png": np.repeat(picture[..., :1], 3, axis=-1),
    }


def alignment(source: Path, target: Path, listed: dict[str, np.ndarray], **settings: object) -> Alignment:
    paths = find_images(source, target)
    return Alignment(
        source,
        target,
        outputs(paths, ".png"),
        ListedLandmarks(listed),
        Settings(**settings),  # type: ignore[arg-type]
    )


def run(
    source: Path, target: Path, listed: dict[str, np.ndarray], workers: int = 0, **settings: object
) -> list[Outcome]:
    return list(align_all(alignment(source, target, listed, **settings), workers))


def face(path: Path) -> np.ndarray:
    return decode_rgb(path.read_bytes(), path.name).astype(int)


@pytest.mark.parametrize("workers", [0, 2])  # there are nine images, and eight go to a process
def test_every_kind_of_file_becomes_the_same_face(tmp_path: Path, workers: int) -> None:
    expected = write_photos(tmp_path / "in" / "zoë b")
    (tmp_path / "in" / "zoë b" / "again.jpg").write_bytes((tmp_path / "in" / "zoë b" / "plain.jpg").read_bytes())
    expected["again.jpg"] = photo()
    listed = {f"zoë b/{name}": POINTS for name in expected}
    outcomes = run(tmp_path / "in", tmp_path / "out", listed, workers)
    assert [outcome.path for outcome in outcomes] == sorted(listed)
    assert every(outcome.is_new and not outcome.reason for outcome in outcomes)
    for name, picture in expected.items():
        aligned = face((tmp_path / "out" / "zoë b" / name).with_suffix(".png"))
        tolerance = 8 if name == "palette.png" else 3
        assert np.abs(aligned - picture[SHIFT:, SHIFT:][:112, :112]).mean() < tolerance, name


# What each EXIF orientation does to the picture before it is stored.
STORED = {1: lambda p: p, 3: lambda p: p[::-1, ::-1], 6: lambda p: np.rot90(p, 1), 8: lambda p: np.rot90(p, 3)}


@pytest.mark.parametrize("orientation", STORED)
def test_a_photo_that_lies_on_its_side_is_turned_first(tmp_path: Path, orientation: int) -> None:
    write_turned(tmp_path / "in", orientation)
    (outcome,) = run(tmp_path / "in", tmp_path / "out", {"phone.jpg": POINTS}, upright=True)
    assert not outcome.reason
    assert np.abs(face(tmp_path / "out/phone.png") - photo()[SHIFT:, SHIFT:][:112, :112]).mean() < 2


def test_landmarks_in_stored_pixels_are_taken_as_they_are(tmp_path: Path) -> None:
    write_turned(tmp_path / "in", 6)
    x, y = POINTS.T
    stored = np.stack([y, SIDE - 1 - x], axis=1)  # where a quarter turn to the left takes them
    (outcome,) = run(tmp_path / "in", tmp_path / "out", {"phone.jpg": stored}, upright=False)
    assert outcome.residual == pytest.approx(0, abs=1e-9)
    assert np.abs(face(tmp_path / "out/phone.png") - photo()[SHIFT:, SHIFT:][:112, :112]).mean() < 2


def write_turned(folder: Path, orientation: int) -> None:
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation](photo()))
    Image.fromarray(stored).save(folder / "phone.jpg", quality=98, subsampling=0, exif=exif)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_nobody_waits_for_a_named_pipe(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    os.mkfifo(tmp_path / "in" / "pipe.png")
    (outcome,) = run(tmp_path / "in", tmp_path / "out", {"pipe.png": POINTS}, 0)
    assert says(outcome.reason, "cannot be read", "pipe")


def test_what_cannot_be_aligned_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    source = tmp_path / "in"
    write_photos(source)
    (source / "cut.jpg").write_bytes((source / "plain.jpg").read_bytes()[:900])
    (source / "empty.png").touch()
    (source / "text.jpg").write_text("no image")
    (source / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    (source / "gone.jpg").symlink_to(source / "nowhere")
    (source / "itself.jpg").symlink_to(source / "itself.jpg")
    names = ["cut.jpg", "empty.png", "text.jpg", "phone.heic", "gone.jpg", "itself.jpg", "plain.jpg"]
    outcomes = {one.path: one.reason for one in run(source, tmp_path / "out", dict.fromkeys(names, POINTS), 2)}
    assert outcomes["plain.jpg"] == ""
    assert says(outcomes["cut.jpg"], "cut.jpg", "cut off", "900 bytes")
    assert says(outcomes["empty.png"], "empty.png", "is empty")
    assert says(outcomes["text.jpg"], "text.jpg", "decoded")
    assert says(outcomes["phone.heic"], "phone.heic", "decoded")
    assert says(outcomes["gone.jpg"], "cannot be read", "No such file or directory")
    assert says(outcomes["itself.jpg"], "cannot be read", "Too many levels of symbolic links")
    assert says(outcomes["palette.png"], "no landmarks", "add a line")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["plain.png"]


def test_a_second_run_makes_only_what_is_missing_or_changed(tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    listed = {name: POINTS + 0.25 for name in write_photos(source)}
    first = run(source, target, listed)
    again = run(source, target, listed)
    assert [outcome._replace(is_new=True) for outcome in again] == first
    assert not any(outcome.is_new for outcome in again)

    (target / "plain.png").unlink()
    (target / "cmyk.png").write_bytes((target / "cmyk.png").read_bytes()[:-100])
    os.utime(source / "transparent.png", (1, 1))
    listed["palette.png"] = POINTS
    made = [outcome.path for outcome in run(source, target, listed) if outcome.is_new]
    assert made == ["cmyk.jpg", "palette.png", "plain.jpg", "transparent.png"]


@pytest.mark.parametrize("settings", [{"size": 96}, {"border": "reflect"}, {"upright": False}, {"again": True}])
def test_other_settings_make_everything_again(tmp_path: Path, settings: dict[str, object]) -> None:
    listed = dict.fromkeys(write_photos(tmp_path / "in"), POINTS)
    run(tmp_path / "in", tmp_path / "out", listed)
    assert every(outcome.is_new for outcome in run(tmp_path / "in", tmp_path / "out", listed, **settings))


@pytest.mark.parametrize(
    ("images", "asked", "started"), [(1, 500, 0), (8, 500, 0), (9, 500, 2), (17, 2, 2), (17, 1, 0)]
)
def test_no_more_processes_are_started_than_have_work(tmp_path: Path, images: int, asked: int, started: int) -> None:
    for number in range(images):
        (tmp_path / f"{number}.jpg").touch()
    loaders: list[int] = []
    loader = mock.Mock(side_effect=lambda *_, num_workers, **__: loaders.append(num_workers) or [])
    with mock.patch.object(align, "DataLoader", loader):
        run(tmp_path, tmp_path / "out", {}, asked)
    assert loaders == [started]


def test_a_name_that_is_too_long_for_the_disk_is_a_failure_of_its_image(tmp_path: Path) -> None:
    write_photos(tmp_path / "in")
    too_long = OSError(errno.ENAMETOOLONG, "File name too long")
    with mock.patch.object(os, "replace", side_effect=too_long):
        outcomes = run(tmp_path / "in", tmp_path / "out", {"plain.jpg": POINTS})
    reasons = {outcome.path: outcome.reason for outcome in outcomes}
    assert says(reasons["plain.jpg"], "name", "too long", "rename")


@pytest.mark.parametrize("changed", ["alignment", "placer", "decoder", None])
def test_another_version_makes_the_face_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str | None
) -> None:
    write_photos(tmp_path / "in")
    placer = FixedCrop(0, 0, 112)

    def is_new() -> bool:
        work = Alignment(tmp_path / "in", tmp_path, {"plain.jpg": "plain.png"}, placer, Settings())
        (outcome,) = align_all(work, 1)
        return outcome.is_new

    assert is_new()
    if changed == "alignment":
        monkeypatch.setattr(align, "VERSION", align.VERSION + 1)
    elif changed == "placer":
        monkeypatch.setattr(FixedCrop, "version", FixedCrop.version + 1)
    elif changed == "decoder":
        monkeypatch.setattr(decode, "DECODER", "another")
    assert is_new() == (changed is not None)
