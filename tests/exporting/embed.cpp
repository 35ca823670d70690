// Embeds a batch by a file and the operator library: embed MODEL LIBRARY BATCH SHAPE..., where BATCH holds the numbers,
// float32, or uint8 if the last of the four sides is 3. Writes the embeddings, float32, to the standard output.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <vector>

#include "ort_api.h"

static const OrtApi *api;

static void check(OrtStatus *status) {
  if (status == nullptr)
    return;
  std::fprintf(stderr, "%s\n", api->GetErrorMessage(status));
  std::exit(1);
}

int main(int, char **arguments) {
  api = OrtGetApiBase()->GetApi(FACEREC_ORT_API_VERSION);
  OrtEnv *env;
  OrtSessionOptions *options;
  OrtSession *session;
  check(api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "embed", &env));
  check(api->CreateSessionOptions(&options));
  check(api->RegisterCustomOpsLibrary_V2(options, arguments[2]));
  check(api->CreateSession(env, arguments[1], options, &session));

  std::ifstream file(arguments[3], std::ios::binary);
  std::vector<char> batch{std::istreambuf_iterator<char>(file), {}};
  std::vector<int64_t> shape;
  for (int side = 4; side < 8; ++side)
    shape.push_back(std::atoll(arguments[side]));
  OrtMemoryInfo *memory;
  OrtValue *input, *output = nullptr;
  check(api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
  const auto type = shape[3] == 3 ? ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8 : ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
  check(api->CreateTensorWithDataAsOrtValue(memory, batch.data(), batch.size(), shape.data(), 4, type, &input));

  const char *const inputs[] = {"images"}, *const outputs[] = {"embeddings"};
  check(api->Run(session, nullptr, inputs, &input, 1, outputs, 1, &output));
  OrtTensorTypeAndShapeInfo *info;
  size_t elements;
  void *data;
  check(api->GetTensorTypeAndShape(output, &info));
  check(api->GetTensorShapeElementCount(info, &elements));
  check(api->GetTensorMutableData(output, &data));
  std::fwrite(data, sizeof(float), elements, stdout);

  api->ReleaseTensorTypeAndShapeInfo(info);
  api->ReleaseValue(output);
  api->ReleaseValue(input);
  api->ReleaseMemoryInfo(memory);
  api->ReleaseSession(session);
  api->ReleaseSessionOptions(options);
  return 0;
}
