/* A row of a convolution, wherever its filters come from. */

INLINE void conv_images(const struct conv_row *r, const int images, const int kernel) {
  if (is_interpolated(r->conv))
    interpolated_images(r, images, kernel);
  else if (r->conv->half)
    conv_positions(r, (struct conv_form){images, kernel, 1, PANEL});
  else
    conv_positions(r, (struct conv_form){images, kernel, 0, PANEL});
}

INLINE void conv_any(const struct conv_row *r, int32_t images, const int kernel) {
  switch (images) {
  case 1: conv_images(r, 1, kernel); break;
  case 2: conv_images(r, 2, kernel); break;
  case 3: conv_images(r, 3, kernel); break;
  default: conv_images(r, 4, kernel);
  }
}

/* One row of the output of 1 to 4 images, or a part of it. */
static void convolve(const struct conv_row *r, int32_t images) {
  if (r->conv->kernel == 3)
    conv_any(r, images, 3);
  else
    conv_any(r, images, r->conv->kernel);
}

INLINE int32_t part_of(int32_t position, int32_t positions, int32_t parts) {
  return (int32_t)((int64_t)position * parts / positions);
}

/* The same, where each part of the row has a filter that its positions share. */
static void convolve_parts(const struct conv_row *r, const struct plan *p, int32_t row, int32_t images) {
  const struct facerec_conv *conv = r->conv;
  const ptrdiff_t of_row = (ptrdiff_t)part_of(row, p->out_height, conv->grid_height) * conv->grid_width;
  for (int32_t part = 0, first = 0, end; part < conv->grid_width; part++, first = end) {
    for (end = first; end < r->positions && part_of(end, r->positions, conv->grid_width) == part;)
      end++;
    struct conv_row inner = *r;
    inner.weight = (const char *)conv->weight + (of_row + part) * weight_step(conv);
    inner.positions = end - first;
    inner.y += first * r->channels;
    inner.bias = r->bias ? r->bias + first * r->bias_step : NULL;
    for (int32_t k = 0; k < conv->kernel; k++)
      inner.lines[k] += first * r->step;
    convolve(&inner, images);
  }
}
