/* y = activation(a w + bias) [+ shortcut], by tiles that stay in registers. Each element is summed in the order of the
 * weights' rows, whatever its tile, so that no division of the work changes a bit. */

struct product {
  const float *a; /* row r is `segments` pieces of `length` floats, the first at a + r * a_stride */
  ptrdiff_t a_stride, segment_stride;
  int32_t segments, length;
  const float *weight, *bias; /* panels of PANEL columns; `columns` */
  int32_t columns, activation;
  const float *slope;    /* `columns`, or NULL */
  const float *shortcut; /* rows of `columns`, or NULL */
  float *y;              /* row r at y + r * y_stride + r / run * gap, where there is a gap */
  ptrdiff_t y_stride, gap;
  int32_t run, y_columns; /* columns that are written: those beyond `columns` are 0 */
  struct stream *ahead;   /* is brought into the cache meanwhile */
};

INLINE void finish_row(const struct product *p, const vector *sum, const int vectors, struct limits limits,
                       const float *shortcut, float *y, int32_t column) {
  UNROLLED
  for (int v = 0; v < vectors; v++) {
    const int32_t c = column + v * LANES;
    vector value = sloped(limited(sum[v], limits), p->slope ? p->slope + c : NULL, p->columns - c);
    if (shortcut)
      value += load_some(shortcut + c, p->columns - c);
    store_some(y + c, value, p->y_columns - c);
  }
}

INLINE void finish_tile(const struct product *p, vector (*sum)[TILE_VECTORS], const int rows, const int vectors,
                        int32_t row, int32_t column) {
  const struct limits limits = limits_of(p->activation);
  const float *shortcut = p->shortcut ? p->shortcut + (ptrdiff_t)row * p->columns : NULL;
  int32_t left = p->gap ? p->run - row % p->run : rows;
  float *y = p->y + row * p->y_stride + (p->gap ? row / p->run * p->gap : 0);
  UNROLLED
  for (int r = 0; r < rows; r++) {
    if (left-- == 0) {
      left = p->run - 1;
      y += p->gap;
    }
    finish_row(p, sum[r], vectors, limits, shortcut, y, column);
    shortcut = shortcut ? shortcut + p->columns : NULL;
    y += p->y_stride;
  }
}

INLINE void tile(const struct product *p, const int rows, const int vectors, int32_t row, int32_t column) {
  const ptrdiff_t depth = (ptrdiff_t)p->segments * p->length;
  vector sum[TILE_ROWS][TILE_VECTORS];
  const float *w[TILE_VECTORS];
  UNROLLED
  for (int v = 0; v < vectors; v++) {
    const int32_t c = column + v * LANES;
    const vector start = load_some(p->bias + c, p->columns - c);
    w[v] = p->weight + c / PANEL * PANEL * depth + c % PANEL;
    UNROLLED
    for (int r = 0; r < rows; r++)
      sum[r][v] = start;
  }
  struct stream ahead = *p->ahead;
  for (int32_t segment = 0; segment < p->segments; segment++) {
    const float *a = p->a + row * p->a_stride + segment * p->segment_stride;
    for (int32_t k = 0; k < p->length; k++) {
      vector weight[TILE_VECTORS];
      fetch(&ahead, 1);
      UNROLLED
      for (int v = 0; v < vectors; v++) {
        weight[v] = load(w[v]);
        w[v] += PANEL;
      }
      UNROLLED
      for (int r = 0; r < rows; r++)
        UNROLLED
        for (int v = 0; v < vectors; v++)
          sum[r][v] += a[r * p->a_stride + k] * weight[v];
    }
  }
  *p->ahead = ahead;
  finish_tile(p, sum, rows, vectors, row, column);
}

/* All rows from `row` to `end` of some columns: as many tiles of so many rows as there are. */
#define TILES(count)                                                                                                   \
  for (; row + (count) <= end; row += (count))                                                                         \
  tile(p, count, vectors, row, column)

INLINE void tile_columns(const struct product *p, const int vectors, int32_t row, int32_t end, int32_t column) {
  TILES(TILE_ROWS);
  TILES(TILE_ROWS / 2);
  TILES(2);
  TILES(1);
}

static void multiply(const struct product *p, int32_t rows, int32_t column, int32_t end) {
  for (; column + TILE_VECTORS * LANES <= end; column += TILE_VECTORS * LANES)
    tile_columns(p, TILE_VECTORS, 0, rows, column);
  for (; column < end; column += LANES)
    tile_columns(p, 1, 0, rows, column);
}
