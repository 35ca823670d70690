/* Runs one call of the kernels, for another processor than Python's: from standard input to standard output.
 *
 * Numbers are int64: the kind of call (0 block, 1 stem, 2 pointwise), images, tasks and as many tasks in their order;
 * then x and the struct, the number of its arrays and each one's offset in the struct and contents. Contents are a
 * number of bytes and those bytes. Last comes the number of bytes of y, which is written. */
#include <stdio.h>
#include <stdlib.h>

#include "kernels.h"

static int64_t number(void) {
  int64_t value;
  if (fread(&value, sizeof value, 1, stdin) != 1)
    exit(2);
  return value;
}

static void *contents(void) {
  const size_t bytes = (size_t)number();
  void *memory = malloc(bytes);
  if (!memory || fread(memory, 1, bytes, stdin) != bytes)
    exit(3);
  return memory;
}

static size_t scratch_bytes(int64_t kind, const void *part, int64_t images, int32_t tasks) {
  return kind == 0   ? facerec_block_scratch(part, images, tasks)
         : kind == 1 ? facerec_stem_scratch(part, images, tasks)
                     : facerec_pointwise_scratch(part, images, tasks);
}

int main(void) {
  const int64_t kind = number(), images = number(), tasks = number();
  int64_t order[256];
  for (int64_t i = 0; i < tasks; i++)
    order[i] = number();
  const void *x = contents();
  char *part = contents();
  for (int64_t arrays = number(); arrays > 0; arrays--) {
    const int64_t offset = number();
    *(void **)(part + offset) = contents();
  }
  const size_t bytes = (size_t)number();
  float *y = malloc(bytes);
  void *scratch = aligned_alloc(64, (scratch_bytes(kind, part, images, (int32_t)tasks) + 127) / 64 * 64);
  for (int32_t i = 0; i < tasks; i++) {
    const int32_t task = (int32_t)order[i];
    if (kind == 0)
      facerec_block_run((void *)part, x, y, images, task, (int32_t)tasks, scratch);
    else if (kind == 1)
      facerec_stem_run((void *)part, x, y, images, task, (int32_t)tasks, scratch);
    else
      facerec_pointwise_run((void *)part, x, y, images, task, (int32_t)tasks, scratch);
  }
  return fwrite(y, 1, bytes, stdout) == bytes ? 0 : 4;
}
