/* Vectors of LANES floats. An instruction set's file defines LANES, larger, smaller and from_half before. */
typedef float vector __attribute__((vector_size(LANES * 4)));
typedef float unaligned __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

INLINE vector load(const float *x) { return *(const unaligned *)x; }
INLINE void store(float *y, vector v) { *(unaligned *)y = v; }
INLINE vector all(float x) { return x - (vector){0}; }

/* The first `count` lanes, where there are so few; the others are 0. */
INLINE vector load_some(const float *x, ptrdiff_t count) {
  vector v = {0};
  if (count >= LANES)
    return load(x);
  memcpy(&v, x, (size_t)most(0, (int32_t)count) * sizeof(float));
  return v;
}

INLINE void store_some(float *y, vector v, ptrdiff_t count) {
  if (count >= LANES)
    store(y, v);
  else
    memcpy(y, &v, (size_t)count * sizeof(float));
}

/* The order of the operands lets what is not a number through, as PyTorch does. */
INLINE vector activated(vector v, int32_t activation) {
  if (activation != FACEREC_NONE)
    v = larger(all(0), v);
  return activation == FACEREC_RELU6 ? smaller(all(6), v) : v;
}
