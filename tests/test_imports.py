"""To import a module changes nothing in the process, and needs nothing that some systems lack."""

import json
import subprocess
import sys
from typing import Any

import pytest

# The process: what it is before and after all modules are imported, and those that cannot be.
PROGRAM = """
import importlib, json, pkgutil, select, signal, sys

for name in ("fcntl", "resource"):
    sys.modules[name] = None  # as on Windows
del select.poll

import cv2, hydra, pytorch_lightning, torch
from omegaconf.basecontainer import BaseContainer

def state():
    return {
        "signals": {sign.name: str(signal.getsignal(sign)) for sign in signal.Signals},
        "resolvers": sorted(BaseContainer._resolvers),
        "threads of OpenCV": cv2.getNumThreads(),
        "threads of PyTorch": torch.get_num_threads(),
    }

cv2.setNumThreads(3)
torch.set_num_threads(3)
before, imported, failed = state(), [], {}
import facerec
for module in pkgutil.walk_packages(facerec.__path__, "facerec."):
    try:
        importlib.import_module(module.name)
        imported.append(module.name)
    except ModuleNotFoundError as error:
        if error.name not in ("triton", "nicegui", "starlette"):  # not on every machine
            failed[module.name] = str(error)
    except Exception as error:
        failed[module.name] = repr(error)
print(json.dumps({"before": before, "after": state(), "imported": imported, "failed": failed}))
"""


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    return json.loads(ended.stdout.splitlines()[-1])


def test_every_module_is_imported_where_there_is_no_fcntl_resource_or_poll(report):
    assert report["failed"] == {}
    assert {"facerec.data.datamodule", "facerec.data.cache", "facerec.process"} <= set(report["imported"])


@pytest.mark.parametrize("library", ["OpenCV", "PyTorch"])
def test_importing_leaves_threads_as_they_are(report, library):
    key = f"threads of {library}"
    assert report["after"][key] == report["before"][key] == 3


def test_importing_leaves_signals_as_they_are(report):
    assert report["after"]["signals"] == report["before"]["signals"]


def test_importing_leaves_resolvers_as_they_are(report):
    assert report["after"]["resolvers"] == report["before"]["resolvers"]
