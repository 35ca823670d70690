/* One filter a channel. The weights of a position are one stream: for every PANEL channels (the last time perhaps for
 * PANEL / 2) those channels of the first tap, of the second and so on. */

struct conv_row {
  const struct facerec_conv *conv;
  const float *lines[FACEREC_LARGEST_KERNEL]; /* the rows under the kernel, from its first column on */
  const char *weight;
  ptrdiff_t weight_step; /* bytes from a position's weights to the next one's, or 0 */
  const float *bias;     /* or NULL */
  ptrdiff_t bias_step, step, channels; /* floats: from a position to the next of the bias, of the input, of the output */
  ptrdiff_t in_image, out_image; /* floats from an image to the next */
  int32_t positions;
  float *y;
};

INLINE vector conv_weight(const char *weight, ptrdiff_t at, const int half) {
  return half ? from_half((const uint16_t *)weight + at) : load((const float *)weight + at);
}

/* LANES channels from `c` on of one position of some images. The last PANEL / 2 channels may have no others beside
 * them: then the upper lanes are any weights times the zeros beyond the channels. */
INLINE void conv_lanes(const struct conv_row *r, const int images, const int kernel, const int half, ptrdiff_t offset,
                       const char *weight, ptrdiff_t width, const float *bias, ptrdiff_t c, float *y) {
  const vector start = bias ? load_some(bias + c, r->conv->channels - c) : all(0);
  vector sum[4];
  for (int i = 0; i < images; i++)
    sum[i] = start;
  for (int row = 0; row < kernel; row++)
    for (int column = 0; column < kernel; column++) {
      const vector w = conv_weight(weight, (row * kernel + column) * width, half);
      const float *x = r->lines[row] + offset + column * r->channels + c;
      for (int i = 0; i < images; i++)
        sum[i] += load(x + i * r->in_image) * w;
    }
  for (int i = 0; i < images; i++)
    store(y + i * r->out_image + c, activated(sum[i], r->conv->activation));
}

INLINE void conv_positions(const struct conv_row *r, const int images, const int kernel, const int half) {
  const ptrdiff_t channels = padded(r->conv->channels, PANEL / 2), bytes = half ? 2 : 4;
  for (int32_t position = 0; position < r->positions; position++) {
    const char *weight = r->weight + position * r->weight_step;
    const float *bias = r->bias ? r->bias + position * r->bias_step : NULL;
    for (ptrdiff_t panel = 0; panel < channels; panel += PANEL) {
      const ptrdiff_t width = channels - panel < PANEL ? PANEL / 2 : PANEL;
      for (ptrdiff_t c = 0; c < width; c += LANES)
        conv_lanes(r, images, kernel, half, position * r->step, weight + c * bytes, width, bias, panel + c,
                   r->y + position * r->channels);
      weight += width * kernel * kernel * bytes;
    }
  }
}

INLINE void conv_images(const struct conv_row *r, const int images, const int kernel) {
  if (r->conv->half)
    conv_positions(r, images, kernel, 1);
  else
    conv_positions(r, images, kernel, 0);
}

INLINE void conv_any(const struct conv_row *r, int32_t images, const int kernel) {
  switch (images) {
  case 1: conv_images(r, 1, kernel); break;
  case 2: conv_images(r, 2, kernel); break;
  case 3: conv_images(r, 3, kernel); break;
  default: conv_images(r, 4, kernel);
  }
}

/* One row of the output of 1 to 4 images. */
static void convolve(const struct conv_row *r, int32_t images) {
  if (r->conv->kernel == 3)
    conv_any(r, images, 3);
  else
    conv_any(r, images, r->conv->kernel);
}
