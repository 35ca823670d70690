import ctypes
import logging
import subprocess
import sys
import time
import warnings

import pytest
import torch
from says import refuses, says

from facerec.errors import InputError
from facerec.process import freed_memory_given_back, prepare_process, refuse_too_many


@pytest.fixture(autouse=True)
def put_back():
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    with warnings.catch_warnings():
        yield
    logger.setLevel(level)
    torch.utils.deterministic.fill_uninitialized_memory = True


class Recorder:
    """A C library that writes down what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def mallopt(self, parameter: int, value: int) -> int:
        self.asked.append((parameter, value))
        return 1


def test_the_c_library_is_told_to_keep_freed_memory(monkeypatch):
    libc = Recorder()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: libc)
    monkeypatch.setattr(sys, "platform", "linux")
    prepare_process()
    # M_TRIM_THRESHOLD, whose -1 stands for never, and M_MMAP_MAX of malloc.h.
    assert dict(libc.asked) == {-1: -1, -4: 0}


def test_for_a_while_it_does_as_by_default(monkeypatch):
    libc = Recorder()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: libc)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(KeyError), freed_memory_given_back():
        assert dict(libc.asked) == {-1: 128 << 10, -4: 65536}
        raise KeyError
    assert dict(libc.asked) == {-1: -1, -4: 0}


@pytest.mark.parametrize(("platform", "library"), [("linux", object()), ("darwin", None)])
def test_other_c_libraries_are_left_alone(platform, library, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    prepare_process()


def test_fresh_memory_is_not_filled():
    prepare_process()
    assert torch.utils.deterministic.fill_uninitialized_memory is False


@pytest.mark.parametrize(
    "message",
    [
        "`isinstance(treespec, LeafSpec)` is deprecated",
        "Checkpoint directory /runs/a exists and is not empty.",
        "The dirpath has changed from '/runs/a' to '/runs/b'",
        "The number of training batches (4) is smaller than the logging interval",
        "Consider setting `persistent_workers=True` in 'val_dataloader' to speed up",
        "The 'val_dataloader' does not have many workers which may be a bottleneck.",
        "It is recommended to use `self.log('mean_accuracy', ..., sync_dist=True)` when logging",
        "torch.distributed.nn.functional.all_gather is deprecated, use another",
    ],
)
def test_what_the_user_cannot_act_on_is_not_said(message):
    prepare_process()
    warnings.warn(message, UserWarning, stacklevel=1)


def test_other_warnings_are():
    prepare_process()
    with pytest.warns(UserWarning, match="precision"):
        warnings.warn("loss of precision", UserWarning, stacklevel=1)


def test_more_processes_than_a_machine_can_run_are_refused(monkeypatch):
    monkeypatch.setattr("facerec.process.available_cores", lambda: 2)
    refuse_too_many(64, "workers", ", or null")
    with refuses("workers=65", "2 cores", "64 at most", "or null", error=InputError):
        refuse_too_many(65, "workers", ", or null")
    monkeypatch.setattr("facerec.process.available_cores", lambda: 96)
    refuse_too_many(300, "workers")


FAILING = """
import errno, sys, threading
from facerec.process import run

def fail():
    raise {error}

def main(arguments):
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    return 3

run(main)
"""


@pytest.mark.parametrize(
    ("error", "is_sentence"),
    [("OSError(errno.ENOSPC, 'No space left')", True), ("OSError('lost')", False), ("KeyError('gone')", False)],
)
def test_a_full_disk_is_a_sentence_in_a_thread_too(error, is_sentence):
    ended = subprocess.run([sys.executable, "-c", FAILING.format(error=error)], capture_output=True, text=True)
    assert ended.returncode == 3
    assert ("Traceback" in ended.stderr) != is_sentence
    assert says(ended.stderr, "free space") == is_sentence, ended.stderr


DROPPED = """
import signal, sys, time
from facerec.process import run

class Dropping:
    def __del__(self):
        {in_destructor}

def main(arguments):
    Dropping()
    print("goes on", flush=True)
    time.sleep(20)
    return 3

run(main)
"""


@pytest.mark.parametrize(("number", "status"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_comes_again_whose_exception_met_a_destructor(number, status):
    program = DROPPED.format(in_destructor=f"signal.raise_signal(signal.{number})")
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (status, "goes on\n")
    assert "Traceback" not in ended.stderr


def test_another_error_in_a_destructor_is_told_and_changes_nothing():
    program = DROPPED.format(in_destructor="raise KeyError('gone')").replace("sleep(20)", "sleep(0.3)")
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (3, "goes on\n")
    assert "KeyError: 'gone'" in ended.stderr


LEFT_BEHIND = """
import multiprocessing, os, signal, sys, threading, time
from facerec.process import run

def fail():
    raise KeyError('gone')

def child(program, is_killed):
    while is_killed and os.getppid() == program:
        time.sleep(0.01)
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    try:
        fail()
    except KeyError:
        sys.excepthook(*sys.exc_info())  # as multiprocessing's own threads do

def main(arguments):
    is_killed = bool(arguments)
    process = multiprocessing.get_context("fork").Process(target=child, args=(os.getpid(), is_killed))
    process.start()
    if is_killed:
        os.kill(os.getpid(), signal.SIGKILL)
    process.join()
    return 3

run(main)
"""


def test_a_loading_process_says_its_errors_unless_its_program_was_killed():
    of_living, of_killed = (
        subprocess.run([sys.executable, "-c", LEFT_BEHIND, *arguments], capture_output=True, text=True)
        for arguments in ([], ["killed"])
    )
    assert (of_living.returncode, of_living.stderr.count("KeyError: 'gone'")) == (3, 2)
    assert (of_killed.returncode, of_killed.stderr) == (-9, "")


CONNECTED = """
import atexit, sys, tempfile
import torch
import lightning_fabric.utilities.distributed as fabric
from facerec.process import run

def main(arguments):
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    fabric._destroy_dist_connection = lambda: print("disconnected")
    atexit.register(fabric._destroy_dist_connection)
    with tempfile.TemporaryDirectory(dir=arguments[0]):
        atexit.register(lambda: print("the end"))
        sys.exit({status})

run(main)
"""


@pytest.mark.parametrize(("status", "said"), [(143, "the end\n"), (130, "the end\n"), (3, "the end\ndisconnected\n")])
def test_a_connected_process_that_is_told_to_end_leaves_the_connection_to_the_system(status, said, tmp_path):
    program = CONNECTED.format(status=status)
    ended = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (status, said), ended.stderr
    assert not list(tmp_path.iterdir())


HANGING = """
import signal, sys, threading, time
from facerec import handlers
from facerec.process import run

def main(arguments):
    handlers.SECONDS = 0.5
    threading.Thread(target=time.sleep, args=(30,)).start()
    {told}

run(main)
"""


@pytest.mark.parametrize(
    ("told", "status"),
    [("sys.exit(143)", 143), ("sys.exit(130)", 130), ("raise KeyboardInterrupt", 130)],
)
def test_a_program_that_was_told_to_end_waits_for_no_thread_that_does_not(told, status):
    begun = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", HANGING.format(told=told)], capture_output=True, text=True)
    assert ended.returncode == status and "Traceback" not in ended.stderr
    assert time.monotonic() - begun < 20
