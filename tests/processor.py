"""Processors that round sums otherwise than those on which reference values were recorded."""

from pathlib import Path

import pytest

_TABLE = Path("/proc/cpuinfo")
_IS_ZEN_5 = _TABLE.is_file() and "avx512_vp2intersect" in _TABLE.read_text() and "AMD" in _TABLE.read_text()

# Trainings that begin alike drift apart: which side of a ReLU's bend a value is on is decided by its last bit.
as_recorded = pytest.mark.skipif(_IS_ZEN_5, reason="recorded on processors whose sums are rounded otherwise")
