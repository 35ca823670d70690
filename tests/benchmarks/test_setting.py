"""A batch that fits the memory."""

import pytest

from facerec.perf import setting
from facerec.perf.setting import Setting, fitting, note_on


@pytest.mark.parametrize(
    ("gigabytes", "unfolds", "batch"), [(100, True, 128), (17, False, 128), (17, True, 64), (8, True, 32), (0, True, 2)]
)
def test_the_batch_is_halved_until_it_fits(gigabytes, unfolds, batch, monkeypatch):
    monkeypatch.setattr(setting, "free_bytes", lambda: gigabytes * 10**9)
    assert fitting(Setting(1.0, 128), unfolds) == Setting(1.0, batch)


def test_a_smaller_batch_is_said(monkeypatch):
    monkeypatch.setattr(setting, "free_bytes", lambda: 12 * 10**9)
    assert (
        note_on(Setting(1.0, 128), Setting(1.0, 64)) == "batch 64, since 128 images do not fit the 12 GB that are free"
    )
    assert note_on(Setting(1.0, 128), Setting(1.0, 128)) == ""


def test_this_machine_has_memory():
    assert setting.free_bytes() > 10**8
