/* How a call is divided, which no instruction set changes: the bands of a block and the sizes of its scratch memory. */
#ifndef FACEREC_PLAN_H
#define FACEREC_PLAN_H

#include "kernels.h"

enum {
  PANEL = 16,               /* channels that packed weights keep together */
  BAND_BYTES = 128 << 10,   /* of a band's maps, and of its weights: a small second-level cache holds both */
  WEIGHT_BYTES = 128 << 10,
  STEM_ROWS = 8             /* of a stem's band */
};

static inline int32_t least(int32_t a, int32_t b) { return a < b ? a : b; }
static inline int32_t most(int32_t a, int32_t b) { return a > b ? a : b; }
static inline int32_t quotient_up(int64_t a, int64_t b) { return (int32_t)((a + b - 1) / b); }
static inline ptrdiff_t padded(int32_t channels, int32_t to) { return (ptrdiff_t)quotient_up(channels, to) * to; }

/* Whether the filters of all positions are stored. */
static inline int has_all(const struct facerec_conv *c) { return c->by_position && c->grid_height == 0; }

static inline int is_interpolated(const struct facerec_conv *c) { return c->grid_height > 0 && !c->grid_nearest; }

/* A group of images runs through a block together and shares every load of position-dependent weights. Of each image
 * there are `slots` rows of the conv's input, a ring, behind a row of zeros, and `rows` rows of its output. */
struct plan {
  int32_t out_height, out_width, pad;
  int32_t images, groups, rows, slots;
  ptrdiff_t channels; /* padded to PANEL: floats from a position to the next */
  ptrdiff_t line;     /* floats of a row of the conv's input, the zeros on either side included */
  ptrdiff_t ring;     /* floats of an image's input rows */
  ptrdiff_t middle;   /* floats of an image's output rows */
  ptrdiff_t filters;  /* floats of a row's filters, where they are interpolated */
};

static inline int32_t slots_of(const struct facerec_conv *c, int32_t rows) {
  return least(c->in_height, (rows - 1) * c->stride + c->kernel);
}

static inline ptrdiff_t band_floats(const struct facerec_conv *c, const struct plan *p, int32_t rows) {
  return (slots_of(c, rows) + 1) * p->line + rows * p->out_width * p->channels;
}

/* Bytes from a position's weights to the next one's. */
static inline ptrdiff_t weight_step(const struct facerec_conv *c) {
  return padded(c->channels, PANEL / 2) * c->kernel * c->kernel * (c->half ? 2 : 4);
}

static inline int fits(const struct facerec_conv *c, const struct plan *p, int32_t rows) {
  return p->images * band_floats(c, p, rows) * 4 <= BAND_BYTES &&
         (!has_all(c) || rows * p->out_width * weight_step(c) <= WEIGHT_BYTES);
}

static inline struct plan plan_of(const struct facerec_conv *c, int64_t images) {
  struct plan p = {.out_height = quotient_up(c->in_height, c->stride), .out_width = quotient_up(c->in_width, c->stride),
                   .pad = c->kernel / 2, .rows = 1, .channels = padded(c->channels, PANEL)};
  p.line = (c->in_width + 2 * p.pad) * p.channels;
  p.images = c->by_position && images > 1 ? (int32_t)(images < 4 ? images : 4) : 1;
  p.groups = quotient_up(images, p.images);
  while (p.rows < p.out_height && fits(c, &p, p.rows + 1))
    p.rows++;
  p.slots = slots_of(c, p.rows);
  p.ring = (p.slots + 1) * p.line;
  p.middle = p.rows * p.out_width * p.channels;
  p.filters = is_interpolated(c) ? 2 * c->grid_width * weight_step(c) / 4 + PANEL : 0;
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
