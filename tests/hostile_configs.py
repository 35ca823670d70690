"""Configurations in a file that would run something, and where in the configuration."""

import copy
from pathlib import Path
from typing import Any


def programs(marker: Path) -> dict[str, Any]:
    """Values that would write the file ``marker``, or tell a secret, if they were built or computed."""
    shell = {"_target_": "torch.utils.collect_env.run", "command": f"touch {marker}"}
    path = {"_target_": "pathlib.Path", "_args_": [str(marker)]}
    return {
        "torch.utils.collect_env.run": shell,
        "os.system": {"_target_": "os.system", "_args_": [f"touch {marker}"]},
        "posix.system": {"_target_": "posix.system", "_args_": [f"touch {marker}"]},
        "subprocess.run": {"_target_": "subprocess.run", "_args_": [["touch", str(marker)]]},
        "subprocess.Popen": {"_target_": "subprocess.Popen", "_args_": [["touch", str(marker)]]},
        "pathlib.Path.write_text": {"_target_": "pathlib.Path.write_text", "_args_": [path, "x"]},
        "pathlib.Path.touch": {"_target_": "pathlib.Path.touch", "_args_": [path]},
        "builtins.eval": {"_target_": "builtins.eval", "_args_": [f"open({str(marker)!r}, 'w')"]},
        "builtins.exec": {"_target_": "builtins.exec", "_args_": [f"open({str(marker)!r}, 'w')"]},
        "builtins.open": {"_target_": "builtins.open", "_args_": [str(marker), "w"]},
        "timeit.timeit": {"_target_": "timeit.timeit", "stmt": f"open({str(marker)!r}, 'w')", "number": 1},
        "hydra.utils.instantiate": {"_target_": "hydra.utils.instantiate", "_args_": [{"config": shell}]},
        "hydra.utils.call": {"_target_": "hydra.utils.call", "_args_": [{"config": shell}]},
        "facerec.files.write_json": {"_target_": "facerec.files.write_json", "path": path, "content": 1},
        "facerec.files.os.system": {"_target_": "facerec.files.os.system", "_args_": [f"touch {marker}"]},
        "a partial function": {**shell, "_partial_": True},
        "a class of PyTorch's around it": {"_target_": "torch.optim.SGD", "_args_": [[{"deeper": [shell]}]]},
        "a secret of the environment": "${oc.env:HOME}",
        "a decoded text": "${oc.decode:'1'}",
        "another key": "${seed}",
    }


PLACES = (
    *("backbone", "operator", "head", "data", "optimizer", "lr_scheduler", "trainer", "learner"),
    *("backbone.width", "operator.kernel_size", "head.margin", "data.seed", "data.image_size"),
    *("data.test_augmentation", "optimizer.lr", "lr_scheduler.gamma", "trainer.plugins"),
    *("trainer.max_epochs", "protocol", "seed", "image_size", "name", "callbacks", "logger", "unknown"),
)


def with_program(config: dict[str, Any], place: str, program: Any) -> dict[str, Any]:
    """``config`` with a program at a dotted place."""
    changed = copy.deepcopy(config)
    *nodes, key = place.split(".")
    node = changed
    for name in nodes:
        node = node[name]
    node[key] = program
    return changed
