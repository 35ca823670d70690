/* Blocks, stems and 1x1 convolutions of one instruction set, whose file includes this one. */
#include "vectors.h"

#include "gemm.h"

#include "conv.h"

static void clear(float *x, ptrdiff_t floats) { memset(x, 0, (size_t)floats * sizeof(float)); }

#include "grid.h"

#include "rows.h"

/* A task's part of a group of images that run through a block together. */
struct work {
  const struct facerec_block *block;
  struct plan plan;
  const float *x; /* the group's first image */
  float *y, *rings, *middles, *filters;
  int32_t images, in_channels, out_channels;
  struct stream *ahead; /* the weights of the next band */
};

/* The row of zeros, and the zeros left and right of the other rows, which nobody writes later. */
static void clear_borders(const struct plan *p, float *rings, int32_t in_width) {
  const ptrdiff_t border = p->pad * p->channels;
  for (int32_t i = 0; i < p->images; i++) {
    float *ring = rings + i * p->ring;
    clear(ring, p->line);
    for (int32_t slot = 1; slot <= p->slots; slot++) {
      clear(ring + slot * p->line, border);
      clear(ring + slot * p->line + border + in_width * p->channels, border);
    }
  }
}

static struct product product_of(const struct facerec_pointwise *p, const float *a, ptrdiff_t a_stride, float *y,
                                 ptrdiff_t y_stride) {
  return (struct product){.a = a, .a_stride = a_stride, .segments = 1, .length = p->in_channels, .weight = p->weight,
                          .bias = p->bias, .slope = p->slope, .columns = p->out_channels,
                          .activation = p->activation, .y = y, .y_stride = y_stride, .run = INT32_MAX,
                          .y_columns = p->out_channels};
}

static void copy_rows(const struct work *w, const float *x, float *y, int32_t rows) {
  const int32_t width = w->block->conv.in_width, channels = w->block->conv.channels;
  for (int32_t row = 0; row < rows; row++, y += w->plan.line)
    for (int32_t column = 0; column < width; column++, x += channels) {
      for (int32_t c = 0; c < channels; c += LANES)
        store(y + column * w->plan.channels + c, load_some(x + c, channels - c));
    }
}

static void expand_rows(const struct work *w, const float *x, float *y, int32_t rows) {
  const struct facerec_conv *conv = &w->block->conv;
  struct product p = product_of(&w->block->expand, x, w->in_channels, y, w->plan.channels);
  p.run = conv->in_width;
  p.gap = 2 * w->plan.pad * w->plan.channels;
  p.y_columns = (int32_t)w->plan.channels;
  p.ahead = w->ahead;
  multiply(&p, rows * conv->in_width, 0, p.y_columns);
}

/* Rows from `row` to `end` of the conv's input, of all images. */
static void fill(const struct work *w, int32_t row, int32_t end) {
  const struct facerec_conv *conv = &w->block->conv;
  const ptrdiff_t line = (ptrdiff_t)conv->in_width * w->in_channels;
  for (int32_t rows; row < end; row += rows) {
    const int32_t slot = row % w->plan.slots;
    rows = least(end - row, w->plan.slots - slot);
    for (int32_t i = 0; i < w->images; i++) {
      const float *x = w->x + (i * (ptrdiff_t)conv->in_height + row) * line;
      float *y = w->rings + i * w->plan.ring + (slot + 1) * w->plan.line + w->plan.pad * w->plan.channels;
      (w->block->has_expand ? expand_rows : copy_rows)(w, x, y, rows);
    }
  }
}

