"""A bit of a stored network that was flipped, anywhere in its file, is found; the file is not used."""

import random
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

import onnx
import pytest
import torch
from says import refuses

from facerec.errors import InputError
from facerec.exporting import formats
from facerec.files import check_zip
from facerec.frontal.classifier import FrontalClassifier, load_classifier, save_classifier
from facerec.training.checkpoints import load_checkpoint

PIXELS = torch.randint(0, 256, (2, 4, 4, 3), dtype=torch.uint8)


class Small(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(48, 16)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.linear(pixels.float().flatten(1))


def write(path: Path) -> None:
    formats_by_suffix = {suffix: format for format, suffix in formats.SUFFIXES.items()}
    if path.name == "a.ckpt":
        torch.save({"config": {}, "state_dict": {"weight": torch.randn(100)}, "epoch": 1}, path)
    elif path.name == "frontal.pt":
        save_classifier(FrontalClassifier(0.1, 32), path, {})
    else:
        formats.write(formats_by_suffix[path.suffix], Small().eval(), PIXELS, {"config": "{}"}, path)


def held(path: Path) -> list[float]:
    """What the file gives to a reader."""
    if path.name == "a.ckpt":
        return load_checkpoint(path)["state_dict"]["weight"].tolist()
    if path.name == "frontal.pt":
        return [value.double().sum().item() for value in load_classifier(path).state_dict().values()]
    return formats.read(path).embed(PIXELS.numpy()).tolist()


@pytest.mark.parametrize("name", ["a.ckpt", "frontal.pt", "net.onnx", "net.pt"])
def test_a_flipped_bit_changes_nothing_silently(name, tmp_path):
    write(tmp_path / name)
    whole, before, refused = (tmp_path / name).read_bytes(), held(tmp_path / name), 0
    draw = random.Random(1)
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        (tmp_path / name).write_bytes(damaged)
        try:
            assert held(tmp_path / name) == before  # a bit that nobody reads, such as padding
        except InputError as error:
            refused += name in str(error)
    assert refused > 30


def archive(path: Path, *contents: bytes, compression: int = ZIP_STORED) -> Path:
    with ZipFile(path, "w", compression) as file:
        for number, content in enumerate(contents):
            file.writestr(str(number), content)
    return path


def test_a_small_file_that_grows_is_refused_unread(tmp_path):
    bomb = archive(tmp_path / "a.zip", bytes(1 << 20), compression=ZIP_DEFLATED)
    with pytest.raises(BadZipFile):
        check_zip(bomb)
    check_zip(bomb, compressed=True)


def test_an_onnx_file_without_a_digest_is_one_of_an_older_version(tmp_path):
    write(tmp_path / "net.onnx")
    before, model = held(tmp_path / "net.onnx"), onnx.load(tmp_path / "net.onnx")
    onnx.helper.set_model_props(model, {"config": "{}"})
    onnx.save(model, tmp_path / "net.onnx")
    assert held(tmp_path / "net.onnx") == before


def test_an_onnx_file_that_another_program_changed_is_refused(tmp_path):
    write(tmp_path / "net.onnx")
    model = onnx.load(tmp_path / "net.onnx")
    model.graph.name = "another"
    onnx.save(model, tmp_path / "net.onnx")
    with refuses("net.onnx", "digest", "export it again", error=InputError):
        held(tmp_path / "net.onnx")
