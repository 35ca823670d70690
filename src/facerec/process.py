"""How the programs of the project use the process they run in: threads, memory, warnings, signals and exit status.

Importing this module changes nothing and imports nothing slow; a program calls `run`.
"""

import ctypes
import logging
import os
import select
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from facerec.errors import InputError, of_system
from facerec.handlers import INTERRUPTED, TERMINATED, end_soon, install, is_connected, let_workers_end

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
# Rounds that a thread of libgomp waits actively before it sleeps. By default it is so many that on a machine that does
# something else as well most of the time goes into waiting (docs/performance.md).
_SPIN_COUNT = "2000"
# Loading from a slow disk or network may use more processes than cores.
_MOST_PROCESSES, _PROCESSES_PER_CORE = 64, 4
_THREAD_SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def run(main: Callable[[list[str]], int]) -> NoReturn:
    """End the process with the exit status that ``main`` gives for the command line's arguments.

    Ctrl-C that ``main`` does not handle is reported in one sentence, with status 130. SIGTERM unwinds ``main`` as
    `SystemExit` does, so that temporary files are removed, with status 143. When the reader of the output has closed
    it, as ``head`` does, the program ends silently with status 1; what is written to a closed stream is dropped. A file
    that the operating system refuses is one sentence (`facerec.errors.of_system`), with status 1; in a thread, as in
    TensorBoard's, it is a sentence alone. A signal that comes while Python runs a callback or a destructor, of which it
    passes no exception on, comes again. A loading process whose program was killed ends without a word.
    """
    _open_closed_streams()
    logging.raiseExceptions = False  # a message that nobody can read any more is no traceback either
    install()
    try:
        try:
            status = main(sys.argv[1:])
        finally:
            let_workers_end()
            sys.stdout.flush()
    except (KeyboardInterrupt, SystemExit, ImportError) as ended:
        if is_interrupt(ended):
            print("interrupted", file=sys.stderr)
            status = INTERRUPTED
        elif isinstance(ended, SystemExit) and ended.code in (INTERRUPTED, TERMINATED):
            status = ended.code
        else:
            raise
        end_soon(status)
    except BrokenPipeError:
        if not reader_is_gone():
            raise
        status = 1
    except OSError as error:
        sentence = of_system(error)
        if sentence is None:
            raise
        print(sentence, file=sys.stderr)
        status = 1
    sys.exit(status)


@contextmanager
def importing(at_interrupt: Callable[[], None] = lambda: None) -> Iterator[None]:
    """A block of slow imports, in which Ctrl-C ends the process at once with status 130, after ``at_interrupt()``.

    What PyTorch's libraries read when they are loaded is set before it, see `prepare_environment`.
    It does so without an exception: NumPy and others try half of an import again, and end in errors of their own.
    """

    def end(*_: Any) -> None:
        at_interrupt()
        print("interrupted", file=sys.stderr, flush=True)
        os._exit(INTERRUPTED)

    prepare_environment()
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored, as in the background of a shell
        yield
        return
    try:
        signal.signal(signal.SIGINT, end)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def prepare_environment() -> None:
    """Set what libraries read when they are loaded, where the user has not set it: call it before."""
    if not any(name in os.environ for name in _THREAD_SETTINGS):
        os.environ["GOMP_SPINCOUNT"] = _SPIN_COUNT
    # A notebook's programs inherit its way to show figures, which this environment may lack; here they are files.
    if os.environ.get("MPLBACKEND", "").startswith("module://"):
        os.environ["MPLBACKEND"] = "agg"
    # PyTorch's profiler writes to standard error when it starts, and that a machine without a GPU has none.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")


def available_cores() -> int:
    """The number of cores that this process may use: by its affinity, and by the quota of its container."""
    from joblib import cpu_count

    return cpu_count()


def refuse_too_many(processes: int, setting: str, otherwise: str = "") -> None:
    """Raise `InputError` for so many ``processes`` that the machine would only start them; ``setting``: its name."""
    most = max(_MOST_PROCESSES, _PROCESSES_PER_CORE * available_cores())
    if processes > most:
        raise InputError(
            f"{setting}={processes} are more processes than {available_cores()} cores can run: take {most} at most"
            f"{otherwise}"
        )


def is_first_process() -> bool:
    """Whether this is the first of the processes that train one run on several devices, or the only one."""
    ranks = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")
    return all(os.environ.get(rank, "0") == "0" for rank in ranks)


