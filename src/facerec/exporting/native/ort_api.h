/* The part of ONNX Runtime's C API that facerec's operators use. It declares what onnxruntime_c_api.h of version 1.17
 * declares; members that are not used are gaps, which the assertions below keep in place.
 *
 * Copyright (c) Microsoft Corporation. All rights reserved.
 *
 * MIT License
 *
 * Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
 * documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
 * rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
 * persons to whom the Software is furnished to do so, subject to the following conditions:
 *
 * The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
 * Software.
 *
 * THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
 * WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
 * COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
 * OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
 */
#ifndef FACEREC_ORT_API_H
#define FACEREC_ORT_API_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef _WIN32
#define ORT_API_CALL __stdcall
typedef wchar_t ORTCHAR_T;
#else
#define ORT_API_CALL
typedef char ORTCHAR_T;
#endif

/* KernelContext_ParallelFor came with 1.17. */
#define FACEREC_ORT_API_VERSION 17

typedef enum { ORT_FAIL = 1, ORT_INVALID_ARGUMENT = 2, ORT_INVALID_GRAPH = 10 } OrtErrorCode;
typedef enum {
  ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED = 0,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT = 1,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8 = 2,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16 = 10
} ONNXTensorElementDataType;
typedef enum { INPUT_OUTPUT_REQUIRED = 0, INPUT_OUTPUT_OPTIONAL = 1 } OrtCustomOpInputOutputCharacteristic;
typedef enum { OrtArenaAllocator = 1 } OrtAllocatorType;
typedef enum { OrtMemTypeDefault = 0 } OrtMemType;
typedef enum { ORT_LOGGING_LEVEL_ERROR = 3 } OrtLoggingLevel;

typedef struct OrtStatus OrtStatus;
typedef struct OrtEnv OrtEnv;
typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtRunOptions OrtRunOptions;
typedef struct OrtValue OrtValue;
typedef struct OrtAllocator OrtAllocator;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtTensorTypeAndShapeInfo OrtTensorTypeAndShapeInfo;
typedef struct OrtKernelInfo OrtKernelInfo;
typedef struct OrtKernelContext OrtKernelContext;
typedef struct OrtCustomOpDomain OrtCustomOpDomain;
typedef struct OrtCustomOp OrtCustomOp;

