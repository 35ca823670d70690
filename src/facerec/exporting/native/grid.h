/* Filters that are interpolated between those of a grid's points, the centres of equal parts of the map. */

/* Where a position lies between points: behind `point`, by `part` of the way to the next one. */
struct place {
  int32_t point;
  float part;
};

INLINE struct place place_of(int32_t position, int32_t positions, int32_t points) {
  const float at = ((float)position + 0.5f) * ((float)points / (float)positions) - 0.5f;
  const int32_t point = least(at < 0 ? 0 : (int32_t)at, points - 1);
  return (struct place){point, at < 0 || point == points - 1 ? 0 : at - (float)point};
}

/* The filters of one row of the output at the grid's columns, and behind them the differences to the next column's. */
static void filters_of_row(const struct facerec_conv *c, const struct plan *p, int32_t row, float *filters) {
  const ptrdiff_t size = weight_step(c) / 4, line = c->grid_width * size;
  const struct place place = place_of(row, p->out_height, c->grid_height);
  const float *above = (const float *)c->weight + place.point * line;
  const float *below = place.point + 1 < c->grid_height ? above + line : above;
  float *differences = filters + line;
  for (ptrdiff_t i = 0; i < line; i++)
    filters[i] = above[i] + place.part * (below[i] - above[i]);
  for (ptrdiff_t i = 0; i < line - size; i++)
    differences[i] = filters[i + size] - filters[i];
  clear(differences + line - size, size + PANEL);
}

/* LANES channels, from `c` on, of the positions from `first` to `end`, which lie behind the same point; `filter` and
 * `difference` are those lanes of the first tap. */
INLINE void grid_lanes(const struct conv_row *r, const struct conv_form f, const struct limits limits, int32_t first,
                       int32_t end, ptrdiff_t c, const float *filter, const float *difference) {
  vector filters[9], differences[9]; /* of the commonest kernel, in registers */
  if (f.kernel == 3)
    for (int tap = 0; tap < 9; tap++) {
      filters[tap] = load(filter + tap * f.width);
      differences[tap] = load(difference + tap * f.width);
    }
  for (int32_t position = first; position < end; position++) {
    const vector part = all(place_of(position, r->positions, r->conv->grid_width).part);
    const vector start = r->bias ? load_some(r->bias + position * r->bias_step + c, r->wanted - c) : all(0);
    float *y = r->y + position * r->channels + c;
    vector sum[4];
    for (int i = 0; i < f.images; i++)
      sum[i] = start;
    for (int row = 0; row < f.kernel; row++)
      for (int column = 0; column < f.kernel; column++) {
        const int tap = row * f.kernel + column;
        const float *x = r->lines[row] + position * r->step + c + column * r->channels;
        const vector w = f.kernel == 3 ? filters[tap] + part * differences[tap]
                                       : load(filter + tap * f.width) + part * load(difference + tap * f.width);
        for (int i = 0; i < f.images; i++)
          sum[i] += load(x + i * r->in_image) * w;
      }
    for (int i = 0; i < f.images; i++)
      store(y + i * r->out_image,
            sloped(limited(sum[i], limits), r->slope ? r->slope + c : NULL, r->wanted - c));
  }
}

/* All channels of such positions, panel by panel. */
INLINE void grid_positions(const struct conv_row *r, const int images, const int kernel, int32_t first, int32_t end) {
  const ptrdiff_t size = weight_step(r->conv) / 4, columns = r->conv->grid_width;
  const float *filter = (const float *)r->weight + place_of(first, r->positions, (int32_t)columns).point * size;
  const struct limits limits = limits_of(r->conv->activation);
  for (ptrdiff_t c = 0; c < r->wanted; c += PANEL) {
    const int width = r->wanted - c <= PANEL / 2 ? PANEL / 2 : PANEL;
    for (int lane = 0; lane < width; lane += LANES)
      grid_lanes(r, (struct conv_form){images, kernel, 0, width}, limits, first, end, c + lane, filter + lane,
                 filter + columns * size + lane);
    filter += width * kernel * kernel;
  }
}

INLINE void interpolated_images(const struct conv_row *r, const int images, const int kernel) {
  for (int32_t first = 0, end; first < r->positions; first = end) {
    const int32_t points = r->conv->grid_width, point = place_of(first, r->positions, points).point;
    for (end = first + 1; end < r->positions && place_of(end, r->positions, points).point == point;)
      end++;
    grid_positions(r, images, kernel, first, end);
  }
}
