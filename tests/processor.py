"""Processors on which trainings of a few steps end elsewhere than where reference values were recorded."""

from pathlib import Path

import pytest

_TABLE = Path("/proc/cpuinfo")
_DIFFERS = _TABLE.is_file() and "avx512_vp2intersect" in _TABLE.read_text() and "AMD" in _TABLE.read_text()

# Why is not known: rounding that grows from step to step would do it.
_REASON = "trainings end elsewhere on AMD with AVX512-VP2INTERSECT, and why is not known"
as_recorded = pytest.mark.skipif(_DIFFERS, reason=_REASON)
