#include <emmintrin.h>
#include <math.h>
#include <string.h>

#include "half.h"
#include "plan.h"

enum { LANES = 4, TILE_ROWS = 6, TILE_VECTORS = 2 };
#define larger(a, b) ((vector)_mm_max_ps((__m128)(a), (__m128)(b)))
#define smaller(a, b) ((vector)_mm_min_ps((__m128)(a), (__m128)(b)))
#define from_half(x) ((vector)float4_of(x))

#include "kernels.c"

const struct kernels facerec_sse2 = {"sse2", block, stem, pointwise};
