"""What a process holds does not grow with the number of epochs."""

import os
from pathlib import Path

from attack_endings import ending
from attack_row import IS_WHOLE, Row
from forked_program import Program
from held_resources import PROC, read_held
from image_files import write_noise
from running import DEPTHWISE, only_run

EPOCHS, SETTLED = (300, 20) if IS_WHOLE else (8, 4)  # after so many all is open that is ever opened
MORE = {"memory": 1.05, "descriptors": 2, "threads": 0}
FACES = ["data=folder", "data.root=faces", "data.benchmarks=[odd]", "data.global_batch_size=16", "image_size=16"]
NETWORK = [part for part in DEPTHWISE if not part.startswith(("data", "image_size"))]
WAYS = {
    "TensorBoard and pictures": ["data.num_workers=0", "data.cache=cache"],
    "a loading process and no cache": ["data.num_workers=1", "data.cache=null"],
}


def test_growth(row: Row, tmp_path: Path) -> None:
    """Memory, descriptors and threads from epoch 20 to 300 of a run"""
    if not PROC.exists():
        row.not_tried = "needs /proc"
        return
    for way, settings in row.cases(list(WAYS.items()), 1):
        with row.trial(way) as trial:
            folder = tmp_path / way.replace(" ", "_")
            write_noise(folder / "faces")
            held = f"+callbacks.held={{_target_: held_resources.HeldResources, path: '{folder / 'held'}'}}"
            before = set(os.listdir("/dev/shm"))
            epochs = f"trainer.max_epochs={EPOCHS}"
            ending(Program(folder, "train", *NETWORK, *FACES, *settings, epochs, held), within=900)
            check(read_held(folder / "held"))
            assert list(only_run(folder).rglob("events.*"))
            assert not [name for name in set(os.listdir("/dev/shm")) - before if "torch" in name]
            trial.ending = "flat"


def check(held: list[list[float]]) -> None:
    """Raise `AssertionError` if it grew from when it has settled to the end by more than `MORE`."""
    assert len(held) == EPOCHS
    memory, descriptors, threads = zip(*held[SETTLED - 1 :], strict=True)
    said = f"from {held[SETTLED - 1]} to {held[-1]}"
    assert memory[-1] <= MORE["memory"] * memory[0], said
    assert max(descriptors[-3:]) <= max(descriptors[:3]) + MORE["descriptors"], said
    assert max(threads[-3:]) <= max(threads[:3]) + MORE["threads"], said
