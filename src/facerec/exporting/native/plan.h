/* How a call is divided, which no instruction set changes: the bands of a block and the sizes of its scratch memory. */
#ifndef FACEREC_PLAN_H
#define FACEREC_PLAN_H

#include "kernels.h"

enum {
  PANEL = 16,             /* channels that packed weights keep together */
  BAND_BYTES = 256 << 10, /* of a band's maps: what second-level caches hold beside the weights */
#ifndef WEIGHT_BYTES
#define WEIGHT_BYTES (256 << 10)
#endif
#ifndef LINES
#define LINES 1
#endif
#ifndef CLINES
#define CLINES 2
#endif
#ifndef HINT
#define HINT 2
#endif
#ifndef STEP
#define STEP 64
#endif
  STEM_ROWS = 8           /* of a stem's band */
};

static inline int32_t least(int32_t a, int32_t b) { return a < b ? a : b; }
static inline int32_t most(int32_t a, int32_t b) { return a > b ? a : b; }
static inline int32_t quotient_up(int64_t a, int64_t b) { return (int32_t)((a + b - 1) / b); }
static inline ptrdiff_t padded(int32_t channels, int32_t to) { return (ptrdiff_t)quotient_up(channels, to) * to; }

/* A group of images runs through a block together and shares every load of position-dependent weights. Of each image
 * there are `slots` rows of the conv's input, a ring, behind a row of zeros, and `rows` rows of its output. */
struct plan {
  int32_t out_height, out_width, pad;
  int32_t images, groups, rows, slots;
  ptrdiff_t channels; /* padded to PANEL: floats from a position to the next */
  ptrdiff_t line;     /* floats of a row of the conv's input, the zeros on either side included */
  ptrdiff_t ring;     /* floats of an image's input rows */
  ptrdiff_t middle;   /* floats of an image's output rows */
};

static inline int32_t slots_of(const struct facerec_conv *c, int32_t rows) {
  return least(c->in_height, (rows - 1) * c->stride + c->kernel);
}

static inline ptrdiff_t band_floats(const struct facerec_conv *c, const struct plan *p, int32_t rows) {
  return (slots_of(c, rows) + 1) * p->line + rows * p->out_width * p->channels;
}

static inline struct plan plan_of(const struct facerec_conv *c, int64_t images) {
  struct plan p = {quotient_up(c->in_height, c->stride), quotient_up(c->in_width, c->stride), c->kernel / 2, 1, 0, 1, 0,
                   padded(c->channels, PANEL), 0, 0, 0};
  p.line = (c->in_width + 2 * p.pad) * p.channels;
  p.images = c->by_position ? (int32_t)(images < 4 ? images : 4) : 1;
  p.groups = quotient_up(images, most(1, p.images));
  const ptrdiff_t weights = c->by_position ? p.out_width * p.channels * c->kernel * c->kernel * (c->half ? 2 : 4) : 0;
  while (p.rows < p.out_height && (p.rows + 1) * weights <= WEIGHT_BYTES && p.images * band_floats(c, &p, p.rows + 1) * 4 <= BAND_BYTES)
    p.rows++;
  p.slots = slots_of(c, p.rows);
  p.ring = (p.slots + 1) * p.line;
  p.middle = p.rows * p.out_width * p.channels;
  return p;
}

/* The part of `units` that a task does: from share(task) to share(task + 1). */
static inline int64_t share(int64_t units, int32_t task, int32_t tasks) { return units * task / tasks; }

/* What an instruction set's file gives. */
struct kernels {
  const char *name;
  void (*block)(const struct facerec_block *, const float *, float *, int64_t, int32_t, int32_t, float *);
  void (*stem)(const struct facerec_stem *, const uint8_t *, float *, int64_t, int32_t, int32_t, float *);
  void (*pointwise)(const struct facerec_pointwise *, const float *, float *, int64_t, int32_t, int32_t);
};

#endif
