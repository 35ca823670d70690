/* A runtime that has only what facerec's operators ask for, and in which each call fails once: every failure must come
 * back as the operator's, with nothing left behind. Prints the instruction set; the status is 0 if all is well. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"
#include "ort_api.h"

OrtStatus *RegisterCustomOps(OrtSessionOptions *options, const OrtApiBase *base);

enum { IMAGES = 5, HEIGHT = 5, WIDTH = 4, CHANNELS = 3, TAPS = 9, WEIGHTS = HEIGHT * WIDTH * TAPS * 8 + 16 };

struct OrtValue { ONNXTensorElementDataType type; size_t rank, elements; int64_t shape[4]; void *data; };
struct OrtTensorTypeAndShapeInfo { const OrtValue *of; };
struct OrtCustomOpDomain { const OrtCustomOp *ops[8]; int count; };
struct OrtKernelContext { OrtValue *inputs[3], *output; };

static int calls, failing, alive; /* alive: objects that are not released */
static OrtCustomOpDomain *added;

static void *made(size_t bytes) { return ++alive, calloc(1, bytes); }
static void released(void *object) { --alive, free(object); }

static OrtStatus *status(OrtErrorCode code, const char *message) {
  (void)code;
  return (OrtStatus *)strcpy(made(strlen(message) + 1), message);
}

static void release_status(OrtStatus *s) { released(s); }
static OrtStatus *fails(void) { return calls++ == failing ? status(ORT_FAIL, "this call fails") : NULL; }

#define MAY_FAIL                 \
  do {                           \
    OrtStatus *failure = fails(); \
    if (failure)                 \
      return failure;            \
  } while (0)

static OrtStatus *create_domain(const char *name, OrtCustomOpDomain **out) {
  MAY_FAIL;
  *out = strcmp(name, "facerec") ? NULL : made(sizeof **out);
  return NULL;
}
static OrtStatus *add_op(OrtCustomOpDomain *domain, const OrtCustomOp *op) {
  MAY_FAIL;
  domain->ops[domain->count++] = op;
  return NULL;
}
static OrtStatus *add_domain(OrtSessionOptions *options, OrtCustomOpDomain *domain) {
  (void)options;
  MAY_FAIL;
  added = domain;
  return NULL;
}
static void release_domain(OrtCustomOpDomain *domain) { released(domain); }
static OrtStatus *memory_info(OrtAllocatorType type, OrtMemType memory, OrtMemoryInfo **out) {
  (void)type, (void)memory;
  MAY_FAIL;
  *out = made(1);
  return NULL;
}
static void release_memory_info(OrtMemoryInfo *info) {
  if (info)
    released(info);
}
static OrtStatus *attribute(const OrtKernelInfo *info, const char *name, int64_t *out) {
  (void)info;
  MAY_FAIL;
  const char *names[] = {"version", "kernel", "stride", "by_position", "grid_height", "grid_width", "grid_nearest",
                         "activation"};
  const int64_t values[] = {atoll(facerec_version()), 3, 1, 1, 0, 0, 0, FACEREC_NONE};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strcmp(name, names[i]))
      return *out = values[i], NULL;
  return status(ORT_INVALID_ARGUMENT, "there is no such attribute");
}
static OrtStatus *input_count(const OrtKernelContext *context, size_t *out) {
  (void)context;
  MAY_FAIL;
  *out = 3;
  return NULL;
}
static OrtStatus *input(const OrtKernelContext *context, size_t index, const OrtValue **out) {
  MAY_FAIL;
  *out = context->inputs[index];
  return NULL;
}
static OrtStatus *output(OrtKernelContext *context, size_t index, const int64_t *shape, size_t rank, OrtValue **out) {
  MAY_FAIL;
  const int64_t expected[] = {IMAGES, HEIGHT, WIDTH, CHANNELS};
  if (index || rank != 4 || memcmp(shape, expected, sizeof expected))
    return status(ORT_FAIL, "the output has another shape");
  *out = context->output;
  return NULL;
}
static OrtStatus *type_and_shape(const OrtValue *value, OrtTensorTypeAndShapeInfo **out) {
  MAY_FAIL;
  *out = made(sizeof **out);
  (*out)->of = value;
  return NULL;
}
static void release_info(OrtTensorTypeAndShapeInfo *info) { released(info); }
static OrtStatus *type_of(const OrtTensorTypeAndShapeInfo *info, ONNXTensorElementDataType *out) {
  MAY_FAIL;
  *out = info->of->type;
  return NULL;
}
static OrtStatus *elements_of(const OrtTensorTypeAndShapeInfo *info, size_t *out) {
  MAY_FAIL;
  *out = info->of->elements;
  return NULL;
}
static OrtStatus *rank_of(const OrtTensorTypeAndShapeInfo *info, size_t *out) {
  MAY_FAIL;
  *out = info->of->rank;
  return NULL;
}
static OrtStatus *sides_of(const OrtTensorTypeAndShapeInfo *info, int64_t *out, size_t count) {
  MAY_FAIL;
  memcpy(out, info->of->shape, count * sizeof *out);
  return NULL;
}
static OrtStatus *data_of(OrtValue *value, void **out) {
  MAY_FAIL;
  *out = value->data;
  return NULL;
}
static OrtStatus *allocator_of(const OrtKernelContext *context, const OrtMemoryInfo *info, OrtAllocator **out) {
  (void)context, (void)info;
  MAY_FAIL;
  *out = made(1);
  return NULL;
}
static void release_allocator(OrtAllocator *allocator) { released(allocator); }
static OrtStatus *allocate(OrtAllocator *allocator, size_t bytes, void **out) {
  (void)allocator;
  MAY_FAIL;
  *out = made(bytes);
  return NULL;
}
static OrtStatus *release_memory(OrtAllocator *allocator, void *memory) {
  (void)allocator;
  released(memory); /* also where it says that it failed */
  MAY_FAIL;
  return NULL;
}
static OrtStatus *parallel(const OrtKernelContext *context, void (*task)(void *, size_t), size_t total, size_t batches,
                           void *data) {
  (void)context, (void)batches;
  MAY_FAIL;
  for (size_t index = total; index-- > 0;)
    task(data, index);
  return NULL;
}

