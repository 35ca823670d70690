"""A training whose loading processes start afresh, as on macOS, on Windows and from Python 3.14 on."""

import os
import subprocess
import sys

from running import DEPTHWISE, ONE_EPOCH, ROOT, only_run

PROGRAM = """
import sys
from pathlib import Path
import torch.multiprocessing
from running import train

torch.multiprocessing.set_start_method("spawn")
sys.exit(train(Path.cwd(), *sys.argv[1:]))
"""


def test_a_training_with_a_loading_process_that_is_spawned(tmp_path):
    settings = [*DEPTHWISE, *ONE_EPOCH, "data.num_workers=1", "data.cache=null", "logger=none"]
    path = os.pathsep.join([str(ROOT / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])])
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *settings],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert (only_run(tmp_path) / "best.ckpt").is_file()
