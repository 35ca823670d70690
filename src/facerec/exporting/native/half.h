/* float16 by integer arithmetic, four at once, for processors without an instruction for it. */
#include <stdint.h>

typedef uint32_t bits4 __attribute__((vector_size(16)));
typedef float float4 __attribute__((vector_size(16)));

/* The exponent moves by 112, which the multiplication does for denormal numbers too; beyond it, infinite and not a
 * number keep the largest exponent. */
static inline float4 float4_of(const uint16_t *x) {
  const bits4 half = {x[0], x[1], x[2], x[3]};
  const bits4 magnitude = (half & 0x7fff) << 13, sign = (half & 0x8000) << 16;
  const bits4 beyond = (bits4)(magnitude >= 0x7c00 << 13) & 0x7f800000;
  return (float4)((bits4)((float4)magnitude * 0x1p112f) | beyond | sign);
}
