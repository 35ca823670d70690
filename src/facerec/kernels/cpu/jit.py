"""Compilation of the loops for this machine, and running them on PyTorch's threads."""

from collections.abc import Callable, Hashable
from functools import cache

import llvmlite.binding as llvm
import numpy as np
import torch
from llvmlite import ir
from torch import Tensor

from facerec.kernels.cpu.driver import ARRAYS
from facerec.kernels.cpu.ir_builder import Storage
from facerec.kernels.cpu.tap_tables import Segments
from facerec.kernels.cpu.threads import run_on_threads

DTYPES = {torch.float32: Storage.FLOAT32, torch.bfloat16: Storage.BFLOAT16}


class Program:
    """Machine code of one of the loops of `inner_loops`, `pixel_inner_loops` and `norm_loops`."""

    def __init__(self, module: ir.Module) -> None:
        machine = _target_machine()
        code = llvm.parse_assembly(str(module))
        builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
        builder.getModulePassManager().run(code, builder)
        # The code lives as long as the engine.
        self._engine = llvm.create_mcjit_compiler(code, machine)
        self._engine.finalize_object()
        self._address = self._engine.get_function_address("run")

    def run(self, tables: Segments, items: np.ndarray, *arrays: Tensor | None) -> None:
        """Process the work ``items`` of ``tables``.

        Args:
            tables: segments and taps of the map.
            items: work items from `Segments.items` or `Segments.whole_images`.
            arrays: contiguous, in the order of `facerec.kernels.cpu.driver.ARRAYS`, up to the last that the loop uses;
                None for one that it does not use. All are ``(B, ...)`` except weights that all images share.
        """
        given = [(0, 0) if array is None else (array.data_ptr(), array.stride(0)) for array in arrays]
        given += [(0, 0)] * (len(ARRAYS) - len(given))
        pointers, strides = zip(*given, strict=True)
        self.call(items, *tables.addresses, *pointers, *strides)

    def call(self, items: np.ndarray, *fields: int) -> None:
        """Process the work ``items``; after their table, the loop reads ``fields``: integers and addresses."""
        call = np.array([0, len(items), items.ctypes.data, *fields], np.int64)
        run_on_threads(self._address, call.ctypes.data, min(len(items), torch.get_num_threads()))


@cache
def program(build: Callable[..., ir.Module], *options: Hashable) -> Program:
    """Return the compiled ``build(*options, vector_width)``; compiling takes 0.25 s, once per process."""
    return Program(build(*options, _vector_width()))


def _vector_width() -> int:
    """Return the number of float32 elements in the widest vector of this machine."""
    features = llvm.get_host_cpu_features()
    return 16 if features.get("avx512f") else 8 if features.get("avx2") else 4


def _target_machine() -> llvm.TargetMachine:
    """Create a new target machine; each engine needs its own, because it becomes its owner."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    return llvm.Target.from_default_triple().create_target_machine(llvm.get_host_cpu_name(), features, opt=2)
