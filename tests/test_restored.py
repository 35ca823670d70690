"""A checkpoint whose state is incomplete or of another kind is not resumed from."""

import copy

import pytest
import torch
from running import DEPTHWISE, ONE_EPOCH, train, trained
from says import says

from facerec.errors import InputError
from facerec.training.restored import refuse_odd_progress, refuse_odd_state
from facerec.training.schedules import MultiStep

GONE = "gone"  # the key is removed
LOOP = ("loops", "fit_loop")
ODD = [
    *((("loops",), value) for value in (GONE, {}, None, 3, [])),
    *(((*LOOP, "epoch_progress"), value) for value in (GONE, None, 3)),
    *(((*LOOP, "epoch_progress", "current"), value) for value in (GONE, {}, torch.zeros(3))),
    *(((*LOOP, "epoch_progress", "current", "processed"), value) for value in (GONE, "x", torch.zeros(3))),
    *(((*LOOP, "epoch_progress", "total"), value) for value in (GONE, {})),
    ((*LOOP, "epoch_loop.batch_progress", "total", "ready"), GONE),
    ((*LOOP, "epoch_loop.state_dict", "_batches_that_stepped"), "x"),
    *((("callbacks",), value) for value in (GONE, [], 3, {"A": 3}, {"ModelCheckpoint": {"a": 1}})),
    *((("global_step",), value) for value in (GONE, "x")),
    *((("pytorch-lightning_version",), value) for value in (GONE, 3, "x", "0.1")),
    *((("optimizer_states",), value) for value in (GONE, [], {}, [{}])),
    *((("optimizer_states", 0, "param_groups"), value) for value in (GONE, [])),
    *((("optimizer_states", 0, "param_groups", 0, "lr"), value) for value in (GONE, "x", float("nan"))),
    *((("optimizer_states", 0, "state", 0, "momentum_buffer"), value) for value in ("x", torch.zeros(3))),
    *((("lr_schedulers",), value) for value in (GONE, [], {}, [{}], [3])),
    *((("lr_schedulers", 0, "last_epoch"), value) for value in (GONE, "x", None)),
    *((("lr_schedulers", 0, "_last_lr"), value) for value in ([], ["x"])),
]


@pytest.fixture(scope="module")
def whole(depthwise_run):
    return torch.load(depthwise_run / "last.ckpt", weights_only=True)


def changed(content: dict, path: tuple, value: object) -> dict:
    changed = node = copy.deepcopy(content)
    for part in path[:-1]:
        node = node[part]
    if value is GONE:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return changed


def check(content: dict, fresh: dict) -> None:
    weights = [torch.nn.Parameter(torch.zeros(shape)) for shape in fresh["shapes"]]
    optimizer = torch.optim.SGD(weights, lr=0.1, momentum=0.9)
    schedule = MultiStep(optimizer, [2])
    refuse_odd_progress(content, "last.ckpt")
    refuse_odd_state(content, optimizer, schedule, fresh["progress"])


@pytest.fixture(scope="module")
def fresh(whole):
    """What a run of the same settings begins with."""
    state = whole["optimizer_states"][0]["state"]
    return {
        "shapes": [state[index]["momentum_buffer"].shape for index in sorted(state)],
        "progress": whole["loops"]["fit_loop"],
    }


def test_a_whole_state_passes(whole, fresh):
    check(copy.deepcopy(whole), fresh)


@pytest.mark.parametrize(("path", "value"), ODD, ids=lambda part: str(part)[-40:])
def test_an_odd_state_is_refused(path, value, whole, fresh):
    with pytest.raises(InputError) as raised:
        check(changed(whole, path, value), fresh)
    assert says(str(raised.value), path[0].partition("_")[0], "without resume")


def test_the_program_says_so_before_the_first_step(tmp_path, capsys):
    settings = [*DEPTHWISE, "lr_scheduler.milestones=[1]"]
    last = trained(tmp_path / "a", *settings, *ONE_EPOCH) / "last.ckpt"
    content = torch.load(last, weights_only=True)
    crash = "+callbacks.crash={_target_: interruption.Crash, step: 5}"
    for path in (LOOP, ("optimizer_states", 0, "state", 0, "momentum_buffer"), ("state_dict", "head.weight")):
        torch.save(changed(content, path, GONE if path == ("state_dict", "head.weight") else "x"), last)
        assert train(tmp_path / "b", *settings, "trainer.max_epochs=2", f"resume={last}", crash) == 1
        said = capsys.readouterr().err
        assert says(said, "failed", path[-1], "without resume") and not says(said, "Traceback"), said
