"""How programs end, each in a process of its own: by a signal, and when nobody reads what they write."""

import ast
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
from pytorch_lightning.utilities.exceptions import SIGTERMException
from running import DEPTHWISE, ONE_EPOCH, ROOT, train
from says import says

PROGRAMS = ["train.py", *sorted(f"scripts/{path.name}" for path in (ROOT / "scripts").glob("*.py"))]
SIGNAL = "import os, signal; os.kill(os.getpid(), signal.{})"


def ended(tmp_path: Path, *lines: str, imports: str = "", redirected: str = "", **options) -> tuple[int, str, str]:
    """Exit status, output and errors of a program with this ``main``."""
    body = "".join(f"    {line}\n" for line in lines or ["return 0"])
    text = f"from facerec.process import run\nimport sys\n{imports}\ndef main(arguments):\n{body}\nrun(main)\n"
    (tmp_path / "program.py").write_text(text)
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "check": False, "text": True} | options
    command = ["sh", "-c", f'exec "$0" "$@" {redirected}', sys.executable, tmp_path / "program.py", "a", "b"]
    found = subprocess.run(command, **options)
    return found.returncode, found.stdout, found.stderr


@pytest.fixture(params=["", "1"], ids=["buffered", "unbuffered"])
def unread(request):
    """A pipe that nobody reads from, as an option of `ended`."""
    reading, writing = os.pipe()
    os.close(reading)
    yield {"stdout": writing, "env": os.environ | {"PYTHONUNBUFFERED": request.param, "TQDM_DISABLE": "1"}}
    os.close(writing)


def test_the_status_is_that_of_main_which_has_the_arguments(tmp_path):
    assert ended(tmp_path, "print(arguments)", "return 3") == (3, "['a', 'b']\n", "")
    assert ended(tmp_path, "sys.exit('no')") == (1, "", "no\n")


def test_ctrl_c_is_one_sentence(tmp_path):
    assert ended(tmp_path, SIGNAL.format("SIGINT")) == (130, "", "interrupted\n")


def test_so_it_is_where_lightning_makes_an_exit_of_it(tmp_path):
    lightning = ["try:", f"    {SIGNAL.format('SIGINT')}", "except KeyboardInterrupt:"]
    assert ended(tmp_path, *lightning, "    exit(1)") == (130, "", "interrupted\n")
    assert ended(tmp_path, *lightning, "    sys.exit(130)") == (130, "", "")  # by a program that has said more


def test_ctrl_c_while_something_slow_is_imported_ends_the_program_at_once(tmp_path):
    imports = "import pathlib\nfrom facerec.process import importing"
    lines = [
        "with importing(lambda: pathlib.Path('left').unlink()):",
        "    try:",
        f"        {SIGNAL.format('SIGINT')}",
        "    except BaseException: print('an exception')",
    ]
    (tmp_path / "left").write_text("")
    assert ended(tmp_path, *lines, imports=imports, cwd=tmp_path) == (130, "", "interrupted\n")
    assert not (tmp_path / "left").exists()


def test_afterwards_it_is_an_exception_again(tmp_path):
    lines = ["with importing(): pass", "try:", f"    {SIGNAL.format('SIGINT')}", "except KeyboardInterrupt: return 7"]
    assert ended(tmp_path, *lines, imports="from facerec.process import importing") == (7, "", "")


