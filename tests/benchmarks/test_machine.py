import torch

from facerec.perf import machine
from facerec.perf.machine import Machine, describe_machine


def test_the_machine_is_named():
    described = describe_machine()
    assert described.cpu and described.cores >= 1
    assert described.threads == torch.get_num_threads() and described.torch == torch.__version__


def test_it_reads_as_a_sentence():
    described = Machine("EPYC", 2, 2, "2.15.0", "3.1", "abc123+", "2026-01-02")
    assert str(described) == "EPYC, 2 cores, 2 threads, torch 2.15.0, oneDNN 3.1, commit abc123+, 2026-01-02"
    described = Machine("M1", 8, 4, "2.15.0", None, None, "2026-01-02")
    assert str(described) == "M1, 8 cores, 4 threads, torch 2.15.0, no oneDNN, no commit, 2026-01-02"


def test_code_that_differs_from_its_commit_is_marked(monkeypatch):
    code = {"git_commit": "0123456789abcdef", "git_dirty": True}
    monkeypatch.setattr(machine, "code_and_environment", lambda: code)
    assert describe_machine().commit == "0123456789ab+"
    code["git_commit"] = None
    assert describe_machine().commit is None
