"""Compile a program for this machine, and run it on PyTorch's threads."""

from functools import cache

import llvmlite.binding as llvm
import numpy as np
import torch
from torch import Tensor

from facerec.kernels.cpu.loops import Storage
from facerec.kernels.cpu.products import sum_over_images, sum_over_taps
from facerec.kernels.cpu.segments import Segments
from facerec.kernels.cpu.threads import run_on_threads


class Program:
    """Machine code of one of the loops of `facerec.kernels.cpu.products`.

    Args:
        storage: of maps and windows; weights are float32.
        over_images: which of the two loops.
    """

    def __init__(self, storage: Storage, over_images: bool) -> None:
        build = sum_over_images if over_images else sum_over_taps
        module = build(storage, _vector_width())
        self._over_images = over_images
        machine = _target_machine()
        code = llvm.parse_assembly(str(module))
        builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
        builder.getModulePassManager().run(code, builder)
        # The code lives as long as the engine.
        self._engine = llvm.create_mcjit_compiler(code, machine)
        self._engine.finalize_object()
        self._address = self._engine.get_function_address("run")

    def run(self, segments: Segments, maps: Tensor, weights: Tensor, windows: Tensor) -> None:
        """The arrays are ``(B, ...)``, ``(T, ...)`` and ``(B, ...)``, each of contiguous numbers."""
        threads = torch.get_num_threads()
        items = segments.items(len(maps), threads, not self._over_images)
        counter = np.zeros(1, np.int64)
        tables = [counter, items, segments.segments, segments.taps]
        addresses = [table.ctypes.data for table in tables] + [array.data_ptr() for array in (maps, weights, windows)]
        call = np.array([*addresses, maps.shape[1:].numel(), windows.shape[1:].numel(), len(items)], np.int64)
        run_on_threads(self._address, call.ctypes.data, min(len(items), threads))


@cache
def program(storage: Storage, over_images: bool) -> Program:
    """Compiled once a process, in a quarter of a second."""
    return Program(storage, over_images)


def _vector_width() -> int:
    """Float32 numbers of the widest vector of this machine."""
    features = llvm.get_host_cpu_features()
    return 16 if features.get("avx512f") else 8 if features.get("avx2") else 4


def _target_machine() -> llvm.TargetMachine:
    """A new one for each engine, which becomes its owner."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    return llvm.Target.from_default_triple().create_target_machine(llvm.get_host_cpu_name(), features, opt=2)