typedef struct OrtApi {
  OrtStatus *(ORT_API_CALL *CreateStatus)(OrtErrorCode code, const char *message);
  void *gap_1[1];
  const char *(ORT_API_CALL *GetErrorMessage)(const OrtStatus *status);
  OrtStatus *(ORT_API_CALL *CreateEnv)(OrtLoggingLevel level, const char *name, OrtEnv **out);
  void *gap_4[3];
  OrtStatus *(ORT_API_CALL *CreateSession)(
      const OrtEnv *env, const ORTCHAR_T *path, const OrtSessionOptions *options, OrtSession **out);
  void *gap_8[1];
  OrtStatus *(ORT_API_CALL *Run)(
      OrtSession *session, const OrtRunOptions *options, const char *const *input_names, const OrtValue *const *inputs,
      size_t input_count, const char *const *output_names, size_t output_count, OrtValue **outputs);
  OrtStatus *(ORT_API_CALL *CreateSessionOptions)(OrtSessionOptions **out);
  void *gap_11[15];
  OrtStatus *(ORT_API_CALL *CreateCustomOpDomain)(const char *domain, OrtCustomOpDomain **out);
  OrtStatus *(ORT_API_CALL *CustomOpDomain_Add)(OrtCustomOpDomain *domain, const OrtCustomOp *op);
  OrtStatus *(ORT_API_CALL *AddCustomOpDomain)(OrtSessionOptions *options, OrtCustomOpDomain *domain);
  void *gap_29[20];
  OrtStatus *(ORT_API_CALL *CreateTensorWithDataAsOrtValue)(
      const OrtMemoryInfo *info, void *data, size_t bytes, const int64_t *shape, size_t rank,
      ONNXTensorElementDataType type, OrtValue **out);
  void *gap_50[1];
  OrtStatus *(ORT_API_CALL *GetTensorMutableData)(OrtValue *value, void **out);
  void *gap_52[8];
  OrtStatus *(ORT_API_CALL *GetTensorElementType)(
      const OrtTensorTypeAndShapeInfo *info, ONNXTensorElementDataType *out);
  OrtStatus *(ORT_API_CALL *GetDimensionsCount)(const OrtTensorTypeAndShapeInfo *info, size_t *out);
  OrtStatus *(ORT_API_CALL *GetDimensions)(const OrtTensorTypeAndShapeInfo *info, int64_t *values, size_t count);
  void *gap_63[1];
  OrtStatus *(ORT_API_CALL *GetTensorShapeElementCount)(const OrtTensorTypeAndShapeInfo *info, size_t *out);
  OrtStatus *(ORT_API_CALL *GetTensorTypeAndShape)(const OrtValue *value, OrtTensorTypeAndShapeInfo **out);
  void *gap_66[3];
  OrtStatus *(ORT_API_CALL *CreateCpuMemoryInfo)(OrtAllocatorType type, OrtMemType memory, OrtMemoryInfo **out);
  void *gap_70[5];
  OrtStatus *(ORT_API_CALL *AllocatorAlloc)(OrtAllocator *allocator, size_t bytes, void **out);
  OrtStatus *(ORT_API_CALL *AllocatorFree)(OrtAllocator *allocator, void *memory);
  void *gap_77[9];
  OrtStatus *(ORT_API_CALL *KernelInfoGetAttribute_int64)(const OrtKernelInfo *info, const char *name, int64_t *out);
  void *gap_87[1];
  OrtStatus *(ORT_API_CALL *KernelContext_GetInputCount)(const OrtKernelContext *context, size_t *out);
  void *gap_89[1];
  OrtStatus *(ORT_API_CALL *KernelContext_GetInput)(
      const OrtKernelContext *context, size_t index, const OrtValue **out);
  OrtStatus *(ORT_API_CALL *KernelContext_GetOutput)(
      OrtKernelContext *context, size_t index, const int64_t *shape, size_t rank, OrtValue **out);
  void *gap_92[1];
  void(ORT_API_CALL *ReleaseStatus)(OrtStatus *status);
  void(ORT_API_CALL *ReleaseMemoryInfo)(OrtMemoryInfo *info);
  void(ORT_API_CALL *ReleaseSession)(OrtSession *session);
  void(ORT_API_CALL *ReleaseValue)(OrtValue *value);
  void *gap_97[2];
  void(ORT_API_CALL *ReleaseTensorTypeAndShapeInfo)(OrtTensorTypeAndShapeInfo *info);
  void(ORT_API_CALL *ReleaseSessionOptions)(OrtSessionOptions *options);
  void(ORT_API_CALL *ReleaseCustomOpDomain)(OrtCustomOpDomain *domain);
  void *gap_102[30];
  void(ORT_API_CALL *ReleaseAllocator)(OrtAllocator *allocator);
  void *gap_133[95];
  OrtStatus *(ORT_API_CALL *RegisterCustomOpsLibrary_V2)(OrtSessionOptions *options, const ORTCHAR_T *path);
  void *gap_229[24];
  OrtStatus *(ORT_API_CALL *KernelContext_GetAllocator)(
      const OrtKernelContext *context, const OrtMemoryInfo *info, OrtAllocator **out);
  void *gap_254[20];
  OrtStatus *(ORT_API_CALL *KernelContext_ParallelFor)(
      const OrtKernelContext *context, void (*task)(void *data, size_t index), size_t total, size_t batches,
      void *data);
} OrtApi;

