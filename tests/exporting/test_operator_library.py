"""The library of facerec's operators: how it is built, found and refused. A model file never brings its own."""

import platform
import shutil
import struct
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper
from onnx.numpy_helper import from_array
from says import refuses, says

from facerec.backbones import MobileNetV2
from facerec.exporting import formats
from facerec.exporting.native import operator_library, packing
from facerec.exporting.native.rewrite import native_form
from facerec.exporting.native.sources import SOURCES
from facerec.operators.tvconv import TVConv

HERE = Path(__file__).parent
C_COMPILER = shutil.which("cc")
needs_cc = pytest.mark.skipif(C_COMPILER is None, reason="there is no C compiler")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CC", raising=False)
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder / "facerec"


@pytest.fixture
def library(cache):
    if C_COMPILER is None:
        pytest.skip("there is no C compiler")
    return operator_library.cached()


def network(version: int = packing.VERSION, **changed) -> onnx.ModelProto:
    """One 3x3 convolution with a filter at each position of 4x5 maps of 6 channels, and what is wrong with it."""
    weight = np.random.default_rng(0).random((9, 4, 5, 6), np.float32)
    attributes = {"kernel": 3, "stride": 1, "by_position": 1, "activation": 0, "version": version}
    attributes |= {"grid_height": 0, "grid_width": 0, "grid_nearest": 0}
    tensors = {"weight": packing.pack_conv(weight), "bias": np.zeros(6, np.float32)}
    tensors |= {name: changed.get(name, np.ones(6, np.float32)) for name in ("scale", "slope")}
    tensors |= {name: value for name, value in changed.items() if name in tensors}
    attributes |= {name: value for name, value in changed.items() if name in attributes}
    node = helper.make_node("TVConv", ["images", *tensors], ["embeddings"], domain="facerec", **attributes)
    maps = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", 4, 5, 6])
        for name in ("images", "embeddings")
    ]
    initial = [from_array(value, name) for name, value in tensors.items()]
    graph = helper.make_graph([node], "one", maps[:1], maps[1:], initial)
    domains = [helper.make_opsetid("", 18), helper.make_opsetid("facerec", 1)]
    model = helper.make_model(graph, opset_imports=domains, ir_version=10)
    helper.set_model_props(model, {"config": "{}"})
    return model


@pytest.fixture
def written(tmp_path):
    def to_file(**changed) -> Path:
        onnx.save(network(**changed), tmp_path / "net.onnx")
        return tmp_path / "net.onnx"

    return to_file


MAPS = np.random.default_rng(1).random((2, 4, 5, 6), np.float32)


@needs_cc
def test_it_is_built_once_and_again_for_other_sources(cache, library, monkeypatch):
    assert [file.name for file in cache.iterdir()] == [library.name]
    with monkeypatch.context() as patch:
        patch.setattr(operator_library, "build", lambda path, target=None: pytest.fail("it is there already"))
        assert operator_library.cached() == library
    monkeypatch.setattr(operator_library, "FLAGS", (*operator_library.FLAGS, "-DANOTHER"))
    assert operator_library.cached() != library and len(list(cache.iterdir())) == 2


def test_a_file_runs_with_the_library_of_these_sources_and_never_with_the_one_beside_it(library, written):
    path = written()
    path.with_name(operator_library.library_name(None)).write_bytes(b"no library, and nobody asks")
    assert formats.read(path).embed(MAPS).shape == (2, 4, 5, 6)


def test_a_library_that_is_named_is_the_one_that_is_loaded(library, written, tmp_path, monkeypatch):
    shutil.copy(library, tmp_path / "mine.so")
    ours = formats.read(written()).embed(MAPS)
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "mine.so", Path("mine.so")):
        np.testing.assert_array_equal(formats.read(written(), path).embed(MAPS), ours)
    with refuses("gone.so", "does not exist", "library="):
        formats.read(written(), tmp_path / "gone.so")
    with refuses(str(tmp_path), "is a folder"):
        formats.read(written(), tmp_path)


def of_another_processor(library: Path, path: Path) -> Path:
    """The library with another machine in its header."""
    content = bytearray(library.read_bytes())
    struct.pack_into("<H", content, 18, 0xB7 if content[18] != 0xB7 else 0x3E)
    path.write_bytes(content)
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux's libraries")
def test_a_library_for_another_processor_and_no_library_at_all_are_refused(library, written, tmp_path):
    with refuses("other.so", "cannot be loaded on this machine", "library="):
        formats.read(written(), of_another_processor(library, tmp_path / "other.so"))
    (tmp_path / "text.so").write_text("no library")
    with refuses("text.so", "cannot be loaded on this machine", "library="):
        formats.read(written(), tmp_path / "text.so")


def test_a_file_of_another_layout_is_refused(library, written):
    path = written(version=packing.VERSION + 1)
    with refuses("net.onnx", f"layout {packing.VERSION + 1}", f"reads {packing.VERSION}", "export it again"):
        formats.read(path)
    with refuses("net.onnx", f"layout {packing.VERSION + 1}", f"layout {packing.VERSION}", "export the file again"):
        formats.read(path, library)