def is_first_to_fail(run: str) -> bool:
    """Whether no other process of ``run``, which trains on several devices, has failed before this one.

    The others fail for the same reason, or because one of them is gone.
    """
    if not is_connected():
        return True
    try:
        return sys.modules["torch.distributed"].distributed_c10d._get_default_store().add(f"failed {run}", 1) == 1
    except RuntimeError:  # the first process, which keeps the store, has ended
        return is_first_process()


def prepare_process() -> None:
    """Prepare the process to train or to verify: as many threads as cores may be used, memory that is kept between
    steps, and no warnings that the user cannot act on. It imports PyTorch."""
    import cv2
    import torch

    cv2.setNumThreads(1)  # images are decoded by several workers at once
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(min(torch.get_num_threads(), available_cores()))
    _keep_freed_memory()
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    _log_to_stderr("lightning_fabric")
    # Lightning warns about a newer PyTorch, or about settings that are intentional.
    warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated")
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
    warnings.filterwarnings("ignore", message="The dirpath has changed from")
    warnings.filterwarnings("ignore", message="The number of training batches .* is smaller than the logging interval")
    warnings.filterwarnings("ignore", message="Found .* in eval mode at the start of training")  # frozen norms
    warnings.filterwarnings("ignore", message=".*does not have many workers")
    warnings.filterwarnings("ignore", message="Consider setting `persistent_workers=True`")
    warnings.filterwarnings("ignore", message="You're resuming from a checkpoint that ended before")  # ours has a place
    warnings.filterwarnings("ignore", message="It is recommended to use `self.log.*sync_dist=True")
    warnings.filterwarnings("ignore", message="torch.distributed.nn.functional.all_gather is deprecated")
    warnings.filterwarnings("ignore", message="The .grad attribute of a Tensor")  # which the compiler looks at


class _ToStderr(logging.Handler):
    """Writes to standard error as it is when there is something to write."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stderr, flush=True)
        except Exception:
            self.handleError(record)


def _log_to_stderr(name: str) -> None:
    """Let the logger write to standard error, as Lightning does where Hydra has not set up logging before it: standard
    output is for results."""
    logger = logging.getLogger(name)
    if not logger.handlers:
        logger.addHandler(_ToStderr())
    logger.propagate = False


def _keep_freed_memory() -> None:
    """Let the C library keep what a step frees for the next step.

    By default glibc maps every large tensor afresh and gives it back when it is freed, so that each step pays a page
    fault for every 4 KiB that it writes; training a small network on the CPU spends more time there than on arithmetic.
    Other C libraries are left as they are.
    """
    import torch

    _set_malloc({_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: -1})  # no tensor is mapped by itself, nothing is given back
    # Deterministic mode fills uninitialised memory with NaN, which costs a pass over every new tensor.
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]


@contextmanager
def freed_memory_given_back() -> Iterator[None]:
    """A block in which the C library does as it does by default: slower, and with no holes between what is kept."""
    _set_malloc({_M_MMAP_MAX: 65536, _M_TRIM_THRESHOLD: 128 << 10})
    try:
        yield
    finally:
        _keep_freed_memory()


def _set_malloc(options: dict[int, int]) -> None:
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    try:
        mallopt = libc.mallopt
    except AttributeError:  # another C library than glibc
        return
    for option, value in options.items():
        mallopt(option, value)


def reader_is_gone() -> bool:
    """Whether nobody reads standard output or error any more; what is still to be written there is then dropped."""
    gone = [stream.fileno() for stream in (sys.stdout, sys.stderr) if _is_closed_pipe(stream.fileno())]
    for descriptor in gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    return bool(gone)


def _is_closed_pipe(descriptor: int) -> bool:
    poll = getattr(select, "poll", None)
    if poll is None:  # Windows: who wrote last met the broken pipe, and nothing more can be asked
        return True
    watch = poll()
    watch.register(descriptor, 0)  # an error or a hang-up is reported unasked
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in watch.poll(0))


def is_interrupt(ended: BaseException) -> bool:
    """Whether this is Ctrl-C, also as what Lightning, status 1, or a compiled module that was being imported made of
    it."""
    if isinstance(ended, SystemExit) and ended.code != 1:
        return False
    return isinstance(ended, KeyboardInterrupt) or isinstance(ended.__cause__ or ended.__context__, KeyboardInterrupt)


def _open_closed_streams() -> None:
    """Open those that the shell's ``>&-`` closed, for which Python has None."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
