/* facerec's operators for ONNX Runtime: Block, TVConv, Stem and Pointwise of the domain "facerec".
 *
 * Inputs, of which all but images or maps are constants of the file (rewrite.py writes them):
 *   Block, TVConv   maps (N, H, W, C); the convolution's weight, packed, float or float16; its bias, optional, (C) or
 *                   (H_out, W_out, C); with float16 its scale (C); with PReLU its slope (C); Block only, all optional:
 *                   the expansion's weight, bias and slope, the projection's
 *   Pointwise       maps (N, H, W, C); weight, packed; bias (C_out); with PReLU the slope (C_out)
 *   Stem            images uint8 (N, H, W, 3); the same
 * The weights' sizes are compared with what the kernels read, so that no file makes them read anything else. */
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernels.h"
#include "ort_api.h"

#ifdef _WIN32
#include <windows.h>
#define EXPORT __declspec(dllexport)
#else
#include <unistd.h>
#define EXPORT __attribute__((visibility("default")))
#endif

#define TRY(call)                     \
  do {                                \
    OrtStatus *status_of_call = (call); \
    if (status_of_call != NULL) return status_of_call; \
  } while (0)

/* Products of two sides fit into 32 bits, those of all numbers here into 64. */
enum { LARGEST_BATCH = 1 << 24, LARGEST_SIDE = 1 << 14, RANK = 4, ALIGNMENT = 64, WINDOW = 16, MOST_TASKS = 1024 };
enum kind { BLOCK, POINTWISE, STEM };
enum input { MAPS, WEIGHT, BIAS, SCALE, SLOPE, EXPAND_WEIGHT, EXPAND_BIAS, EXPAND_SLOPE, PROJECT_WEIGHT, PROJECT_BIAS,
             PROJECT_SLOPE, MOST_INPUTS };
enum { DENSE_SLOPE = BIAS + 1 }; /* of Pointwise and Stem */

struct op {
  OrtCustomOp custom; /* first, so that its address is the operator's */
  const char *name;
  enum kind kind;
  size_t inputs;
};

struct kernel {
  const OrtApi *api;
  OrtMemoryInfo *memory;
  enum kind kind;
  size_t inputs;
  int32_t size, stride, by_position, grid_height, grid_width, grid_nearest;
  int32_t activation, expand_activation, project_activation, shortcut;
  atomic_int threads, seen, calls; /* see `take_part` */
};

struct tensor {
  const void *data; /* NULL: the input is not given */
  size_t elements, rank;
  int64_t shape[RANK];
  ONNXTensorElementDataType type;
};

/* What one call computes, and the tasks that it is divided into. */
struct job {
  enum kind kind;
  union {
    struct facerec_block block;
    struct facerec_pointwise pointwise;
    struct facerec_stem stem;
  } of;
  const void *x;
  float *y;
  int64_t images; /* or rows, for a bare 1x1 convolution */
  int32_t tasks;
  unsigned char *scratch;
  size_t scratch_per_task;
  unsigned number;
  atomic_int workers; /* threads that ran at least one task */
};

static OrtStatus *refuse(const OrtApi *api, OrtErrorCode code, const char *format, ...) {
  char message[256];
  va_list values;
  va_start(values, format);
  vsnprintf(message, sizeof message, format, values);
  va_end(values);
  return api->CreateStatus(code, message);
}

static OrtStatus *refuse_input(const OrtApi *api, const char *what, size_t found, size_t expected) {
  return refuse(api, ORT_INVALID_ARGUMENT, "facerec: %s has %zu elements where %zu are read: export the file again",
                what, found, expected);
}

/* -- a kernel: what the attributes of a node say ------------------------------------------------------------------ */

static OrtStatus *attribute(const struct kernel *k, const OrtKernelInfo *info, const char *name, int64_t least,
                            int64_t most, int32_t *out) {
  int64_t value = 0;
  TRY(k->api->KernelInfoGetAttribute_int64(info, name, &value));
  if (value < least || value > most)
    return refuse(k->api, ORT_INVALID_ARGUMENT, "facerec: %s=%lld must be %lld to %lld: export the file again", name,
                  (long long)value, (long long)least, (long long)most);
  *out = (int32_t)value;
  return NULL;
}

static OrtStatus *check_version(const struct kernel *k, const OrtKernelInfo *info) {
  int64_t version = 0;
  TRY(k->api->KernelInfoGetAttribute_int64(info, "version", &version));
  if (version == atoll(facerec_version()))
    return NULL;
  return refuse(k->api, ORT_INVALID_GRAPH,
                "facerec: the file's weights have layout %lld and this library reads layout %s: export the file again, "
                "or take the library that was written with it",
                (long long)version, facerec_version());
}

