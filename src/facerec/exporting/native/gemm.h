/* y = activation(a w + bias) [+ shortcut], by tiles that stay in registers. Each element is summed in the order of the
 * weights' rows, whatever its tile, so that no division of the work changes a bit. */

struct product {
  const float *a; /* row r is `segments` pieces of `length` floats, the first at a + r * a_stride */
  ptrdiff_t a_stride, segment_stride;
  int32_t segments, length;
  const float *weight, *bias; /* panels of PANEL columns; `columns` */
  int32_t columns, activation;
  const float *shortcut; /* rows of `columns`, or NULL */
  float *y;              /* row r at y + r * y_stride + r / run * gap */
  ptrdiff_t y_stride, gap;
  int32_t run, y_columns; /* columns that are written: those beyond `columns` are 0 */
};

INLINE void finish_row(const struct product *p, const vector *sum, const int vectors, int32_t row, int32_t column) {
  float *y = p->y + row * p->y_stride + row / p->run * p->gap;
  for (int v = 0; v < vectors; v++) {
    const int32_t c = column + v * LANES;
    vector value = activated(sum[v], p->activation);
    if (p->shortcut)
      value += load_some(p->shortcut + (ptrdiff_t)row * p->columns + c, p->columns - c);
    if (c < p->y_columns)
      store_some(y + c, value, p->y_columns - c);
  }
}

INLINE void tile(const struct product *p, const int rows, const int vectors, int32_t row, int32_t column) {
  const ptrdiff_t depth = (ptrdiff_t)p->segments * p->length;
  vector sum[TILE_ROWS][TILE_VECTORS];
  const float *w[TILE_VECTORS];
  for (int v = 0; v < vectors; v++) {
    const int32_t c = column + v * LANES;
    const vector start = load_some(p->bias + c, p->columns - c);
    w[v] = p->weight + c / PANEL * PANEL * depth + c % PANEL;
    for (int r = 0; r < rows; r++)
      sum[r][v] = start;
  }
  for (int32_t segment = 0; segment < p->segments; segment++) {
    const float *a = p->a + row * p->a_stride + segment * p->segment_stride;
    for (int32_t k = 0; k < p->length; k++) {
      vector weight[TILE_VECTORS];
      for (int v = 0; v < vectors; v++) {
        weight[v] = load(w[v]);
        w[v] += PANEL;
      }
      for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++)
          sum[r][v] += a[r * p->a_stride + k] * weight[v];
    }
  }
  for (int r = 0; r < rows; r++)
    finish_row(p, sum[r], vectors, row + r, column);
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