#define FACEREC_MEMBER(name, position) \
  static_assert(offsetof(OrtApi, name) == (position) * sizeof(void *), #name " has moved")
FACEREC_MEMBER(GetErrorMessage, 2);
FACEREC_MEMBER(CreateSession, 7);
FACEREC_MEMBER(Run, 9);
FACEREC_MEMBER(CreateCustomOpDomain, 26);
FACEREC_MEMBER(CreateTensorWithDataAsOrtValue, 49);
FACEREC_MEMBER(GetTensorMutableData, 51);
FACEREC_MEMBER(GetTensorElementType, 60);
FACEREC_MEMBER(GetTensorTypeAndShape, 65);
FACEREC_MEMBER(CreateCpuMemoryInfo, 69);
FACEREC_MEMBER(AllocatorAlloc, 75);
FACEREC_MEMBER(KernelInfoGetAttribute_int64, 86);
FACEREC_MEMBER(KernelContext_GetInputCount, 88);
FACEREC_MEMBER(KernelContext_GetOutput, 91);
FACEREC_MEMBER(ReleaseStatus, 93);
FACEREC_MEMBER(ReleaseTensorTypeAndShapeInfo, 99);
FACEREC_MEMBER(ReleaseCustomOpDomain, 101);
FACEREC_MEMBER(ReleaseAllocator, 132);
FACEREC_MEMBER(RegisterCustomOpsLibrary_V2, 228);
FACEREC_MEMBER(KernelContext_GetAllocator, 253);
FACEREC_MEMBER(KernelContext_ParallelFor, 274);
#undef FACEREC_MEMBER

typedef struct OrtApiBase {
  const OrtApi *(ORT_API_CALL *GetApi)(uint32_t version);
  const char *(ORT_API_CALL *GetVersionString)(void);
} OrtApiBase;

const OrtApiBase *ORT_API_CALL OrtGetApiBase(void);

/* An operator, as version 16 of the API has it: from then on kernels return a status. */
struct OrtCustomOp {
  uint32_t version;
  void *(ORT_API_CALL *CreateKernel)(const OrtCustomOp *op, const OrtApi *api, const OrtKernelInfo *info);
  const char *(ORT_API_CALL *GetName)(const OrtCustomOp *op);
  const char *(ORT_API_CALL *GetExecutionProviderType)(const OrtCustomOp *op);
  ONNXTensorElementDataType(ORT_API_CALL *GetInputType)(const OrtCustomOp *op, size_t index);
  size_t(ORT_API_CALL *GetInputTypeCount)(const OrtCustomOp *op);
  ONNXTensorElementDataType(ORT_API_CALL *GetOutputType)(const OrtCustomOp *op, size_t index);
  size_t(ORT_API_CALL *GetOutputTypeCount)(const OrtCustomOp *op);
  void(ORT_API_CALL *KernelCompute)(void *kernel, OrtKernelContext *context);
  void(ORT_API_CALL *KernelDestroy)(void *kernel);
  OrtCustomOpInputOutputCharacteristic(ORT_API_CALL *GetInputCharacteristic)(const OrtCustomOp *op, size_t index);
  OrtCustomOpInputOutputCharacteristic(ORT_API_CALL *GetOutputCharacteristic)(const OrtCustomOp *op, size_t index);
  OrtMemType(ORT_API_CALL *GetInputMemoryType)(const OrtCustomOp *op, size_t index);
  int(ORT_API_CALL *GetVariadicInputMinArity)(const OrtCustomOp *op);
  int(ORT_API_CALL *GetVariadicInputHomogeneity)(const OrtCustomOp *op);
  int(ORT_API_CALL *GetVariadicOutputMinArity)(const OrtCustomOp *op);
  int(ORT_API_CALL *GetVariadicOutputHomogeneity)(const OrtCustomOp *op);
  OrtStatus *(ORT_API_CALL *CreateKernelV2)(
      const OrtCustomOp *op, const OrtApi *api, const OrtKernelInfo *info, void **kernel);
  OrtStatus *(ORT_API_CALL *KernelComputeV2)(void *kernel, OrtKernelContext *context);
};

#ifdef __cplusplus
}
#endif
#endif
