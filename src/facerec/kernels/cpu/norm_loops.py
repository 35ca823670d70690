"""The loops over a map that a BatchNorm and its activation need: two that sum over positions, two that write a map.

A map in channels_last memory is a matrix with a row per position and a column per channel. Several positions are taken
as one row, so that vectors fill it (`facerec.kernels.cpu.norm_activation_cpu`). A work item is a piece of consecutive
rows; all threads take the next one until none is left, and each item's sums go to a row of their own. A column's mean
and factors stay in registers through all rows of the item.
"""

from collections.abc import Callable
from dataclasses import dataclass

from llvmlite import ir

from facerec.kernels.cpu.ir_builder import FLOAT32, POINTER, LoopBuilder, Storage, Value, int64, splat
from facerec.kernels.cpu.vector_functions import gradient_before, value_after

# Vectors of columns that are processed together: few enough that what they need stays in registers.
_UNROLL = 4

Columns = dict[str, Value]
# Emits the code for one vector: (builder, what the columns need, vectors of the maps, their width). Returns those to
# write, or to sum.
Body = Callable[[LoopBuilder, Columns, list[Value], int], list[Value]]


def statistics(storage: Storage, vector_width: int) -> ir.Module:
    """Build the sums of ``x - shift`` and of its squares."""

    def body(b: LoopBuilder, columns: Columns, maps: list[Value], width: int) -> list[Value]:
        distance = b.fsub(maps[0], columns["shift"])
        return [distance, b.fmul(distance, distance)]  # pyright: ignore[reportArgumentType]

    return Loop(body, ("shift",), maps=1, sums=2, storage=storage).build(vector_width)


def normalise(activation: str, shortcut: bool, past_cache: bool, storage: Storage, vector_width: int) -> ir.Module:
    """Build ``activation((x - mean) * scale + bias)``, plus a map to add if there is a ``shortcut``.

    ``past_cache`` writes to memory without reading it first; the result's address is then a multiple of 64 bytes, and
    the rows' length one of the unrolled vectors.
    """

    def body(b: LoopBuilder, columns: Columns, maps: list[Value], width: int) -> list[Value]:
        out = value_after(b, activation, _normalised(b, columns, maps[0]), columns.get("slope"), width)
        return [b.fadd(out, maps[1])] if shortcut else [out]

    names = _names(activation)
    return Loop(body, names, maps=1 + shortcut, storage=storage, past_cache=past_cache).build(vector_width)


def gradient_sums(activation: str, storage: Storage, vector_width: int) -> ir.Module:
    """Build the sums of the gradient before the activation, of its product with ``x - mean`` and, for PReLU, of the
    slope's gradient. The maps are x and the gradient of the output."""

    def body(b: LoopBuilder, columns: Columns, maps: list[Value], width: int) -> list[Value]:
        before = _normalised(b, columns, maps[0])
        gradient = gradient_before(b, activation, maps[1], before, columns.get("slope"), width)
        sums = [gradient, b.fmul(gradient, b.fsub(maps[0], columns["mean"]))]  # pyright: ignore[reportArgumentType]
        if activation == "prelu":
            zero = splat(FLOAT32, 0.0, width)
            sums.append(b.select(b.fcmp_ordered(">", before, zero), zero, b.fmul(maps[1], before)))
        return sums

    sums = 3 if activation == "prelu" else 2
    return Loop(body, _names(activation), maps=2, sums=sums, storage=storage).build(vector_width)


def input_gradient(activation: str, past_cache: bool, storage: Storage, vector_width: int) -> ir.Module:
    """Build ``scale * gradient + (x - mean) * along + constant`` with the gradient before the activation. The maps are
    x and the gradient of the output; ``past_cache`` as for `normalise`."""

    def body(b: LoopBuilder, columns: Columns, maps: list[Value], width: int) -> list[Value]:
        before = _normalised(b, columns, maps[0])
        gradient = gradient_before(b, activation, maps[1], before, columns.get("slope"), width)
        rest = b.multiply_add(b.fsub(maps[0], columns["mean"]), columns["along"], columns["constant"])
        return [b.multiply_add(columns["scale"], gradient, rest)]

    names = (*_names(activation), "along", "constant")
    return Loop(body, names, maps=2, storage=storage, past_cache=past_cache).build(vector_width)


