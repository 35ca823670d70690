import errno
import os
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest
from image_files import write_image
from says import refuses

from facerec.alignment.outputs import NameTooLong, Origin, read_origin, write_aligned
from facerec.errors import InputError

ORIGIN = Origin("abc", 1.25, [(38.29, 51.7), None, (56.03, 71.74), None, (70.73, 92.2)])


def face() -> np.ndarray:
    return cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (112, 112, 3)).astype(np.uint8), (0, 0), 2)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_face_on_disk_says_what_it_was_made_of(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "zoë" / f"a b{suffix}"
    write_aligned(path, face(), ORIGIN)
    read = read_origin(path)
    assert read is not None
    assert (read.key, read.residual, read.is_mirrored) == ("abc", 1.25, False)
    assert read.points == [[38.29, 51.7], None, [56.03, 71.74], None, [70.73, 92.2]]
    decoded = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.abs(decoded.astype(int) - face()).mean() < (2.5 if suffix == ".jpg" else 0.001)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_half_a_file_and_a_strangers_file_say_nothing(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    assert read_origin(path) is None
    write_aligned(path, face(), ORIGIN)
    path.write_bytes(path.read_bytes()[:-500])
    assert read_origin(path) is None
    path.write_text("no image")
    assert read_origin(path) is None
    write_image(path, face())
    assert read_origin(path) is None


@pytest.mark.parametrize("moment", ["write_bytes", "replace"])
def test_a_full_disk_leaves_the_face_that_was_there(tmp_path: Path, moment: str) -> None:
    path = tmp_path / "a.jpg"
    write_aligned(path, face(), ORIGIN)
    before = path.read_bytes()
    full = OSError(errno.ENOSPC, "No space left on device")
    target = Path if moment == "write_bytes" else os
    with (
        mock.patch.object(target, moment, side_effect=full),
        refuses("a.jpg", "No space left on device", "free space", error=InputError),
    ):
        write_aligned(path, face()[::-1], ORIGIN)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.jpg"]


def test_what_a_kill_leaves_is_no_image(tmp_path: Path) -> None:
    left: list[str] = []
    with mock.patch.object(os, "replace", lambda partial, _: left.append(Path(partial).suffix)):
        write_aligned(tmp_path / "a.jpg", face(), ORIGIN)
    assert left == [".partial"]


@pytest.mark.parametrize("moment", ["write_bytes", "replace"])
def test_an_interruption_leaves_nothing(tmp_path: Path, moment: str) -> None:
    def interrupted(path: Path, *_: object) -> None:
        path.touch()
        raise KeyboardInterrupt

    write_aligned(tmp_path / "a.jpg", face(), ORIGIN)
    target = Path if moment == "write_bytes" else os
    with mock.patch.object(target, moment, interrupted), pytest.raises(KeyboardInterrupt):
        write_aligned(tmp_path / "a.jpg", face(), ORIGIN)
    assert os.listdir(tmp_path) == ["a.jpg"]


def test_a_name_as_long_as_the_disk_allows_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * (os.pathconf(tmp_path, "PC_NAME_MAX") - 4) + ".jpg")
    write_aligned(path, face(), ORIGIN)
    assert read_origin(path) is not None


def test_a_name_that_is_too_long_for_the_disk_is_no_full_disk(tmp_path: Path) -> None:
    path = tmp_path / ("x" * os.pathconf(tmp_path, "PC_NAME_MAX") + ".jpg")
    with refuses("name", "too long", "rename", error=NameTooLong):
        write_aligned(path, face(), ORIGIN)
    assert os.listdir(tmp_path) == []
