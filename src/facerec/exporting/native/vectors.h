/* Vectors of LANES floats. An instruction set's file defines LANES, larger, smaller and from_half before. */
typedef float vector __attribute__((vector_size(LANES * 4)));
typedef float unaligned __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

/* Before a loop over registers, which must not remain a loop. */
#if defined(__clang__)
#define UNROLLED _Pragma("unroll")
#else
#define UNROLLED _Pragma("GCC unroll 16")
#endif

INLINE vector load(const float *x) { return *(const unaligned *)x; }
INLINE void store(float *y, vector v) { *(unaligned *)y = v; }
INLINE vector all(float x) { return x - (vector){0}; }

/* The first `count` lanes, where there are so few; the others are 0. */
INLINE vector load_some(const float *x, ptrdiff_t count) {
  vector v = {0};
  if (count >= LANES)
    return load(x);
  if (count == LANES / 2)
    memcpy(&v, x, LANES / 2 * sizeof(float));
  else
    memcpy(&v, x, (size_t)most(0, (int32_t)count) * sizeof(float));
  return v;
}

INLINE void store_some(float *y, vector v, ptrdiff_t count) {
  if (count >= LANES)
    store(y, v);
  else if (count == LANES / 2)
    memcpy(y, &v, LANES / 2 * sizeof(float));
  else
    memcpy(y, &v, (size_t)count * sizeof(float));
}

/* Keeps the compiler from computing addresses before a loop, more than there are registers for. */
INLINE const float *computed_here(const float *x) {
  __asm__("" : "+r"(x));
  return x;
}

/* What an activation lets through. */
struct limits {
  vector low, high;
};

INLINE struct limits limits_of(int32_t activation) {
  const int has_floor = activation == FACEREC_RELU || activation == FACEREC_RELU6;
  return (struct limits){all(has_floor ? 0 : -INFINITY),
                         all(activation == FACEREC_RELU6 ? 6 : INFINITY)};
}

/* The order of the operands lets what is not a number through, as PyTorch does. */
INLINE vector limited(vector v, struct limits limits) { return smaller(limits.high, larger(limits.low, v)); }

/* PReLU, whose first `count` lanes have slopes; anything where there are none. */
INLINE vector sloped(vector v, const float *slope, ptrdiff_t count) {
  return slope ? larger(all(0), v) + load_some(slope, count) * smaller(all(0), v) : v;
}

/* Memory that is soon read. */
struct stream {
  const char *next, *end;
};

/* Brings some cache lines of it into the second-level cache. */
INLINE void fetch(struct stream *s, const int lines) {
  if (s->next >= s->end)
    return;
  for (int line = 0; line < lines; line++)
    __builtin_prefetch(s->next + line * 64, 0, 2);
  s->next += lines * 64;
}
