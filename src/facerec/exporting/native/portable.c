#include <math.h>
#include <string.h>

#include "plan.h"

enum { LANES = 4, TILE_ROWS = 6, TILE_VECTORS = 4 };

#if defined(__aarch64__)
#include <arm_neon.h>
#define ISA "neon"
#define larger(a, b) ((vector)vmaxq_f32((float32x4_t)(a), (float32x4_t)(b)))
#define smaller(a, b) ((vector)vminq_f32((float32x4_t)(a), (float32x4_t)(b)))
#define from_half(x) ((vector)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(x))))
#else
#include "half.h"
#define ISA "scalar"
typedef int32_t mask4 __attribute__((vector_size(16)));

/* Where not a > b, hence also where b is not a number: b. */
static inline float4 larger(float4 a, float4 b) {
  const mask4 choice = a > b;
  return (float4)(((mask4)a & choice) | ((mask4)b & ~choice));
}

static inline float4 smaller(float4 a, float4 b) { return -larger(-a, -b); }

#define from_half(x) ((vector)float4_of(x))
#endif

#include "kernels.c"

const struct kernels facerec_portable = {ISA, block, stem, pointwise};
