"""A disk that fills while a network is written: a sentence, no file, and never the end of the process."""

import subprocess
import sys

import pytest
from says import says

# Files may have 10,000 bytes, and the weights take more: writing fails as on a full disk. This is a process of its own
# since PyTorch's writer would abort it.
WRITE = """
import resource, signal, sys
from pathlib import Path

import torch

from facerec.exporting import formats
from facerec.files import replacing
from facerec.frontal.classifier import FrontalClassifier, save_classifier


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(48, 1000)

    def forward(self, pixels):
        return self.linear(pixels.float().flatten(1))


signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path, network = Path(sys.argv[1]), Network().eval()
classifier = FrontalClassifier(0.25, 64)
if path.suffix == ".onnx":
    import facerec.exporting.onnx_format
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
if path.name == "frontal.pt":
    save_classifier(classifier, path, {})
with replacing(path) as partial:
    by_suffix = {suffix: format for format, suffix in formats.SUFFIXES.items()}
    formats.write(by_suffix[path.suffix], network, torch.zeros(2, 4, 4, 3, dtype=torch.uint8), {}, partial)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files as POSIX does")
@pytest.mark.parametrize("name", ["net.onnx", "net.pt", "frontal.pt"])
def test_what_was_there_stays(name, tmp_path):
    (tmp_path / name).write_bytes(b"old")
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WRITE, tmp_path / name], capture_output=True, text=True
    )
    assert ended.returncode == 1, ended.stderr
    assert says(ended.stderr.splitlines()[-1], "InputError", name, "cannot be written", "free space")
    assert [path.name for path in tmp_path.iterdir()] == [name] and (tmp_path / name).read_bytes() == b"old"