def test_a_library_is_refused_where_it_has_no_effect(written, tmp_path):
    formats.write("onnx", torch.nn.Flatten().eval(), torch.zeros(2, 3), {"config": "{}"}, tmp_path / "plain.onnx")
    with refuses("library=a.so", "plain.onnx", "leave it out"):
        formats.read(tmp_path / "plain.onnx", Path("a.so"))
    formats.write("torchscript", torch.nn.Flatten().eval(), torch.zeros(2, 3), {"config": "{}"}, tmp_path / "plain.pt")
    with refuses("library=a.so", "plain.pt", "leave it out"):
        formats.read(tmp_path / "plain.pt", Path("a.so"))


@pytest.mark.parametrize(
    ("changed", "facts"),
    [
        ({"weight": np.zeros(100, np.float32)}, ("weight", "100 elements")),
        ({"weight": np.zeros(packing.pack_conv(np.zeros((9, 4, 5, 6))).size, np.int32)}, ("weight",)),
        ({"bias": np.zeros(7, np.float32)}, ("bias", "7 elements", "120")),
        ({"kernel": 5}, ("weight",)),
        ({"kernel": 4}, ("kernel=4", "odd")),
        ({"kernel": 1001}, ("kernel=1001",)),
        ({"stride": 3}, ("stride=3", "1 to 2")),
        ({"stride": 2}, ("weight",)),
        ({"by_position": 0}, ("weight",)),
        ({"by_position": 7}, ("by_position=7", "0 to 1")),
        ({"activation": 9}, ("activation=9", "0 to 3")),
        ({"activation": 3, "slope": np.ones(5, np.float32)}, ("slope", "5 elements", "6")),
        ({"grid_height": 2, "grid_width": 2}, ("weight", "304")),
        ({"grid_height": 2}, ("grid_width=0", "1 to")),
        ({"grid_nearest": 1}, ("grid_nearest=1", "0 to 0")),
        ({"grid_width": 2}, ("grid_width=2", "0 to 0")),
        ({"by_position": 0, "grid_height": 2, "grid_width": 2}, ("grid_height=2", "0 to 0")),
        (
            {"grid_height": 2, "grid_width": 2, "weight": packing.pack_conv(np.zeros((9, 2, 2, 6)), half=True)},
            ("float16", "grid"),
        ),
    ],
    ids=str,
)
def test_a_file_that_would_make_an_operator_read_elsewhere_is_refused(changed, facts, library, written):
    with refuses("net.onnx", *facts, "export the file again"):
        formats.read(written(**changed)).embed(MAPS)


def test_maps_of_another_form_are_refused(library, written):
    model = formats.read(written())
    for shape in ((2, 4, 6, 6), (2, 4, 5, 7)):
        with refuses("net.onnx", "elements"):
            onnx_model = network()
            for value in (onnx_model.graph.input[0], onnx_model.graph.output[0]):
                for dim in value.type.tensor_type.shape.dim:
                    dim.Clear()
            path = written()
            onnx.save(onnx_model, path)
            formats.read(path).embed(np.zeros(shape, np.float32))
    assert model.embed(MAPS[:1]).shape == (1, 4, 5, 6)


def test_without_a_compiler_one_is_named(monkeypatch):
    monkeypatch.setattr(operator_library, "find_spec", lambda name: None)
    monkeypatch.setenv("CC", "no-such-compiler -O1")
    with refuses("no-such-compiler", "gcc", "pip install"):
        operator_library.find_compiler(None)
    with refuses("target=windows-x86_64", "pip install ziglang"):
        operator_library.find_compiler("windows-x86_64")


def test_a_failing_compiler_is_quoted_and_leaves_what_was_there(tmp_path, monkeypatch):
    compiler = tmp_path / "cc.py"
    compiler.write_text("import sys; sys.exit('In file included from a.h:\\nb.c:1: error: no such thing')")
    monkeypatch.setenv("CC", f"{sys.executable} {compiler}")
    (tmp_path / "lib.so").write_bytes(b"old")
    with refuses("b.c:1: error: no such thing", "CC"):
        operator_library.build(tmp_path / "lib.so")
    assert (tmp_path / "lib.so").read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 2


