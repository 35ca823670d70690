/* Chooses the instruction set when the library is loaded, and how many tasks a call is worth. */
#include <string.h>

#include "plan.h"

#if defined(__x86_64__)
#include <cpuid.h>

extern const struct kernels facerec_sse2, facerec_avx2, facerec_avx512;

/* The bits of the register state that the operating system saves, or 0. */
static uint32_t saved_state(void) {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
    return 0;
  __asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
  return a;
}

static int has_avx2(void) {
  const uint32_t features = bit_FMA | bit_F16C | bit_AVX, state = 0x6; /* xmm, ymm */
  uint32_t a, b, c, d, b7;
  if (!__get_cpuid_count(7, 0, &a, &b7, &c, &d) || !__get_cpuid(1, &a, &b, &c, &d))
    return 0;
  return (c & features) == features && (b7 & bit_AVX2) && (saved_state() & state) == state;
}

static int has_avx512(void) {
  const uint32_t features = bit_AVX512F | bit_AVX512VL | bit_AVX512BW | bit_AVX512DQ, state = 0xe6; /* and masks, zmm */
  uint32_t a, b, c, d;
  if (!has_avx2() || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
    return 0;
  return (b & features) == features && (saved_state() & state) == state;
}

static const struct kernels *found(const char *name) {
  if (has_avx512() && (!name || !strcmp(name, "avx512")))
    return &facerec_avx512;
  if (has_avx2() && (!name || !strcmp(name, "avx2")))
    return &facerec_avx2;
  return !name || !strcmp(name, "sse2") ? &facerec_sse2 : NULL;
}
#else
extern const struct kernels facerec_portable;

static const struct kernels *found(const char *name) {
  return !name || !strcmp(name, facerec_portable.name) ? &facerec_portable : NULL;
}
#endif

static const struct kernels *in_use;

__attribute__((constructor)) static void choose(void) { in_use = found(NULL); }

const char *facerec_isa(void) { return in_use->name; }

int facerec_use_isa(const char *name) {
  const struct kernels *kernels = found(name);
  if (kernels)
    in_use = kernels;
  return kernels ? 0 : -1;
}

const char *facerec_version(void) { return "2"; }

/* Whole groups where they keep all threads busy; else rows are divided too, which costs those that both halves need. */
int32_t facerec_block_tasks(const struct facerec_block *b, int64_t images, int32_t threads) {
  const struct plan p = plan_of(&b->conv, images);
  const int32_t even = p.groups % threads == 0 || p.groups >= 4 * threads;
  return most(1, p.groups * (even ? 1 : least(threads, p.out_height)));
}

size_t facerec_block_scratch(const struct facerec_block *b, int64_t images, int32_t tasks) {
  const struct plan p = plan_of(&b->conv, images);
  (void)tasks;
  return (size_t)(p.images * (p.ring + p.middle) + p.filters) * sizeof(float);
}

void facerec_block_run(const struct facerec_block *b, const float *x, float *y, int64_t images, int32_t task,
                       int32_t tasks, void *scratch) {
  in_use->block(b, x, y, images, task, tasks, scratch);
}

int32_t facerec_stem_tasks(const struct facerec_stem *s, int64_t images, int32_t threads) {
  const int64_t bands = images * quotient_up(quotient_up(s->in_height, s->stride), STEM_ROWS);
  return threads == 1 ? 1 : (int32_t)(bands < 4 * threads ? bands : 4 * threads);
}

size_t facerec_stem_scratch(const struct facerec_stem *s, int64_t images, int32_t tasks) {
  (void)images, (void)tasks;
  return (size_t)((STEM_ROWS - 1) * s->stride + s->kernel) * (size_t)(s->in_width + s->kernel - 1) * 3 * sizeof(float);
}

void facerec_stem_run(const struct facerec_stem *s, const uint8_t *x, float *y, int64_t images, int32_t task,
                      int32_t tasks, void *scratch) {
  in_use->stem(s, x, y, images, task, tasks, scratch);
}

int32_t facerec_pointwise_tasks(const struct facerec_pointwise *p, int64_t rows, int32_t threads) {
  (void)p, (void)rows;
  return threads;
}

size_t facerec_pointwise_scratch(const struct facerec_pointwise *p, int64_t rows, int32_t tasks) {
  (void)p, (void)rows, (void)tasks;
  return 0;
}

void facerec_pointwise_run(const struct facerec_pointwise *p, const float *x, float *y, int64_t rows, int32_t task,
                           int32_t tasks, void *scratch) {
  (void)scratch;
  in_use->pointwise(p, x, y, rows, task, tasks);
}