static OrtStatus *read_grid(struct kernel *k, const OrtKernelInfo *info) {
  const int64_t most = k->by_position ? LARGEST_SIDE : 0;
  TRY(attribute(k, info, "grid_height", 0, most, &k->grid_height));
  TRY(attribute(k, info, "grid_nearest", 0, k->grid_height > 0, &k->grid_nearest));
  return attribute(k, info, "grid_width", k->grid_height > 0, k->grid_height > 0 ? most : 0, &k->grid_width);
}

static OrtStatus *read_attributes(struct kernel *k, const OrtKernelInfo *info) {
  TRY(check_version(k, info));
  TRY(attribute(k, info, "activation", FACEREC_NONE, FACEREC_PRELU, &k->activation));
  if (k->kind == POINTWISE)
    return NULL;
  TRY(attribute(k, info, "kernel", 1, FACEREC_LARGEST_KERNEL, &k->size));
  if (k->size % 2 == 0)
    return refuse(k->api, ORT_INVALID_ARGUMENT, "facerec: kernel=%d must be odd: export the file again", k->size);
  TRY(attribute(k, info, "stride", 1, 2, &k->stride));
  if (k->kind == STEM)
    return NULL;
  TRY(attribute(k, info, "by_position", 0, 1, &k->by_position));
  TRY(read_grid(k, info));
  if (k->inputs <= EXPAND_WEIGHT)
    return NULL;
  TRY(attribute(k, info, "expand_activation", FACEREC_NONE, FACEREC_PRELU, &k->expand_activation));
  TRY(attribute(k, info, "project_activation", FACEREC_NONE, FACEREC_PRELU, &k->project_activation));
  return attribute(k, info, "shortcut", 0, 1, &k->shortcut);
}

static int processors(void) {
#ifdef _WIN32
  SYSTEM_INFO found;
  GetSystemInfo(&found);
  long number = (long)found.dwNumberOfProcessors;
#else
  long number = sysconf(_SC_NPROCESSORS_ONLN);
#endif
  return number < 1 ? 1 : number > 256 ? 256 : (int)number;
}

static void ORT_API_CALL destroy(void *kernel) {
  struct kernel *k = kernel;
  k->api->ReleaseMemoryInfo(k->memory);
  free(k);
}

static OrtStatus *ORT_API_CALL create(const OrtCustomOp *custom, const OrtApi *api, const OrtKernelInfo *info,
                                      void **out) {
  const struct op *op = (const struct op *)custom;
  struct kernel *k = calloc(1, sizeof *k);
  if (k == NULL)
    return refuse(api, ORT_FAIL, "facerec: no memory for an operator: free some");
  k->api = api, k->kind = op->kind, k->inputs = op->inputs;
  atomic_init(&k->threads, processors());
  OrtStatus *failed = api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &k->memory);
  if (failed == NULL) failed = read_attributes(k, info);
  if (failed != NULL) {
    destroy(k);
    return failed;
  }
  *out = k;
  return NULL;
}

/* -- a call: inputs and their sizes -------------------------------------------------------------------------------- */

static OrtStatus *describe(const OrtApi *api, const OrtTensorTypeAndShapeInfo *info, struct tensor *out) {
  TRY(api->GetTensorElementType(info, &out->type));
  TRY(api->GetTensorShapeElementCount(info, &out->elements));
  TRY(api->GetDimensionsCount(info, &out->rank));
  return out->rank <= RANK ? api->GetDimensions(info, out->shape, out->rank) : NULL;
}

static OrtStatus *read_tensor(const OrtApi *api, const OrtValue *value, struct tensor *out) {
  OrtTensorTypeAndShapeInfo *info = NULL;
  TRY(api->GetTensorTypeAndShape(value, &info));
  OrtStatus *failed = describe(api, info, out);
  api->ReleaseTensorTypeAndShapeInfo(info);
  TRY(failed);
  void *data = NULL;
  TRY(api->GetTensorMutableData((OrtValue *)value, &data)); /* the API has no function for data that is only read */
  out->data = data;
  return NULL;
}

