#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "plan.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c")
#endif

enum { LANES = 8, TILE_ROWS = 6, TILE_VECTORS = 2 };
#define larger(a, b) ((vector)_mm256_max_ps((__m256)(a), (__m256)(b)))
#define smaller(a, b) ((vector)_mm256_min_ps((__m256)(a), (__m256)(b)))
#define from_half(x) ((vector)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i_u *)(x))))

#include "kernels.c"

const struct kernels facerec_avx2 = {"avx2", block, stem, pointwise};

#if defined(__clang__)
#pragma clang attribute pop
#endif