static void conv_rows(const struct work *w, int32_t row, int32_t end) {
  const struct facerec_conv *conv = &w->block->conv;
  const struct plan *p = &w->plan;
  struct conv_row r = {.conv = conv, .weight_step = has_all(conv) ? weight_step(conv) : 0,
                       .bias_step = conv->bias_by_position ? conv->channels : 0, .step = conv->stride * p->channels,
                       .slope = conv->slope, .channels = p->channels, .wanted = conv->channels,
                       .in_image = p->ring, .out_image = p->middle, .positions = p->out_width, .y = w->middles,
                       .ahead = w->ahead};
  for (; row < end; row++, r.y += p->out_width * p->channels) {
    const ptrdiff_t position = (ptrdiff_t)row * p->out_width;
    r.weight = (const char *)conv->weight + position * r.weight_step;
    r.bias = conv->bias ? conv->bias + position * r.bias_step : NULL;
    for (int32_t k = 0; k < conv->kernel; k++) {
      const int32_t in = row * conv->stride - p->pad + k;
      r.lines[k] = w->rings + (in < 0 || in >= conv->in_height ? 0 : in % p->slots + 1) * p->line;
    }
    if (is_interpolated(conv)) {
      filters_of_row(conv, p, row, w->filters);
      r.weight = (const char *)w->filters;
    }
    if (conv->grid_nearest)
      convolve_parts(&r, p, row, w->images);
    else
      convolve(&r, w->images);
  }
}

static void copy_out(const struct work *w, const float *middle, const float *shortcut, float *y, ptrdiff_t positions) {
  const int32_t channels = w->out_channels;
  for (ptrdiff_t at = 0; at < positions; at++, middle += w->plan.channels)
    for (int32_t c = 0; c < channels; c++)
      y[at * channels + c] = shortcut ? middle[c] + shortcut[at * channels + c] : middle[c];
}

/* The conv's rows from `row` to `end`, projected where the block does so. */
static void finish(const struct work *w, int32_t row, int32_t end) {
  const struct plan *p = &w->plan;
  const int32_t positions = (end - row) * p->out_width;
  for (int32_t i = 0; i < w->images; i++) {
    const ptrdiff_t at = (i * (ptrdiff_t)p->out_height + row) * p->out_width * w->out_channels;
    const float *middle = w->middles + i * p->middle, *shortcut = w->block->has_shortcut ? w->x + at : NULL;
    struct product product = product_of(&w->block->project, middle, p->channels, w->y + at, w->out_channels);
    product.shortcut = shortcut;
    product.ahead = w->ahead;
    if (w->block->has_project)
      multiply(&product, positions, 0, w->out_channels);
    else
      copy_out(w, middle, shortcut, w->y + at, positions);
  }
}

/* The weights of the conv's rows from `row` to `end`: what is worth fetching early. Fewer are in the cache. */
static struct stream weights_of(const struct work *w, int32_t row, int32_t end) {
  const struct facerec_conv *conv = &w->block->conv;
  const ptrdiff_t line = has_all(conv) ? w->plan.out_width * weight_step(conv) : 0;
  const char *weight = conv->weight;
  return (struct stream){weight + row * line, weight + end * line};
}

/* While a band is convolved and projected and the next one expanded, the weights of the next one are fetched. */
static void run_rows(const struct work *w, int32_t row, int32_t end) {
  const struct facerec_conv *conv = &w->block->conv;
  int32_t rows = least(w->plan.rows, end - row), filled = 0;
  *w->ahead = weights_of(w, row, row + rows);
  for (; row < end; row += rows) {
    rows = least(w->plan.rows, end - row);
    const int32_t first = most(filled, row * conv->stride - w->plan.pad);
    filled = least(conv->in_height, (row + rows - 1) * conv->stride - w->plan.pad + conv->kernel);
    fill(w, first, filled);
    *w->ahead = weights_of(w, row + rows, least(row + 2 * rows, end));
    conv_rows(w, row, row + rows);
    finish(w, row, row + rows);
  }
}

