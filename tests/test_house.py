"""The package's structure: where a module may be, and what its import may change."""

import json
import subprocess
import sys
from collections import Counter

from running import ROOT

PACKAGE = ROOT / "src" / "facerec"
MODULES = [path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"]


def test_no_two_modules_have_the_same_file_name():
    counts = Counter(path.name for path in MODULES)
    assert len(counts) > 100 and max(counts.values()) == 1, counts.most_common(3)


def test_few_modules_are_outside_of_a_package():
    assert len(list(PACKAGE.glob("*.py"))) - 1 <= 9


STATE = """
import json, pkgutil, importlib, signal, sys, logging
import torch, cv2, pytorch_lightning
from omegaconf import OmegaConf
for name in ("fcntl", "resource"):
    sys.modules[name] = None  # as on Windows
import select
del select.poll
handled = signal.SIGINT, signal.SIGTERM

def state():
    signals = [repr(signal.getsignal(one)) for one in handled]
    resolvers = OmegaConf.has_resolver("run_dir"), OmegaConf.has_resolver("cell_folder")
    level = logging.getLogger("pytorch_lightning").level
    return [signals, resolvers, torch.get_num_threads(), cv2.getNumThreads(), level]

import facerec
before, imported = state(), []
for module in pkgutil.walk_packages(facerec.__path__, "facerec."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        if error.name not in ("triton", "onnx", "onnxruntime", "onnxscript"):
            raise
    imported.append(module.name)
print(json.dumps([len(imported), before, state()]))
"""


def test_every_module_can_be_imported_as_on_windows_and_changes_nothing():
    found = subprocess.run([sys.executable, "-c", STATE], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    imported, before, after = json.loads(found.stdout.splitlines()[-1])
    assert imported > 150 and before == after
