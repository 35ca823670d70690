/* Kernels of convolutional networks at inference, for one processor core: maps are float32 (N, H, W, C), contiguous, of
 * any number of channels; x and y need no alignment beyond 4 bytes. Weights are packed by packing.py.
 *
 * A call is divided into tasks, which may run on any threads in any order: the result is the same to the bit. */
#ifndef FACEREC_KERNELS_H
#define FACEREC_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define FACEREC_API __declspec(dllexport)
#else
#define FACEREC_API __attribute__((visibility("default")))
#endif

/* PReLU multiplies what is negative by a slope of its channel. */
enum { FACEREC_NONE = 0, FACEREC_RELU = 1, FACEREC_RELU6 = 2, FACEREC_PRELU = 3 };
enum { FACEREC_LARGEST_KERNEL = 15 };

/* A 1x1 convolution or a fully connected layer. */
struct facerec_pointwise {
  int32_t in_channels, out_channels, activation;
  const float *weight; /* pack_pointwise */
  const float *bias;   /* out_channels */
  const float *slope;  /* with PReLU, out_channels; else NULL */
};

/* One filter a channel: shared by the positions (depthwise), one a position (TVConv), or one of a grid's: interpolated
 * between its points, as PyTorch's `interpolate` does with mode="bilinear", or that of the part of the map. The kernel
 * is odd, at most FACEREC_LARGEST_KERNEL, the padding kernel / 2 zeros; the output has ceil(in / stride) rows and
 * columns. */
struct facerec_conv {
  int32_t in_height, in_width, channels, kernel, stride;
  int32_t by_position;             /* else shared */
  int32_t grid_height, grid_width; /* with by_position: points that have filters; 0: all positions have */
  int32_t grid_nearest;            /* with a grid: filters of parts, else interpolated */
  int32_t half;                    /* the weight is float16; not with a grid */
  int32_t bias_by_position;        /* else one a channel */
  int32_t activation;
  const void *weight; /* pack_conv */
  const float *bias;  /* channels, or out_height * out_width * channels, or NULL */
  const float *scale; /* with half, channels: multiplies the sum and the bias, so that float16 holds any weights */
  const float *slope; /* with PReLU, channels; else NULL */
};

/* [expand 1x1], conv, [project 1x1], [shortcut: plus the block's input; stride 1 and as many channels]. */
struct facerec_block {
  int32_t has_expand, has_project, has_shortcut;
  struct facerec_pointwise expand, project;
  struct facerec_conv conv;
};

/* A dense convolution of uint8 images (N, H, W, 3), normalised to (x - 127.5) / 127.5 and then padded by zeros. */
struct facerec_stem {
  int32_t in_height, in_width, out_channels, kernel, stride, activation;
  const float *weight; /* pack_stem */
  const float *bias;   /* out_channels */
  const float *slope;  /* with PReLU, out_channels; else NULL */
};

/* *_tasks suggests the number of tasks for so many threads; any number from 1 on is right.
 * *_scratch is the number of bytes that one task needs; *_run does one task with that much memory, 64-byte aligned. */
FACEREC_API int32_t facerec_block_tasks(const struct facerec_block *, int64_t images, int32_t threads);
FACEREC_API size_t facerec_block_scratch(const struct facerec_block *, int64_t images, int32_t tasks);
FACEREC_API void facerec_block_run(const struct facerec_block *, const float *x, float *y, int64_t images, int32_t task,
                                   int32_t tasks, void *scratch);

FACEREC_API int32_t facerec_stem_tasks(const struct facerec_stem *, int64_t images, int32_t threads);
FACEREC_API size_t facerec_stem_scratch(const struct facerec_stem *, int64_t images, int32_t tasks);
FACEREC_API void facerec_stem_run(const struct facerec_stem *, const uint8_t *x, float *y, int64_t images, int32_t task,
                                  int32_t tasks, void *scratch);

FACEREC_API int32_t facerec_pointwise_tasks(const struct facerec_pointwise *, int64_t rows, int32_t threads);
FACEREC_API size_t facerec_pointwise_scratch(const struct facerec_pointwise *, int64_t rows, int32_t tasks);
FACEREC_API void facerec_pointwise_run(const struct facerec_pointwise *, const float *x, float *y, int64_t rows,
                                       int32_t task, int32_t tasks, void *scratch);

/* The instruction set in use: "sse2", "avx2", "avx512", "neon", "scalar". */
FACEREC_API const char *facerec_isa(void);
/* For tests: 0 if this processor has the instruction set, which is used from then on; else -1. */
FACEREC_API int facerec_use_isa(const char *name);
/* Of the layout of the packed weights and of these structs: packing.VERSION as text. Files carry it. */
FACEREC_API const char *facerec_version(void);

#endif