def test_a_request_to_end_leaves_no_temporary_files(tmp_path):
    inside = f"with tempfile.TemporaryDirectory(dir='.'): {SIGNAL.format('SIGTERM')}"
    assert ended(tmp_path, inside, imports="import tempfile", cwd=tmp_path) == (143, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["program.py"]


def test_children_that_were_told_to_end_as_well_are_no_defect(tmp_path):
    """PyTorch's handler raises for a loading process that a signal killed."""
    imports = """import os, signal
def raising(*_): raise RuntimeError("DataLoader worker is killed by signal: Terminated.")"""
    lines = [
        "signal.signal(signal.SIGCHLD, raising)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})",
        "os.kill(os.getpid(), signal.SIGCHLD)",
        "os.kill(os.getpid(), signal.SIGTERM)",
        "signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGCHLD})",
    ]
    assert ended(tmp_path, *lines, imports=imports) == (143, "", "")


@pytest.mark.parametrize(
    ("error", "status"),
    [(SystemExit(143), 143), (SIGTERMException(), 143), (SystemExit(1), 130), (KeyboardInterrupt(), 130)],
)
def test_training_says_that_it_was_stopped_and_by_what(error, status, tmp_path, capsys):
    with mock.patch("facerec.config.build.build_backbone", side_effect=error):
        assert train(tmp_path, *DEPTHWISE, "name=short") == status
    said = capsys.readouterr().err
    assert says(said, "stopped", "checkpoint", "short")
    assert said.count("\n") == 1


def test_an_import_that_ctrl_c_broke_off_is_no_defect(tmp_path):
    broken = "raise ImportError('initialization failed') from KeyboardInterrupt()"
    assert ended(tmp_path, broken) == (130, "", "interrupted\n")
    status, _, said = ended(tmp_path, "raise ImportError('no module')")
    assert status == 1 and "ImportError: no module" in said


@pytest.mark.parametrize("closed", [[1], [2], [1, 2]], ids=str)
def test_a_closed_stream_is_one_that_nobody_reads(closed, tmp_path):
    said = ["print('table', flush=True)", "print('progress', file=sys.stderr)"]
    redirected = " ".join(f"{stream}>&-" for stream in closed)
    for last, status, errors in [("return 3", 3, ""), (SIGNAL.format("SIGINT"), 130, "interrupted\n")]:
        seen = ("" if 1 in closed else "table\n", "" if 2 in closed else f"progress\n{errors}")
        assert ended(tmp_path, *said, last, redirected=redirected) == (status, *seen)


@pytest.mark.parametrize("size", [1, 100_000])
def test_a_reader_that_has_seen_enough_is_no_error_to_talk_about(tmp_path, unread, size):
    for last in ("return 0", "sys.exit(0)"):  # the second as argparse's --help
        assert ended(tmp_path, f"print('a' * {size})", last, **unread) == (1, None, "")


def test_nor_is_one_of_the_errors(tmp_path, unread):
    options = {"stderr": unread["stdout"], "env": unread["env"]}
    assert ended(tmp_path, "print('progress', file=sys.stderr)", "return 0", **options) == (1, "", None)


def test_a_broken_pipe_to_something_else_is_a_defect(tmp_path):
    status, _, said = ended(tmp_path, "raise BrokenPipeError('a worker died')")
    assert status == 1 and said.startswith("Traceback") and said.endswith("BrokenPipeError: a worker died\n")


def test_a_file_that_the_system_refuses_is_one_sentence(tmp_path):
    for line, facts in [
        ("open('a/b', 'w')", ("a/b", "No such file")),
        ("open('.')", (". cannot", "folder")),
        ("open('n' * 300)", ("nnn", "shorter")),
        ("raise OSError(28, 'No space left on device')", ("the disk", "free space")),
    ]:
        status, _, said = ended(tmp_path, line, cwd=tmp_path)
        assert status == 1 and says(said, *facts) and said.count("\n") == 1, said
    status, _, said = ended(tmp_path, "raise OSError('no file')")
    assert status == 1 and said.startswith("Traceback")


def test_other_defects_keep_their_traceback(tmp_path):
    for where in ({"imports": "1 / 0"}, {"imports": "def main(arguments): 1 / 0\nrun(main)"}):
        status, _, said = ended(tmp_path, **where)
        assert status == 1 and said.startswith("Traceback") and "ZeroDivisionError" in said


@pytest.mark.parametrize("unread", ["1"], indirect=True, ids=["unbuffered"])
def test_the_help_of_hydra_can_be_read_in_part(unread, tmp_path):
    command = [sys.executable, ROOT / "train.py", "--help"]
    found = subprocess.run(command, stderr=subprocess.PIPE, cwd=tmp_path, check=False, **unread)
    assert (found.returncode, found.stderr) == (1, b"")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("unread", ["1"], indirect=True, ids=["unbuffered"])
def test_a_sweep_ends_with_those_who_look_at_its_progress(unread, tmp_path):
    command = [
        sys.executable,
        ROOT / "train.py",
        "-m",
        "seed=1,2",
        *DEPTHWISE,
        *ONE_EPOCH,
        "logger=none",
        "lr_scheduler.milestones=[]",
    ]
    found = subprocess.run(command, stderr=subprocess.PIPE, cwd=tmp_path, check=False, text=True, **unread)
    assert (found.returncode, found.stderr) == (1, "")
    assert len(list(tmp_path.rglob("run.json"))) == 1 and not list(tmp_path.rglob("results.json"))


def test_so_can_that_of_argparse(tmp_path, unread):
    shown = "argparse.ArgumentParser().parse_args(['--help'])"
    status, _, said = ended(tmp_path, shown, imports="import argparse", **unread)
    assert status in (0, 1) and said == ""  # where nothing is buffered, argparse does not mind


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "module://no.such.module"])
def test_programs_that_a_notebook_starts_draw_without_its_backend(backend, tmp_path):
    imports = "from facerec.process import importing\nfrom pathlib import Path"
    lines = [
        "with importing(): from facerec.plots.network import Figure, save_figure",
        "import matplotlib.pyplot",
        "save_figure(Figure(), Path('x.png'))",
        "return matplotlib.get_backend().lower() != 'agg'",
    ]
    options = {"env": os.environ | {"MPLBACKEND": backend}, "stdin": subprocess.DEVNULL, "cwd": tmp_path}
    assert ended(tmp_path, *lines, imports=imports, **options) == (0, "", "")
    assert (tmp_path / "x.png").is_file()


def _imported(body: list[ast.stmt]) -> set[str]:
    return {ast.unparse(node).split()[1] for node in body if isinstance(node, ast.Import | ast.ImportFrom)}


def test_the_command_imports_nothing_slow_before_it_knows_which():
    body = ast.parse((ROOT / "src/facerec/commands/main.py").read_text()).body
    light = {"facerec.process", "facerec.console", "facerec.errors"}
    assert {module.split(".")[0] for module in _imported(body) - light} <= sys.stdlib_module_names


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_imports_what_is_slow_where_ctrl_c_ends_it_at_once(name):
    body = ast.parse((ROOT / name).read_text()).body
    light = {"facerec.process", "facerec.commands.main"}
    assert {module.split(".")[0] for module in _imported(body) - light} <= sys.stdlib_module_names
    assert ast.unparse(body[-1]).splitlines()[-1].strip() in ("run(main)", "run(program)")