static void block(const struct facerec_block *b, const float *x, float *y, int64_t images, int32_t task, int32_t tasks,
                  float *scratch) {
  struct stream ahead;
  struct work w = {.block = b, .ahead = &ahead, .plan = plan_of(&b->conv, images), .rings = scratch,
                   .in_channels = b->has_expand ? b->expand.in_channels : b->conv.channels,
                   .out_channels = b->has_project ? b->project.out_channels : b->conv.channels};
  const struct plan *p = &w.plan;
  const int64_t units = (int64_t)p->groups * p->out_height, end = share(units, task + 1, tasks);
  w.middles = scratch + p->images * p->ring;
  w.filters = w.middles + p->images * p->middle;
  clear_borders(p, w.rings, b->conv.in_width);
  for (int64_t unit = share(units, task, tasks), next; unit < end; unit = next) {
    const int64_t group = unit / p->out_height, first = group * p->images;
    next = end < (group + 1) * p->out_height ? end : (group + 1) * p->out_height;
    w.images = images - first < p->images ? (int32_t)(images - first) : p->images;
    w.x = x + first * b->conv.in_height * b->conv.in_width * w.in_channels;
    w.y = y + first * p->out_height * p->out_width * w.out_channels;
    run_rows(&w, (int32_t)(unit - group * p->out_height), (int32_t)(next - group * p->out_height));
  }
}

/* Rows from `row` on of an image, normalised, with `pad` zeros around. */
static void normalise(const struct facerec_stem *s, const uint8_t *image, int32_t row, int32_t rows, float *y) {
  const int32_t pad = s->kernel / 2 * 3, width = s->in_width * 3;
  for (int32_t end = row + rows; row < end; row++, y += width + 2 * pad) {
    clear(y, width + 2 * pad);
    if (row >= 0 && row < s->in_height)
      for (int32_t at = 0; at < width; at++)
        y[pad + at] = ((float)image[(ptrdiff_t)row * width + at] - 127.5f) * (1 / 127.5f);
  }
}

static void stem_rows(const struct facerec_stem *s, const uint8_t *image, float *y, int32_t row, int32_t rows,
                      float *scratch) {
  const int32_t out_width = quotient_up(s->in_width, s->stride);
  const ptrdiff_t line = (s->in_width + s->kernel - 1) * 3;
  const struct facerec_pointwise row_of_kernel = {s->kernel * 3, s->out_channels, s->activation,
                                                  s->weight, s->bias, s->slope};
  struct product p = product_of(&row_of_kernel, scratch, s->stride * 3, y, s->out_channels);
  struct stream none = {NULL, NULL};
  p.segments = s->kernel;
  p.segment_stride = line;
  p.ahead = &none;
  normalise(s, image, row * s->stride - s->kernel / 2, (rows - 1) * s->stride + s->kernel, scratch);
  for (int32_t r = 0; r < rows; r++) {
    multiply(&p, out_width, 0, s->out_channels);
    p.a += s->stride * line;
    p.y += (ptrdiff_t)out_width * s->out_channels;
  }
}

static void stem(const struct facerec_stem *s, const uint8_t *x, float *y, int64_t images, int32_t task, int32_t tasks,
                 float *scratch) {
  const int32_t out_height = quotient_up(s->in_height, s->stride), out_width = quotient_up(s->in_width, s->stride);
  const int64_t units = images * out_height, end = share(units, task + 1, tasks);
  int32_t rows;
  for (int64_t unit = share(units, task, tasks); unit < end; unit += rows) {
    const int32_t row = (int32_t)(unit % out_height), left = least(STEM_ROWS, out_height - row);
    rows = end - unit < left ? (int32_t)(end - unit) : left;
    stem_rows(s, x + unit / out_height * s->in_height * s->in_width * 3, y + unit * out_width * s->out_channels, row,
              rows, scratch);
  }
}

/* Few rows are divided by their columns, so that each weight is read once. */
static void pointwise(const struct facerec_pointwise *p, const float *x, float *y, int64_t rows, int32_t task,
                      int32_t tasks) {
  const int by_columns = rows < (int64_t)TILE_ROWS * tasks;
  const int64_t units = by_columns ? quotient_up(p->out_channels, PANEL) : rows;
  const int64_t first = share(units, task, tasks), end = share(units, task + 1, tasks), start = by_columns ? 0 : first;
  struct product product =
      product_of(p, x + start * p->in_channels, p->in_channels, y + start * p->out_channels, p->out_channels);
  struct stream none = {NULL, NULL};
  product.ahead = &none;
  if (by_columns)
    multiply(&product, (int32_t)rows, (int32_t)first * PANEL, least((int32_t)end * PANEL, p->out_channels));
  else
    multiply(&product, (int32_t)(end - first), 0, p->out_channels);
}