static const OrtApi api = {.CreateStatus = status, .ReleaseStatus = release_status,
    .CreateCustomOpDomain = create_domain, .CustomOpDomain_Add = add_op, .AddCustomOpDomain = add_domain,
    .ReleaseCustomOpDomain = release_domain, .CreateCpuMemoryInfo = memory_info,
    .ReleaseMemoryInfo = release_memory_info, .KernelInfoGetAttribute_int64 = attribute,
    .KernelContext_GetInputCount = input_count, .KernelContext_GetInput = input, .KernelContext_GetOutput = output,
    .GetTensorTypeAndShape = type_and_shape, .ReleaseTensorTypeAndShapeInfo = release_info,
    .GetTensorElementType = type_of, .GetTensorShapeElementCount = elements_of, .GetDimensionsCount = rank_of,
    .GetDimensions = sides_of, .GetTensorMutableData = data_of, .KernelContext_GetAllocator = allocator_of,
    .ReleaseAllocator = release_allocator, .AllocatorAlloc = allocate, .AllocatorFree = release_memory,
    .KernelContext_ParallelFor = parallel};
static const OrtApi *get_api(uint32_t version) { return version == FACEREC_ORT_API_VERSION ? &api : NULL; }
static const char *get_version(void) { return "fake"; }
static const OrtApiBase base = {get_api, get_version};

static float x[IMAGES][HEIGHT][WIDTH][CHANNELS], y[IMAGES][HEIGHT][WIDTH][CHANNELS], weight[WEIGHTS], bias[CHANNELS];

static float expected(int image, int row, int column, int channel) {
  float sum = bias[channel];
  for (int r = row - 1; r <= row + 1; r++)
    for (int c = column - 1; c <= column + 1; c++)
      if (r >= 0 && r < HEIGHT && c >= 0 && c < WIDTH)
        sum += 2 * x[image][r][c][channel];
  return sum;
}

static int is_right(void) {
  for (int at = 0; at < IMAGES * HEIGHT * WIDTH * CHANNELS; at++) {
    const int channel = at % CHANNELS, column = at / CHANNELS % WIDTH, row = at / CHANNELS / WIDTH % HEIGHT;
    const int image = at / CHANNELS / WIDTH / HEIGHT;
    if (y[image][row][column][channel] != expected(image, row, column, channel))
      return 0;
  }
  return 1;
}

static OrtStatus *compute(const OrtCustomOp *op, void *kernel) {
  OrtValue maps = {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, 4, sizeof x / 4, {IMAGES, HEIGHT, WIDTH, CHANNELS}, x};
  OrtValue packed = {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, 1, WEIGHTS, {WEIGHTS}, weight};
  OrtValue added_to = {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, 1, CHANNELS, {CHANNELS}, bias};
  OrtValue result = {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, 4, sizeof y / 4, {IMAGES, HEIGHT, WIDTH, CHANNELS}, y};
  OrtKernelContext context = {{&maps, &packed, &added_to}, &result};
  return op->KernelComputeV2(kernel, &context);
}

/* Everything that a session does with the operator TVConv. */
static OrtStatus *session(void) {
  added = NULL;
  OrtStatus *failure = RegisterCustomOps(NULL, &base);
  if (failure)
    return failure;
  const OrtCustomOp *op = NULL;
  for (int i = 0; i < added->count; i++)
    if (!strcmp(added->ops[i]->GetName(added->ops[i]), "TVConv"))
      op = added->ops[i];
  void *kernel = NULL;
  failure = op->CreateKernelV2(op, &api, NULL, &kernel);
  if (!failure) {
    failure = compute(op, kernel);
    op->KernelDestroy(kernel);
  }
  released(added);
  return failure;
}

int main(void) {
  for (size_t at = 0; at < sizeof x / sizeof(float); at++)
    (&x[0][0][0][0])[at] = (float)(at % 7);
  for (size_t at = 0; at < WEIGHTS; at++)
    weight[at] = 2;
  for (int channel = 0; channel < CHANNELS; channel++)
    bias[channel] = (float)channel;
  for (failing = 0;; failing++) {
    calls = alive = 0;
    OrtStatus *failure = session();
    if (!failure)
      break;
    const int is_told = !strcmp((const char *)failure, "this call fails");
    released(failure);
    if (alive || !is_told)
      return fprintf(stderr, "call %d: %d objects left, told: %d\n", failing, alive, is_told), 1;
  }
  if (alive || failing < 40 || !is_right())
    return fprintf(stderr, "after %d calls: %d objects left, right: %d\n", failing, alive, is_right()), 1;
  return printf("%s\n", facerec_isa()) < 0;
}
