"""Activations and their gradients of vectors, for `facerec.kernels.cpu.norm_loops`.

NaN passes through all of them, and at a bend the gradient is PyTorch's.
"""

import math

from llvmlite import ir

from facerec.kernels.cpu.ir_builder import FLOAT32, LoopBuilder, Value, splat

_INT32 = ir.IntType(32)


def value_after(b: LoopBuilder, activation: str, z: Value, slope: Value | None, width: int) -> Value:
    """Return the activation of the vector ``z``; ``slope`` is PReLU's."""
    zero, six = splat(FLOAT32, 0.0, width), splat(FLOAT32, 6.0, width)
    match activation:
        case "relu":
            return _at_least(b, z, zero)
        case "relu6":
            return _at_most(b, _at_least(b, z, zero), six)
        case "prelu":
            return b.select(b.fcmp_ordered(">", z, zero), z, b.fmul(z, slope))
        case "hardswish":
            clipped = _at_most(b, _at_least(b, b.fadd(z, splat(FLOAT32, 3.0, width)), zero), six)
            return b.fmul(b.fmul(z, clipped), splat(FLOAT32, 1 / 6, width))
        case "silu":
            return b.fmul(z, _sigmoid(b, z, width))
    return z


def gradient_before(
    b: LoopBuilder, activation: str, gradient: Value, z: Value, slope: Value | None, width: int
) -> Value:
    """Return the gradient of ``z``, given that of the activation of ``z``."""
    zero, one = splat(FLOAT32, 0.0, width), splat(FLOAT32, 1.0, width)
    match activation:
        case "relu":
            return b.select(b.fcmp_ordered("<=", z, zero), zero, b.loaded(gradient))
        case "relu6":
            clipped = b.or_(b.fcmp_ordered("<=", z, zero), b.fcmp_ordered(">=", z, splat(FLOAT32, 6.0, width)))
            return b.select(clipped, zero, b.loaded(gradient))
        case "prelu":
            return b.select(b.fcmp_ordered(">", z, zero), gradient, b.fmul(gradient, slope))
        case "hardswish":
            half, third = splat(FLOAT32, 0.5, width), splat(FLOAT32, 1 / 3, width)
            between = b.fmul(gradient, b.multiply_add(z, third, half))
            below = b.fcmp_ordered("<=", z, splat(FLOAT32, -3.0, width))
            above = b.fcmp_ordered(">=", z, splat(FLOAT32, 3.0, width))
            return b.select(below, zero, b.select(above, gradient, between))
        case "silu":
            sigmoid = _sigmoid(b, z, width)
            rest = b.fmul(z, b.fsub(one, sigmoid))
            return b.fmul(gradient, b.fmul(sigmoid, b.fadd(one, rest)))
    return gradient


def _at_least(b: LoopBuilder, z: Value, low: Value) -> Value:
    return b.select(b.fcmp_ordered("<", z, low), low, z)


def _at_most(b: LoopBuilder, z: Value, high: Value) -> Value:
    return b.select(b.fcmp_ordered(">", z, high), high, z)


def _sigmoid(b: LoopBuilder, z: Value, width: int) -> Value:
    one = splat(FLOAT32, 1.0, width)
    return b.fdiv(one, b.fadd(one, _exp(b, b.fneg(z), width)))


def _exp(b: LoopBuilder, z: Value, width: int) -> Value:
    """Return e to the power of ``z``, within a few units in the last place for results from 1e-38 to 1e38.

    With the integer n nearest to z / ln 2, it is 2 to the power of n, by its bits, times e to the power of the rest,
    by eight terms of its series.
    """
    z = _at_most(b, _at_least(b, z, splat(FLOAT32, -87.0, width)), splat(FLOAT32, 87.0, width))
    kind = ir.VectorType(FLOAT32, width)
    round_even = b.module.declare_intrinsic(f"llvm.rint.v{width}f32", fnty=ir.FunctionType(kind, [kind]))
    n = b.call(round_even, [b.fmul(z, splat(FLOAT32, 1 / math.log(2), width))])
    # ln 2 in two parts, the first with zeros at its end, so that its product with n is exact.
    rest = b.multiply_add(n, splat(FLOAT32, -0.693359375, width), z)
    rest = b.multiply_add(n, splat(FLOAT32, 0.693359375 - math.log(2), width), rest)
    series = splat(FLOAT32, 1 / math.factorial(7), width)
    for power in range(6, -1, -1):
        series = b.multiply_add(series, rest, splat(FLOAT32, 1 / math.factorial(power), width))
    # NaN has no integer.
    whole = b.fptosi(b.select(b.fcmp_ordered("ord", n, n), n, splat(FLOAT32, 0.0, width)), ir.VectorType(_INT32, width))
    bits = b.shl(b.add(whole, splat(_INT32, 127, width)), splat(_INT32, 23, width))
    return b.fmul(series, b.bitcast(bits, kind))