static OrtStatus *read_inputs(const struct kernel *k, const OrtKernelContext *context, struct tensor *inputs) {
  size_t given = 0;
  TRY(k->api->KernelContext_GetInputCount(context, &given));
  for (size_t index = 0; index < given && index < k->inputs; ++index) {
    const OrtValue *value = NULL;
    TRY(k->api->KernelContext_GetInput(context, index, &value));
    if (value != NULL)
      TRY(read_tensor(k->api, value, &inputs[index]));
  }
  return NULL;
}

static int64_t halved(int64_t side, int32_t stride) { return (side + stride - 1) / stride; }

static OrtStatus *check_maps(const OrtApi *api, const struct tensor *maps) {
  int fits = maps->data != NULL || maps->elements == 0;
  fits = fits && maps->rank == RANK && maps->shape[0] >= 0 && maps->shape[0] <= LARGEST_BATCH;
  for (size_t axis = 1; fits && axis < RANK; ++axis)
    fits = maps->shape[axis] > 0 && maps->shape[axis] <= LARGEST_SIDE;
  if (fits)
    return NULL;
  return refuse(api, ORT_INVALID_ARGUMENT, "facerec: maps must be (batch, height, width, channels) of at most %d each",
                LARGEST_SIDE);
}

/* Elements of packed weights (packing.py): outputs in panels of 16; a position's channels in panels of 8, and 16 more
 * numbers at the end, since the last panel is read as one of 16. */
static size_t panels(size_t channels, size_t panel) { return (channels + panel - 1) / panel * panel; }

static size_t pointwise_size(int32_t in_channels, int32_t out_channels) {
  return panels((size_t)out_channels, 16) * (size_t)in_channels;
}

static size_t conv_size(const struct facerec_conv *c) {
  size_t height = (size_t)halved(c->in_height, c->stride), width = (size_t)halved(c->in_width, c->stride);
  size_t grid = (size_t)c->grid_height * (size_t)c->grid_width;
  size_t filters = panels((size_t)c->channels, 8) * (grid > 0 ? grid : c->by_position ? height * width : 1);
  return filters * (size_t)(c->kernel * c->kernel) + 16;
}

static OrtStatus *read_slope(const OrtApi *api, const struct tensor *slope, int32_t activation, size_t channels,
                             const float **out) {
  *out = activation == FACEREC_PRELU ? slope->data : NULL;
  if (activation != FACEREC_PRELU || (slope->data != NULL && slope->elements == channels))
    return NULL;
  return refuse_input(api, "a PReLU's slope", slope->elements, channels);
}

/* The bias and the slope lie behind the weight. */
static OrtStatus *read_pointwise(const OrtApi *api, const struct tensor *weight, int32_t in_channels,
                                 int32_t activation, struct facerec_pointwise *out) {
  const struct tensor *bias = weight + 1;
  if (weight->data == NULL || bias->data == NULL || bias->elements > LARGEST_SIDE)
    return refuse_input(api, "a 1x1 convolution's bias", bias->elements, 1);
  out->in_channels = in_channels, out->out_channels = (int32_t)bias->elements, out->activation = activation;
  out->weight = weight->data, out->bias = bias->data;
  TRY(read_slope(api, weight + 2, activation, bias->elements, &out->slope));
  size_t expected = pointwise_size(in_channels, out->out_channels);
  if (weight->type != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT || weight->elements != expected)
    return refuse_input(api, "a 1x1 convolution's weight", weight->elements, expected);
  return NULL;
}

static OrtStatus *read_conv(const struct kernel *k, const struct tensor *inputs, int32_t channels,
                            struct facerec_conv *out) {
  const struct tensor *weight = &inputs[WEIGHT], *bias = &inputs[BIAS];
  out->in_height = (int32_t)inputs[MAPS].shape[1], out->in_width = (int32_t)inputs[MAPS].shape[2];
  out->channels = channels, out->kernel = k->size, out->stride = k->stride;
  out->by_position = k->by_position, out->activation = k->activation;
  out->grid_height = k->grid_height, out->grid_width = k->grid_width, out->grid_nearest = k->grid_nearest;
  out->half = weight->type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16;
  out->weight = weight->data, out->bias = bias->data, out->scale = inputs[SCALE].data;
  size_t expected = conv_size(out), channel_count = (size_t)channels;
  if ((!out->half && weight->type != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT) || weight->elements != expected)
    return refuse_input(k->api, "a convolution's weight", weight->elements, expected);
  if (out->half && out->grid_height > 0)
    return refuse(k->api, ORT_INVALID_ARGUMENT,
                  "facerec: float16 filters on a grid are not read: export the file again");
  if (out->half && inputs[SCALE].elements != channel_count)
    return refuse_input(k->api, "a convolution's scale", inputs[SCALE].elements, channel_count);
  TRY(read_slope(k->api, &inputs[SLOPE], k->activation, channel_count, &out->slope));
  if (bias->data == NULL || bias->elements == channel_count)
    return NULL;
  size_t by_position = (size_t)(halved(out->in_height, k->stride) * halved(out->in_width, k->stride)) * channel_count;
  out->bias_by_position = 1;
  return bias->elements == by_position ? NULL : refuse_input(k->api, "a convolution's bias", bias->elements, by_position);
}

