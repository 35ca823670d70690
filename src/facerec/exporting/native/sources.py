"""What the operator library is compiled from."""

#: C files by the processor's architecture. One command compiles them all; each chooses its instruction set itself.
SOURCES = {
    "x86_64": ("dispatch.c", "sse2.c", "avx2.c", "avx512.c"),
    "aarch64": ("dispatch.c", "portable.c"),
}
#: Of the compiler, gcc or clang. No -ffast-math: it would switch denormal numbers off in the whole process.
FLAGS = ("-std=c11", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fvisibility=hidden")
