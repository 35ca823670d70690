"""The loop over the tiles of a map that `facerec.kernels.cpu.winograd_cpu` needs: a matrix from both sides.

A map, and what is made of its tiles, are matrices with a row per position and a column per channel, so tables of row
numbers say where a tile's values come from and where its results go. Borders and overlaps are in the tables alone.
"""

from llvmlite import ir

from facerec.kernels.cpu.ir_builder import FLOAT32, POINTER, LoopBuilder, Storage, Value, int64, splat

Matrix = tuple[tuple[float, ...], ...]


def both_sides(matrix: Matrix, vector_width: int) -> ir.Module:
    """Build ``matrix @ tile @ matrix.T`` of each tile and channel: ``void run(int64 *call)``, for any threads at once.

    With a matrix of n rows and m columns, a tile has m * m rows of the source and n * n of the result. Row -1 is one of
    zeros in the source, and is not kept in the result.

    The fields of ``call``: next item; number of items; address of their table, with the first and last (exclusive)
    tile; addresses of the tables of the source's rows, ``(tiles, m * m)``, and of the result's, ``(tiles, n * n)``;
    addresses of source, result, a row of zeros and a row for what is not kept; channels; number of groups of channels;
    distances of rows and of groups, in elements, in the source and in the result.
    """
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), "run")
    b = LoopBuilder(function, vector_width)
    _, items, *fields = b.fields(function.args[0], int64(0), 15)
    table, from_rows, to_rows, source, result, zeros, unused = (b.inttoptr(address, POINTER) for address in fields[:7])
    channels, groups, from_row, from_group, to_row, to_group = fields[7:]
    with b.taken(function.args[0], items) as item:
        first, last = b.fields(table, item, 2)
        with b.range(first, last) as tile, b.range(int64(0), groups) as group:
            at = b.at(source, b.mul(group, from_group), FLOAT32)
            to = b.at(result, b.mul(group, to_group), FLOAT32)
            sources = _rows(b, from_rows, tile, len(matrix[0]), at, from_row, zeros)
            results = _rows(b, to_rows, tile, len(matrix), to, to_row, unused)
            for start, width, _ in b.vectors(channels, 1):
                _transform(b, matrix, sources, results, start, width)
    b.ret_void()
    return module


def _rows(
    b: LoopBuilder, table: Value, tile: Value, side: int, array: Value, distance: Value, otherwise: Value
) -> list[list[Value]]:
    """Return the addresses of a tile's rows, ``side`` by ``side``."""
    numbers = b.fields(table, tile, side * side)
    found = [b.at(array, b.mul(number, distance), FLOAT32) for number in numbers]
    inside = [b.icmp_signed(">=", number, int64(0)) for number in numbers]
    rows = [b.select(*choice, otherwise) for choice in zip(inside, found, strict=True)]
    return [rows[start : start + side] for start in range(0, side * side, side)]


def _transform(
    b: LoopBuilder, matrix: Matrix, sources: list[list[Value]], results: list[list[Value]], start: Value, width: int
) -> None:
    """Emit the products for one vector of channels."""
    columns = []
    for pointers in zip(*sources, strict=True):
        column = [b.read(b.at(pointer, start, FLOAT32), width, 1, Storage.FLOAT32)[0] for pointer in pointers]
        columns.append(_product(b, matrix, column, width))
    for row, pointers in zip(zip(*columns, strict=True), results, strict=True):
        for vector, pointer in zip(_product(b, matrix, list(row), width), pointers, strict=True):
            b.write([vector], b.at(pointer, start, FLOAT32), width, Storage.FLOAT32)


def _product(b: LoopBuilder, matrix: Matrix, vectors: list[Value], width: int) -> list[Value]:
    return [_sum(b, factors, vectors, width) for factors in matrix]


def _sum(b: LoopBuilder, factors: tuple[float, ...], vectors: list[Value], width: int) -> Value:
    """Return the sum of the products; what is multiplied by 1 comes first, what is multiplied by 0 not at all."""
    terms = sorted(zip(factors, vectors, strict=True), key=lambda term: term[0] != 1)
    total = None
    for factor, vector in ((f, v) for f, v in terms if f):
        if total is None:
            total = vector if factor == 1 else b.fmul(vector, splat(FLOAT32, factor, width))
        elif abs(factor) == 1:
            total = (b.fadd if factor == 1 else b.fsub)(total, vector)
        else:
            total = b.multiply_add(vector, splat(FLOAT32, factor, width), total)
    return total