static OrtStatus *read_block(const struct kernel *k, const struct tensor *inputs, struct facerec_block *out) {
  int32_t in_channels = (int32_t)inputs[MAPS].shape[3], channels = in_channels;
  out->has_expand = inputs[EXPAND_WEIGHT].data != NULL, out->has_project = inputs[PROJECT_WEIGHT].data != NULL;
  if (out->has_expand) {
    TRY(read_pointwise(k->api, &inputs[EXPAND_WEIGHT], channels, k->expand_activation, &out->expand));
    channels = out->expand.out_channels;
  }
  TRY(read_conv(k, inputs, channels, &out->conv));
  if (out->has_project) {
    TRY(read_pointwise(k->api, &inputs[PROJECT_WEIGHT], channels, k->project_activation, &out->project));
    channels = out->project.out_channels;
  }
  out->has_shortcut = k->shortcut;
  if (k->shortcut && (k->stride != 1 || channels != in_channels))
    return refuse(k->api, ORT_INVALID_GRAPH, "facerec: a shortcut from %d to %d channels with stride %d does not fit: "
                  "export the file again", in_channels, channels, k->stride);
  return NULL;
}

static OrtStatus *read_stem(const struct kernel *k, const struct tensor *inputs, struct facerec_stem *out) {
  const struct tensor *maps = &inputs[MAPS], *weight = &inputs[WEIGHT], *bias = &inputs[BIAS];
  if (maps->shape[3] != 3)
    return refuse_input(k->api, "a pixel", (size_t)maps->shape[3], 3);
  if (weight->data == NULL || bias->data == NULL || bias->elements > LARGEST_SIDE)
    return refuse_input(k->api, "the stem's bias", bias->elements, 1);
  out->in_height = (int32_t)maps->shape[1], out->in_width = (int32_t)maps->shape[2];
  out->out_channels = (int32_t)bias->elements, out->kernel = k->size, out->stride = k->stride;
  out->activation = k->activation, out->weight = weight->data, out->bias = bias->data;
  TRY(read_slope(k->api, &inputs[DENSE_SLOPE], k->activation, bias->elements, &out->slope));
  size_t expected = pointwise_size(3 * k->size * k->size, out->out_channels);
  return weight->elements == expected ? NULL : refuse_input(k->api, "the stem's weight", weight->elements, expected);
}

static OrtStatus *read_job(const struct kernel *k, const OrtKernelContext *context, struct job *job, int64_t *shape) {
  struct tensor inputs[MOST_INPUTS] = {0};
  TRY(read_inputs(k, context, inputs));
  const struct tensor *maps = &inputs[MAPS];
  TRY(check_maps(k->api, maps));
  job->kind = k->kind, job->x = maps->data, job->images = shape[0] = maps->shape[0];
  shape[1] = maps->shape[1], shape[2] = maps->shape[2];
  if (k->kind == POINTWISE) {
    job->images *= shape[1] * shape[2];
    TRY(read_pointwise(k->api, &inputs[WEIGHT], (int32_t)maps->shape[3], k->activation, &job->of.pointwise));
    shape[3] = job->of.pointwise.out_channels;
    return NULL;
  }
  shape[1] = halved(shape[1], k->stride), shape[2] = halved(shape[2], k->stride);
  if (k->kind == STEM) {
    TRY(read_stem(k, inputs, &job->of.stem));
    shape[3] = job->of.stem.out_channels;
    return NULL;
  }
  struct facerec_block *block = &job->of.block;
  TRY(read_block(k, inputs, block));
  shape[3] = block->has_project ? block->project.out_channels : block->conv.channels;
  return NULL;
}

/* -- a call: its tasks --------------------------------------------------------------------------------------------- */

static int32_t tasks_for(const struct job *job, int32_t threads) {
  switch (job->kind) {
    case BLOCK: return facerec_block_tasks(&job->of.block, job->images, threads);
    case POINTWISE: return facerec_pointwise_tasks(&job->of.pointwise, job->images, threads);
    case STEM: return facerec_stem_tasks(&job->of.stem, job->images, threads);
  }
  return 1;
}

