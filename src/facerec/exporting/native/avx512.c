#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "plan.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,f16c"))),             \
                             apply_to = function)
#else
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,f16c")
#endif

enum { LANES = 16, TILE_ROWS = 12, TILE_VECTORS = 2 };
#define larger(a, b) ((vector)_mm512_max_ps((__m512)(a), (__m512)(b)))
#define smaller(a, b) ((vector)_mm512_min_ps((__m512)(a), (__m512)(b)))
#define from_half(x) ((vector)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i_u *)(x))))

#include "kernels.c"

const struct kernels facerec_avx512 = {"avx512", block, stem, pointwise};

#if defined(__clang__)
#pragma clang attribute pop
#endif