def _names(activation: str) -> tuple[str, ...]:
    return ("mean", "scale", "bias", "slope") if activation == "prelu" else ("mean", "scale", "bias")


def _normalised(b: LoopBuilder, columns: Columns, x: Value) -> Value:
    return b.multiply_add(b.fsub(x, columns["mean"]), columns["scale"], columns["bias"])


@dataclass(frozen=True)
class Loop:
    """A loop over the items, the columns and the rows.

    Attributes:
        body: emits the code for one vector.
        names: what the columns need, a row of float32 each.
        maps: number of maps that are read.
        storage: element type of the maps.
        sums: number of sums per item and column, float32; 0: maps are written.
        written: number of maps that are written, if there are no sums.
        past_cache: see `normalise`.
    """

    body: Body
    names: tuple[str, ...]
    maps: int
    storage: Storage
    sums: int = 0
    written: int = 1
    past_cache: bool = False

    def build(self, vector_width: int) -> ir.Module:
        """Build ``void run(int64 *call)``, which any number of threads run at once.

        The fields of ``call``: next item; number of items; address of their table, with the offset of the first row,
        the number of rows and their length; distance from one row to the next, in elements, of maps, sums and what the
        columns need; addresses of what the columns need, of the results and of the maps.
        """
        module = ir.Module()
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), "run")
        b = LoopBuilder(function, vector_width)
        _, items, table, period, *fields = b.fields(function.args[0], int64(0), 5 + self.written + self.maps)
        columns, *arrays = (b.inttoptr(address, POINTER) for address in fields)
        results, maps = arrays[: self.written], arrays[self.written :]
        with b.taken(function.args[0], items) as item:
            offset, rows, length = b.fields(b.inttoptr(table, POINTER), item, 3)
            for start, width, count in b.vectors(length, _UNROLL, self.storage):
                first = b.add(offset, start)
                written = b.add(b.mul(item, b.mul(int64(self.sums), period)), start) if self.sums else first
                pointers = [b.at(map, first, self.storage.value) for map in maps]
                to = [b.at(result, written, FLOAT32 if self.sums else self.storage.value) for result in results]
                self._over_rows(b, b.at(columns, start, FLOAT32), to, pointers, rows, period, width, count)
        b.ret_void()
        return module

    def _over_rows(
        self,
        b: LoopBuilder,
        columns: Value,
        results: list[Value],
        maps: list[Value],
        rows: Value,
        period: Value,
        width: int,
        count: int,
    ) -> None:
        """Emit the loop over ``rows`` for ``count`` vectors of columns; all addresses are those of the first."""
        needed = self._needed(b, columns, period, width, count)
        sums = [[b.variable(splat(FLOAT32, 0.0, width)) for _ in range(count)] for _ in range(self.sums)]
        with b.range(int64(0), rows) as row:
            at = b.mul(row, period)
            read = [b.read(b.at(map, at, self.storage.value), width, count, self.storage) for map in maps]
            of_each = zip(needed, zip(*read, strict=True), strict=True)
            found = list(zip(*(self.body(b, column, list(vectors), width) for column, vectors in of_each), strict=True))
            if self.sums:
                _add(b, sums, found, width)
            else:
                past_cache = self.past_cache and count == _UNROLL
                for result, vectors in zip(results, found, strict=True):
                    b.write(list(vectors), b.at(result, at, self.storage.value), width, self.storage, past_cache)
        for number, total in enumerate(sums):
            to = b.at(results[0], b.mul(int64(number), period), FLOAT32)
            b.write([b.vector(address, width) for address in total], to, width, Storage.FLOAT32)

    def _needed(self, b: LoopBuilder, columns: Value, period: Value, width: int, count: int) -> list[Columns]:
        """Load what each of ``count`` vectors of columns needs."""
        rows = [b.at(columns, b.mul(int64(number), period), FLOAT32) for number in range(len(self.names))]
        loaded = [b.read(row, width, count, Storage.FLOAT32) for row in rows]
        return [dict(zip(self.names, vectors, strict=True)) for vectors in zip(*loaded, strict=True)]


def _add(b: LoopBuilder, sums: list[list[Value]], terms: list[tuple[Value, ...]], width: int) -> None:
    for total, found in zip(sums, terms, strict=True):
        for address, term in zip(total, found, strict=True):
            b.store(b.fadd(b.vector(address, width), term), address)