static size_t scratch_for(const struct job *job) {
  size_t bytes = 0;
  switch (job->kind) {
    case BLOCK: bytes = facerec_block_scratch(&job->of.block, job->images, job->tasks); break;
    case POINTWISE: bytes = facerec_pointwise_scratch(&job->of.pointwise, job->images, job->tasks); break;
    case STEM: bytes = facerec_stem_scratch(&job->of.stem, job->images, job->tasks); break;
  }
  return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* The runtime does not say how many threads a session has, and rows shared among more threads than there are cost time.
 * So a kernel begins with the number of processors and goes by the threads that it has seen at work: `threads` becomes
 * the most of a window of calls, whose first one tries the number of processors again. The results do not depend on it. */
static int32_t wanted_threads(struct kernel *k) {
  int call = atomic_fetch_add(&k->calls, 1) & (WINDOW - 1);
  if (call == 0)
    return processors();
  return atomic_load(&k->threads);
}

static void learn_threads(struct kernel *k, const struct job *job, int32_t wanted) {
  int workers = atomic_load(&job->workers);
  if (workers == job->tasks && workers < wanted) workers = wanted; /* too few tasks to tell */
  if (workers > atomic_load(&k->seen))
    atomic_store(&k->seen, workers);
  if ((atomic_load(&k->calls) & (WINDOW - 1)) != 0)
    return;
  atomic_store(&k->threads, atomic_exchange(&k->seen, 1));
}

static void take_part(struct job *job) {
  static _Thread_local unsigned last;
  if (last == job->number)
    return;
  last = job->number;
  atomic_fetch_add(&job->workers, 1);
}

static void run_task(void *data, size_t index) {
  struct job *job = data;
  int32_t task = (int32_t)index;
  void *scratch = job->scratch + index * job->scratch_per_task;
  take_part(job);
  switch (job->kind) {
    case BLOCK:
      facerec_block_run(&job->of.block, job->x, job->y, job->images, task, job->tasks, scratch);
      break;
    case POINTWISE:
      facerec_pointwise_run(&job->of.pointwise, job->x, job->y, job->images, task, job->tasks, scratch);
      break;
    case STEM:
      facerec_stem_run(&job->of.stem, job->x, job->y, job->images, task, job->tasks, scratch);
      break;
  }
}

static OrtStatus *run_tasks(struct kernel *k, OrtKernelContext *context, struct job *job, OrtAllocator *allocator) {
  void *memory = NULL;
  TRY(k->api->AllocatorAlloc(allocator, job->scratch_per_task * (size_t)job->tasks + ALIGNMENT, &memory));
  if (memory == NULL)
    return refuse(k->api, ORT_FAIL, "facerec: no memory for intermediate maps: take smaller batches");
  job->scratch = (unsigned char *)memory + (ALIGNMENT - (uintptr_t)memory % ALIGNMENT) % ALIGNMENT;
  OrtStatus *failed = NULL;
  if (job->tasks == 1)
    run_task(job, 0);
  else
    failed = k->api->KernelContext_ParallelFor(context, run_task, (size_t)job->tasks, (size_t)job->tasks, job);
  OrtStatus *unfreed = k->api->AllocatorFree(allocator, memory);
  if (failed == NULL)
    return unfreed;
  if (unfreed != NULL) k->api->ReleaseStatus(unfreed);
  return failed;
}

static OrtStatus *ORT_API_CALL compute(void *kernel, OrtKernelContext *context) {
  static atomic_uint jobs;
  struct kernel *k = kernel;
  struct job job = {0};
  int64_t shape[RANK];
  TRY(read_job(k, context, &job, shape));
  OrtValue *output = NULL;
  void *y = NULL;
  TRY(k->api->KernelContext_GetOutput(context, 0, shape, RANK, &output));
  if (job.images == 0)
    return NULL;
  TRY(k->api->GetTensorMutableData(output, &y));
  job.y = y, job.number = atomic_fetch_add(&jobs, 1) + 1;
  int32_t wanted = wanted_threads(k), tasks = tasks_for(&job, wanted);
  job.tasks = tasks < 1 ? 1 : tasks > MOST_TASKS ? MOST_TASKS : tasks;
  job.scratch_per_task = scratch_for(&job);
  OrtAllocator *allocator = NULL;
  TRY(k->api->KernelContext_GetAllocator(context, k->memory, &allocator));
  OrtStatus *failed = run_tasks(k, context, &job, allocator);
  k->api->ReleaseAllocator(allocator);
  TRY(failed);
  learn_threads(k, &job, wanted);
  return NULL;
}

/* -- the operators ------------------------------------------------------------------------------------------------- */

static const char *ORT_API_CALL name_of(const OrtCustomOp *op) { return ((const struct op *)op)->name; }

static const char *ORT_API_CALL provider_of(const OrtCustomOp *op) {
  (void)op;
  return "CPUExecutionProvider";
}

static size_t ORT_API_CALL input_count(const OrtCustomOp *op) { return ((const struct op *)op)->inputs; }

static ONNXTensorElementDataType ORT_API_CALL input_type(const OrtCustomOp *op, size_t index) {
  enum kind kind = ((const struct op *)op)->kind;
  if (kind == STEM && index == MAPS)
    return ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8;
  if (kind == BLOCK && index == WEIGHT)
    return ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED; /* any; `read_conv` checks */
  return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
}

static OrtCustomOpInputOutputCharacteristic ORT_API_CALL input_characteristic(const OrtCustomOp *op, size_t index) {
  const size_t required = ((const struct op *)op)->kind == BLOCK ? WEIGHT : BIAS;
  return index <= required ? INPUT_OUTPUT_REQUIRED : INPUT_OUTPUT_OPTIONAL;
}

static OrtMemType ORT_API_CALL input_memory(const OrtCustomOp *op, size_t index) {
  (void)op, (void)index;
  return OrtMemTypeDefault;
}

static size_t ORT_API_CALL output_count(const OrtCustomOp *op) {
  (void)op;
  return 1;
}

static ONNXTensorElementDataType ORT_API_CALL output_type(const OrtCustomOp *op, size_t index) {
  (void)op, (void)index;
  return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
}

static OrtCustomOpInputOutputCharacteristic ORT_API_CALL output_characteristic(const OrtCustomOp *op, size_t index) {
  (void)op, (void)index;
  return INPUT_OUTPUT_REQUIRED;
}

#define OP(title, of_kind, number)                                                                             \
  {                                                                                                            \
    .custom = {.version = 16,                                                                                  \
               .GetName = name_of,                                                                             \
               .GetExecutionProviderType = provider_of,                                                        \
               .GetInputType = input_type,                                                                     \
               .GetInputTypeCount = input_count,                                                               \
               .GetOutputType = output_type,                                                                   \
               .GetOutputTypeCount = output_count,                                                             \
               .KernelDestroy = destroy,                                                                       \
               .GetInputCharacteristic = input_characteristic,                                                 \
               .GetOutputCharacteristic = output_characteristic,                                               \
               .GetInputMemoryType = input_memory,                                                             \
               .CreateKernelV2 = create,                                                                       \
               .KernelComputeV2 = compute},                                                                    \
    .name = title, .kind = of_kind, .inputs = number                                                           \
  }

static const struct op OPS[] = {OP("Block", BLOCK, MOST_INPUTS), OP("TVConv", BLOCK, SLOPE + 1),
                                OP("Pointwise", POINTWISE, DENSE_SLOPE + 1), OP("Stem", STEM, DENSE_SLOPE + 1)};

static OrtStatus *add_ops(const OrtApi *api, OrtCustomOpDomain *domain) {
  for (size_t index = 0; index < sizeof OPS / sizeof *OPS; ++index)
    TRY(api->CustomOpDomain_Add(domain, &OPS[index].custom));
  return NULL;
}

/* What the runtime looks for in the library. The domain must outlive the session, of whose end nobody tells, so its few
 * bytes stay until the process ends. */
EXPORT OrtStatus *ORT_API_CALL RegisterCustomOps(OrtSessionOptions *options, const OrtApiBase *base) {
  const OrtApi *api = base->GetApi(FACEREC_ORT_API_VERSION);
  if (api == NULL)
    return refuse(base->GetApi(1), ORT_FAIL,
                  "facerec: ONNX Runtime %s is too old, 1.17 or newer is needed: upgrade onnxruntime",
                  base->GetVersionString());
  OrtCustomOpDomain *domain = NULL;
  TRY(api->CreateCustomOpDomain("facerec", &domain));
  OrtStatus *failed = add_ops(api, domain);
  if (failed == NULL)
    failed = api->AddCustomOpDomain(options, domain);
  if (failed != NULL)
    api->ReleaseCustomOpDomain(domain);
  return failed;
}