def test_each_target_has_its_name():
    names = {target: operator_library.library_name(target) for target in operator_library.TARGETS}
    assert names["windows-x86_64"] == "libfacerec_ops.dll" and names["macos-arm64"] == "libfacerec_ops.dylib"
    assert names["linux-aarch64"] == names["linux-x86_64"] == "libfacerec_ops.so"


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ziglang") is None, reason="needs ziglang")
@pytest.mark.parametrize(
    ("target", "begins"),
    [
        ("linux-aarch64", b"\x7fELF"),
        ("linux-x86_64", b"\x7fELF"),
        ("windows-x86_64", b"MZ"),
        ("macos-arm64", b"\xcf\xfa\xed\xfe"),
    ],
)
def test_it_is_built_for_other_machines(target, begins, tmp_path):
    path = tmp_path / operator_library.library_name(target)
    operator_library.build(path, target)
    content = path.read_bytes()
    assert content.startswith(begins) and b"RegisterCustomOps" in content
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def stand_in(compiler: list[str], processor: str, folder: Path) -> Path:
    """The operators and a stand-in for the runtime, as a program."""
    native = Path(operator_library.__file__).parent
    files = [HERE / "fake_runtime.c", native / "ort.c", *(native / name for name in SOURCES[processor])]
    flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{native}"]
    subprocess.run([*compiler, *flags, *files, "-o", folder / "program"], check=True)
    return folder / "program"


@needs_cc
@pytest.mark.skipif(platform.machine() not in SOURCES, reason="for x86-64 and AArch64")
def test_each_failure_of_the_runtime_is_told_and_leaves_nothing(tmp_path):
    program = stand_in(["cc"], platform.machine(), tmp_path)
    assert subprocess.run([program], check=True, capture_output=True, text=True).stdout


@pytest.mark.skipif(
    shutil.which("qemu-aarch64") is None or find_spec("ziglang") is None, reason="needs qemu-aarch64 and ziglang"
)
def test_the_same_on_aarch64(tmp_path):
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-musl", "-static"]
    program = ["qemu-aarch64", stand_in(zig, "aarch64", tmp_path)]
    assert subprocess.run(program, check=True, capture_output=True, text=True).stdout == "neon\n"


TOO_OLD = """
#include <string.h>
#include "ort_api.h"
OrtStatus *RegisterCustomOps(OrtSessionOptions *options, const OrtApiBase *base);
static char said[256];
static OrtStatus *say(OrtErrorCode code, const char *message) {
  (void)code;
  return (OrtStatus *)strncpy(said, message, 255);
}
static const OrtApi first = {.CreateStatus = say};
static const OrtApi *api(uint32_t version) { return version > 15 ? 0 : &first; }
static const char *version(void) { return "1.15.1"; }
static const OrtApiBase base = {api, version};
const char *register_with_old(void) { return (const char *)RegisterCustomOps(0, &base); }
"""


@needs_cc
def test_an_older_runtime_is_told_by_its_version(tmp_path):
    import ctypes

    (tmp_path / "old.c").write_text(TOO_OLD)
    arguments = operator_library._arguments(None)
    folder = Path(operator_library.__file__).parent
    command = [C_COMPILER, *arguments, f"-I{folder}", str(tmp_path / "old.c"), "-fvisibility=default"]
    subprocess.run([*command, "-o", tmp_path / "old.so"], check=True)
    old = ctypes.CDLL(str(tmp_path / "old.so"))
    old.register_with_old.restype = ctypes.c_char_p
    assert says(old.register_with_old().decode(), "ONNX Runtime 1.15.1", "1.17", "upgrade")


def runtime() -> Path | None:
    """ONNX Runtime's shared library inside the wheel."""
    return next((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so*"), None)


@pytest.mark.skipif(shutil.which("c++") is None or runtime() is None, reason="needs a C++ compiler and libonnxruntime")
def test_a_program_in_cpp_gives_the_same(library, written, tmp_path):
    headers, shared = Path(operator_library.__file__).parent, runtime()
    assert shared is not None
    command = ["c++", "-std=c++17", "-Wall", "-Wextra", "-Werror", f"-I{headers}", HERE / "embed.cpp"]
    (tmp_path / "libonnxruntime.so.1").symlink_to(shared)  # the name by which programs look for it
    subprocess.run([*command, "-o", tmp_path / "embed", shared, f"-Wl,-rpath,{tmp_path}"], check=True)
    whole, pixels = (
        mobilenet(tmp_path / "whole.onnx"),
        np.arange(2 * 32 * 32 * 3).reshape(2, 32, 32, 3).astype(np.uint8),
    )
    for path, batch in ((written(), MAPS), (whole, pixels)):
        batch.tofile(tmp_path / "batch.bin")
        given = [tmp_path / "embed", path, library, tmp_path / "batch.bin", *map(str, batch.shape)]
        result = subprocess.run(given, capture_output=True, check=True)
        np.testing.assert_array_equal(np.frombuffer(result.stdout, np.float32), formats.read(path).embed(batch).ravel())
        refused = subprocess.run([*given[:2], path, *given[3:]], capture_output=True, text=True)
        assert refused.returncode == 1 and says(refused.stderr, str(path))


def mobilenet(path: Path) -> Path:
    """Write a whole network in facerec's operators."""
    backbone = MobileNetV2(0.1, partial(TVConv, generator_channels=4, generator_layers=1), (32, 32), 16)
    example = torch.zeros(2, 32, 32, 3, dtype=torch.uint8)
    formats.write("onnx", native_form(backbone.eval()), example, {"config": "{}"}, path)
    return path
