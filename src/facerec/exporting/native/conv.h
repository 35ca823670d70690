/* One filter a channel. The weights of a position are one stream: for every PANEL channels (the last time perhaps for
 * PANEL / 2) those channels of the first tap, of the second and so on. */

struct conv_row {
  const struct facerec_conv *conv;
  const float *lines[FACEREC_LARGEST_KERNEL]; /* the rows under the kernel, from its first column on */
  const char *weight;
  ptrdiff_t weight_step; /* bytes from a position's weights to the next one's, or 0 */
  const float *bias;     /* or NULL */
  const float *slope;    /* or NULL */
  ptrdiff_t bias_step;   /* floats from a position to the next, as all below */
  ptrdiff_t step;        /* of the input */
  ptrdiff_t channels;    /* of the output, and from a column of the input to the next */
  ptrdiff_t wanted;      /* channels, without those that are added to fill a vector */
  ptrdiff_t in_image, out_image; /* floats from an image to the next */
  int32_t positions;
  float *y;
  struct stream *ahead; /* is brought into the cache meanwhile */
};

INLINE vector conv_weight(const char *weight, ptrdiff_t at, const int half) {
  return half ? from_half((const uint16_t *)weight + at) : load((const float *)weight + at);
}

/* What is constant in the inner loops. */
struct conv_form {
  int images, kernel, half, width /* of the panel */;
};

/* LANES channels of one position of some images. */
INLINE void conv_lanes(const struct conv_row *r, const struct conv_form f, const struct limits *limits, vector start,
                       vector scale, ptrdiff_t c, ptrdiff_t offset, const char *weight, float *y) {
  vector sum[4];
  for (int i = 0; i < f.images; i++)
    sum[i] = start;
  for (int row = 0; row < f.kernel; row++) {
    for (int column = 0; column < f.kernel; column++) {
      const float *x = r->lines[row] + offset + column * r->channels;
      if (f.images > 1)
        x = computed_here(x);
      const vector w = conv_weight(weight, (row * f.kernel + column) * f.width, f.half);
      for (int i = 0; i < f.images; i++)
        sum[i] += load(x + i * r->in_image) * w;
    }
  }
  for (int i = 0; i < f.images; i++) {
    const vector value = limited(f.half ? sum[i] * scale : sum[i], *limits);
    store(y + i * r->out_image, sloped(value, r->slope ? r->slope + c : NULL, r->wanted - c));
  }
}

/* The channels of one position from `c` on. Where the last PANEL / 2 have no others beside them and a vector is longer,
 * its upper lanes are any weights times the zeros beyond the channels. */
INLINE void conv_panel(const struct conv_row *r, const struct conv_form f, const struct limits *limits,
                       int32_t position, ptrdiff_t c, const char *weight) {
  const float *bias = r->bias + position * r->bias_step;
  for (int lane = 0; lane < f.width; lane += LANES, c += LANES, weight += LANES * (f.half ? 2 : 4))
    conv_lanes(r, f, limits, r->bias ? load_some(bias + c, r->wanted - c) : all(0),
               f.half ? load_some(r->conv->scale + c, r->wanted - c) : all(1), c, position * r->step + c, weight,
               r->y + position * r->channels + c);
}

INLINE void conv_positions(const struct conv_row *row, struct conv_form f) {
  const struct conv_row copy = *row, *r = &copy; /* which no store can change */
  const ptrdiff_t whole = r->wanted / PANEL * PANEL, panel_bytes = PANEL * f.kernel * f.kernel * (f.half ? 2 : 4);
  const struct limits limits = limits_of(r->conv->activation);
  struct stream ahead = *r->ahead;
  for (int32_t position = 0; position < r->positions; position++) {
    const char *weight = r->weight + position * r->weight_step;
    for (ptrdiff_t c = 0; c < whole; c += PANEL, weight += panel_bytes) {
      fetch(&ahead, 2);
      conv_panel(r, f, &limits, position, c, weight);
    }
    if (whole < r->wanted && r->wanted - whole <= PANEL / 2)
      conv_panel(r, (struct conv_form){f.images, f.kernel, f.half, PANEL / 2}, &limits, position, whole, weight);
    else if (whole < r->wanted)
      conv_panel(r, f, &limits, position, whole, weight);
  }
  *row->ahead = ahead;
}
