"""Networks in facerec's operators, run by ONNX Runtime, give what they give in PyTorch, for any number of images."""

from collections import Counter
from functools import partial

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from random_weights import randomise

from facerec.backbones import MobileFaceNet, MobileNetV2, ShuffleNetV2
from facerec.backbones.timm_network import TimmNetwork
from facerec.deploy import reparameterize
from facerec.exporting import formats
from facerec.exporting.native import operator_library
from facerec.exporting.native.rewrite import native_form
from facerec.operators.depthwise import Depthwise
from facerec.operators.grid_depthwise import GridDepthwise
from facerec.operators.squeeze_excitation import SqueezeExcitation
from facerec.operators.tvconv import TVConv

tvconv = partial(TVConv, generator_channels=4, generator_layers=1)
NETWORKS = {
    "mobilenet": lambda: MobileNetV2(0.1, partial(tvconv, bias=True), (36, 20), 16, operator_stages=[2, 4, 6]),
    "mobilenet, grid": lambda: MobileNetV2(0.1, GridDepthwise, (36, 20), 16),
    "mobilenet, 5x5": lambda: MobileNetV2(0.1, partial(tvconv, kernel_size=5), (32, 32), 16, operator_stages=[2, 7]),
    "mobilenet, depthwise": lambda: MobileNetV2(0.1, Depthwise, (33, 35), 16, activation="relu"),
    "mobilenet, silu": lambda: MobileNetV2(0.1, tvconv, (16, 16), 8, operator_stages=[2, 7], activation="silu"),
    "mobilenet, aligned": lambda: MobileNetV2(0.1, tvconv, (16, 16), 8, operator_stages=[2, 7], align="stn"),
    "mobilefacenet": lambda: MobileFaceNet(0.1, tvconv, (32, 32), 8, operator_stages=[1, 3], activation="relu6"),
    "mobilefacenet, flat": lambda: MobileFaceNet(0.1, Depthwise, (16, 16), 8, pooling="flatten", activation="relu"),
    "mobilefacenet, prelu": lambda: MobileFaceNet(0.1, tvconv, (16, 16), 8, operator_stages=[1, 3]),
    "mobilefacenet, grid": lambda: MobileFaceNet(0.1, GridDepthwise, (32, 48), 8),
    "mobilefacenet, parts": lambda: MobileFaceNet(0.1, partial(GridDepthwise, interpolation="nearest"), (32, 48), 8),
    "shufflenet": lambda: ShuffleNetV2(0.1, tvconv, (32, 32), 8, operator_stages=[3]),
    "timm, fused": lambda: TimmNetwork("mobilenetv2_035", None, (32, 32), 8),
    "timm, hard swish": lambda: TimmNetwork("mobilenetv3_small_050", tvconv, (32, 32), 8, where="*blocks.4*"),
}  # fmt: skip
GDCONV = {"Mul": 1, "ReduceSum": 1, "Add": 1}
# All that the files of these kinds hold.
FUSED = {
    "mobilenet": {"Stem": 1, "Block": 17, "Pointwise": 1, "ReduceMean": 1, "Gemm": 1},
    "mobilenet, grid": {"Stem": 1, "Block": 17, "Pointwise": 1, "ReduceMean": 1, "Gemm": 1},
    "mobilenet, 5x5": {"Stem": 1, "Block": 17, "Pointwise": 1, "ReduceMean": 1, "Gemm": 1},
    "mobilenet, depthwise": {"Stem": 1, "Block": 17, "Pointwise": 1, "ReduceMean": 1, "Gemm": 1},
    "mobilefacenet, prelu": {"Stem": 1, "TVConv": 1, "Block": 15, "Pointwise": 1, **GDCONV, "Gemm": 1},
    "mobilefacenet, grid": {"Stem": 1, "TVConv": 1, "Block": 15, "Pointwise": 1, **GDCONV, "Gemm": 1},
    "mobilefacenet, flat": {"Stem": 1, "TVConv": 1, "Block": 15, "Pointwise": 1, "Reshape": 1, "Gemm": 1},
}


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        try:
            operator_library.find_compiler(None)
        except ValueError as error:
            pytest.skip(str(error))
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Makes a network of `NETWORKS` and its file once; returns both."""
    folder, known = tmp_path_factory.mktemp("networks"), {}

    def of(name: str, half: bool = False):
        if (name, half) not in known:
            torch.manual_seed(0)
            network = randomise(NETWORKS[name]()).eval()
            path = folder / f"{len(known)}.onnx"
            formats.write("onnx", native_form(network, half), pixels(network, 2), {"config": "{}"}, path)
            known[name, half] = network, path
        return known[name, half]

    return of


def pixels(network, number):
    generator = torch.Generator().manual_seed(number)
    return torch.randint(0, 256, (number, *network.image_size, 3), dtype=torch.uint8, generator=generator)


@torch.no_grad()
def expected(network, images):
    return reparameterize(network)((images.permute(0, 3, 1, 2).float() - 127.5) / 127.5).numpy()


def least_cosine(found, wanted):
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(wanted, axis=1)
    return float(((found * wanted).sum(1) / norms).min())


def kinds(path):
    return dict(Counter(node.op_type for node in onnx.load(path).graph.node))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_gives_what_the_network_gives_for_any_number_of_images(name, made):
    network, path = made(name)
    model = formats.read(path)
    for number in (1, 2, 5):
        images = pixels(network, number)
        wanted = expected(network, images)
        np.testing.assert_allclose(model.embed(images.numpy()), wanted, atol=2e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("name", NETWORKS)
def test_in_pytorch_the_rewritten_network_gives_the_same(name):
    torch.manual_seed(0)
    network = randomise(NETWORKS[name]()).eval()
    images = pixels(network, 3)
    wanted = expected(network, images)
    with torch.no_grad():
        np.testing.assert_allclose(native_form(network)(images), wanted, atol=2e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("name", FUSED)
def test_a_whole_network_of_blocks_is_written_without_a_permutation(name, made):
    assert kinds(made(name)[1]) == FUSED[name]


def test_other_activations_leave_the_convolution_alone_an_operator(made):
    found = kinds(made("mobilenet, silu")[1])
    assert found["TVConv"] == 3 and "Block" not in found and found["Sigmoid"] == 35


def test_in_float16_position_dependent_weights_take_half_and_others_as_much(made):
    network, path = made("mobilenet")
    _, half = made("mobilenet", half=True)
    images = pixels(network, 4)
    assert 0.999 < least_cosine(formats.read(half).embed(images.numpy()), expected(network, images)) < 1 + 1e-6
    stored = {name: onnx.load(file).graph.initializer for name, file in (("float32", path), ("float16", half))}
    kept = {name: [t for t in tensors if t.data_type == onnx.TensorProto.FLOAT16] for name, tensors in stored.items()}
    blocks = sum(1 for module in network.modules() if isinstance(module, TVConv))
    assert (len(kept["float32"]), len(kept["float16"])) == (0, blocks) and blocks > 3
    saved = path.stat().st_size - half.stat().st_size
    assert abs(saved - sum(2 * np.prod(t.dims) for t in kept["float16"])) < 0.02 * saved  # the scales


@pytest.mark.parametrize("name", ["mobilenet", "shufflenet"])
def test_the_number_of_threads_and_of_images_at_a_time_changes_no_bit_of_a_map(name, made, tmp_path):
    network, path = made(name)
    images, model = pixels(network, 9).numpy(), onnx.load(path)
    maps = [node.output[0] for node in model.graph.node if node.domain == "facerec"]
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in maps)
    onnx.save(model, tmp_path / "maps.onnx")
    first = None
    for threads in (1, 2, 3):
        session = session_of(tmp_path / "maps.onnx", threads)
        for size in (9, 1, 9, 2):  # again, since the operators learn how many threads there are
            runs = [session.run(maps, {"images": part}) for part in parts(images, size)]
            found = [np.concatenate(of_node) for of_node in zip(*runs, strict=True)]
            first = found if first is None else first
            assert all(np.array_equal(one, wanted) for one, wanted in zip(found, first, strict=True)), (threads, size)


def session_of(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.register_custom_ops_library(str(operator_library.cached()))
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def parts(images, size):
    return np.split(images, range(size, len(images), size))


def test_no_images_give_no_embeddings(made):
    network, path = made("mobilenet")
    assert formats.read(path).embed(np.zeros((0, *network.image_size, 3), np.uint8)).shape == (0, 16)


def test_an_operator_that_wraps_a_block_is_written_with_the_runtimes_operators(tmp_path):
    network = randomise(MobileNetV2(0.1, SqueezeExcitation, (16, 16), 8, operator_stages=[7])).eval()
    formats.write("onnx", native_form(network), pixels(network, 2), {"config": "{}"}, tmp_path / "net.onnx")
    images = pixels(network, 3)
    found = formats.read(tmp_path / "net.onnx").embed(images.numpy())
    wanted = expected(network, images)
    np.testing.assert_allclose(found, wanted, atol=2e-5 * np.abs(wanted).max())
    assert kinds(tmp_path / "net.onnx")["Block"] == 16
