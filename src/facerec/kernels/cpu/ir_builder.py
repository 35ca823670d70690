"""A builder of loops over vectors in LLVM's intermediate representation.

Offsets and lengths are in elements, never in bytes. Arithmetic is float32; bfloat16 is widened when it is read and
rounded to the nearest even when it is written.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import Enum
from typing import Any

from llvmlite import ir

# The result of an instruction; llvmlite does not declare the types of its methods.
Value = Any
POINTER, INT64, FLOAT32 = ir.PointerType(), ir.IntType(64), ir.FloatType()
_INT16, _INT32 = ir.IntType(16), ir.IntType(32)
_UPPER = 0xFFFF << 16  # the half of 32 bits


class Storage(Enum):
    """The element type of an array in memory."""

    FLOAT32 = FLOAT32
    BFLOAT16 = _INT16


def int64(value: int) -> ir.Constant:
    return ir.Constant(INT64, value)


class LoopBuilder(ir.IRBuilder):
    """LLVM's instruction builder, extended by loops and by vectors of either storage.

    Args:
        function: the function to build; its first block is added here.
        vector_width: float32 elements of the widest vector of this machine.
    """

    def __init__(self, function: ir.Function, vector_width: int) -> None:
        super().__init__(function.append_basic_block())
        # Elements of the vectors that a loop is built with, the widest first.
        self.widths = list(dict.fromkeys(min(width, vector_width) for width in (vector_width, 8, 4, 1)))
        self._in_pairs = False

    def variable(self, value: Value) -> Value:
        """Return the address of a new local variable; LLVM turns it into a register."""
        with self.goto_entry_block():
            address = self.alloca(value.type)
        self.store(value, address)
        return address

    @contextmanager
    def while_(self, condition: Callable[[], Value]) -> Iterator[None]:
        """Emit a loop that repeats the code built inside as long as the value that ``condition`` builds is true."""
        head, body, end = (self.append_basic_block() for _ in range(3))
        self.branch(head)
        self.position_at_end(head)
        self.cbranch(condition(), body, end)
        self.position_at_end(body)
        yield
        self.branch(head)
        self.position_at_end(end)

    @contextmanager
    def steps(self, counter: Value, stop: Value, step: int = 1) -> Iterator[Value]:
        """Emit a loop that advances the variable at address ``counter`` by ``step`` as long as a whole step fits below
        ``stop``; yields the counter's value at the start of the step."""
        with self.while_(lambda: self.icmp_signed("<=", self.add(self.load(counter, typ=INT64), int64(step)), stop)):
            start = self.load(counter, typ=INT64)
            yield start
            self.store(self.add(start, int64(step)), counter)

    def range(self, start: Value, stop: Value) -> AbstractContextManager[Value]:
        """Emit a loop over ``start``, ..., ``stop - 1``."""
        return self.steps(self.variable(start), stop)

    @contextmanager
    def taken(self, next_item: Value, items: Value) -> Iterator[Value]:
        """Emit a loop over the work items that this thread takes: the next one, until none of ``items`` is left.

        ``next_item`` is the address of an integer that all threads count up.
        """
        item = self.variable(int64(0))

        def take() -> Value:
            self.store(self.atomic_rmw("add", next_item, int64(1), "monotonic"), item)
            return self.icmp_signed("<", self.load(item, typ=INT64), items)

        with self.while_(take):
            yield self.load(item, typ=INT64)

    def vectors(
        self, length: Value, unroll: int, storage: Storage = Storage.FLOAT32
    ) -> Iterator[tuple[Value, int, int]]:
        """Emit loops that cover ``length`` elements, first with ``unroll`` of the widest vectors at once, finally one
        element at a time. The code inside is built once for each (start, width, number of vectors) yielded.

        Where maps are in bfloat16 ``storage``, `read` and `write` take an even number of vectors in pairs: one has the
        elements 0, 2, 4, ... of two vectors' length, and the next 1, 3, 5, ... So bfloat16 becomes float32 by a shift
        and a mask of whole registers, without moving elements between their parts.
        """
        covered = self.variable(int64(0))
        for width, count in dict.fromkeys([(self.widths[0], unroll), *((width, 1) for width in self.widths)]):
            with self.steps(covered, length, width * count) as start:
                self._in_pairs = storage is Storage.BFLOAT16 and count % 2 == 0
                yield start, width, count
                self._in_pairs = False

    def at(self, pointer: Value, offset: Value, kind: ir.Type) -> Value:
        """Return ``pointer`` advanced by ``offset`` elements of type ``kind``."""
        return self.gep(pointer, [offset], source_etype=kind)

    def fields(self, table: Value, row: Value, count: int) -> list[Value]:
        """Load one row of a table with ``count`` 64-bit integers per row."""
        first = self.at(table, self.mul(row, int64(count)), INT64)
        return [self.load(self.at(first, int64(field), INT64), typ=INT64) for field in range(count)]

    def read(self, pointer: Value, width: int, count: int, storage: Storage) -> list[Value]:
        """Load ``count`` consecutive vectors as float32, or the pairs of `vectors`."""
        if self._in_pairs:
            starts = [self.at(pointer, int64(n * width), storage.value) for n in range(0, count, 2)]
            return [vector for start in starts for vector in self._read_pair(start, width, storage)]
        return [self._read(self.at(pointer, int64(n * width), storage.value), width, storage) for n in range(count)]

    def _read(self, pointer: Value, width: int, storage: Storage) -> Value:
        if storage is Storage.FLOAT32:
            return self.load(pointer, typ=ir.VectorType(FLOAT32, width), align=4)
        halves = self.load(pointer, typ=ir.VectorType(_INT16, width), align=2)
        bits = self.shl(self.zext(halves, ir.VectorType(_INT32, width)), splat(_INT32, 16, width))
        return self.bitcast(bits, ir.VectorType(FLOAT32, width))

    def _read_pair(self, pointer: Value, width: int, storage: Storage) -> list[Value]:
        if storage is Storage.FLOAT32:
            first, second = (self._read(self.at(pointer, int64(n * width), FLOAT32), width, storage) for n in (0, 1))
            return self._even_and_odd(first, second, width)
        both = self.load(pointer, typ=ir.VectorType(_INT32, width), align=2)
        halves = (self.shl(both, splat(_INT32, 16, width)), self.and_(both, splat(_INT32, _UPPER, width)))
        return [self.bitcast(bits, ir.VectorType(FLOAT32, width)) for bits in halves]

    def _even_and_odd(self, first: Value, second: Value, width: int) -> list[Value]:
        """Return the 1st, 3rd, ... and the 2nd, 4th, ... of the first ``2 * width`` elements of two vectors."""
        masks = (ir.Constant(ir.VectorType(_INT32, width), list(range(start, 2 * width, 2))) for start in range(2))
        return [self.shuffle_vector(first, second, mask) for mask in masks]

    def write(
        self, vectors: list[Value], pointer: Value, width: int, storage: Storage, past_cache: bool = False
    ) -> None:
        """Store consecutive float32 vectors; the inverse of `read`.

        ``past_cache`` stores to memory without reading the line first; ``pointer`` is then a multiple of the vector.
        """
        for address, vector in self._stored(vectors, pointer, width, storage):
            bits = vector.type.count * (32 if vector.type.element in (FLOAT32, _INT32) else 16)
            store = self.store(
                vector, address, align=bits // 8 if past_cache else 2 if storage is Storage.BFLOAT16 else 4
            )
            if past_cache:
                store.set_metadata("nontemporal", self.module.add_metadata([ir.Constant(_INT32, 1)]))

    def _stored(
        self, vectors: list[Value], pointer: Value, width: int, storage: Storage
    ) -> Iterator[tuple[Value, Value]]:
        """Yield addresses and what is stored there."""
        for n in range(0, len(vectors), 2 if self._in_pairs else 1):
            address = self.at(pointer, int64(n * width), storage.value)
            if self._in_pairs and storage is Storage.BFLOAT16:
                even, odd = (self._rounded(vector, width) for vector in vectors[n : n + 2])
                lower = self.lshr(even, splat(_INT32, 16, width))
                yield address, self.or_(lower, self.and_(odd, splat(_INT32, _UPPER, width)))
            elif self._in_pairs:
                for half in range(2):
                    yield self.at(address, int64(half * width), FLOAT32), self._joined(vectors[n : n + 2], half, width)
            elif storage is Storage.BFLOAT16:
                upper = self.lshr(self._rounded(vectors[n], width), splat(_INT32, 16, width))
                yield address, self.trunc(upper, ir.VectorType(_INT16, width))
            else:
                yield address, vectors[n]

    def _joined(self, pair: list[Value], half: int, width: int) -> Value:
        """Return the first or second ``half`` of the elements of a pair in their order."""
        order = [n // 2 + n % 2 * width for n in range(half * width, (half + 1) * width)]
        first, second = pair
        return self.shuffle_vector(first, second, ir.Constant(ir.VectorType(_INT32, width), order))

    def _rounded(self, vector: Value, width: int) -> Value:
        """Round float32 to bits of which the upper half are bfloat16's; NaN stays NaN."""
        bits = self.bitcast(vector, ir.VectorType(_INT32, width))
        odd = self.and_(self.lshr(bits, splat(_INT32, 16, width)), splat(_INT32, 1, width))
        nearest = self.add(self.add(bits, odd), splat(_INT32, 0x7FFF, width))
        is_number = self.fcmp_ordered("ord", vector, vector)
        return self.select(is_number, nearest, splat(_INT32, 0x7FC0 << 16, width))

    def vector(self, address: Value, width: int) -> Value:
        """Load the float32 vector from a local `variable`."""
        return self.load(address, typ=ir.VectorType(FLOAT32, width))

    def loaded(self, vector: Value) -> Value:
        """Return ``vector``, as it is, for a `select` between it and zero.

        LLVM makes one instruction of such a `select` and the load before it, which then waits for the condition: where
        that is computed from another map, memory is read half as fast.
        """
        if not isinstance(vector.type, ir.VectorType):
            return vector
        name, kind = f"llvm.arithmetic.fence.v{vector.type.count}f32", ir.FunctionType(vector.type, [vector.type])
        fence = self.module.globals.get(name) or self.module.declare_intrinsic(name, fnty=kind)
        return self.call(fence, [vector])

    def spread(self, pointer: Value, offset: int, width: int, storage: Storage) -> Value:
        """Load the element ``offset`` elements after ``pointer`` and repeat it ``width`` times in a vector."""
        element = self._read(self.at(pointer, int64(offset), storage.value), 1, storage)
        return self.shuffle_vector(element, element, splat(_INT32, 0, width))

    def sums_within(self, vectors: list[Value], width: int) -> list[Value]:
        """Sum the elements of each of 1, 2, 4, ... vectors of ``width``; returns vectors of as many sums as fit."""
        parts = width  # partial sums of each sum
        while parts > 1:
            alone, parts = len(vectors) == 1, parts // 2
            pairs = [(vectors[0], vectors[0])] if alone else zip(vectors[::2], vectors[1::2], strict=True)
            width = width // 2 if alone else width
            vectors = [self.neighbour_sums(*pair, width) for pair in pairs]
        return vectors

    def neighbour_sums(self, first: Value, second: Value, width: int) -> Value:
        """Add the 1st and 2nd, the 3rd and 4th, ... of the first ``2 * width`` elements of two vectors."""
        return self.fadd(*self._even_and_odd(first, second, width))

    def multiply_add(self, left: Value, right: Value, total: Value) -> Value:
        """Compute ``total + left * right``, rounded once where the machine can."""
        product = self.fmul(left, right, flags=["contract"])  # pyright: ignore[reportCallIssue]
        return self.fadd(total, product, flags=["contract"])  # pyright: ignore[reportCallIssue]


def splat(kind: ir.Type, value: float, width: int) -> ir.Constant:
    """Return the constant vector that repeats ``value`` ``width`` times."""
    return ir.Constant(ir.VectorType(kind, width), [value] * width)
