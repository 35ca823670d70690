"""The GPU kernels, run by Triton's interpreter, and compiled where there is a GPU, against the unfolded form."""

import importlib.util
import math
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F

triton = pytest.importorskip("triton", reason="Triton comes with PyTorch for CUDA on Linux alone")

from facerec.kernels.gpu import position_dependent_gpu as position_dependent  # noqa: E402
from facerec.kernels.gpu import triton_loops as loops  # noqa: E402

# Batch, channels, height and width of the input, kernel side, stride.
CASES = {
    "odd sizes": (3, 8, 5, 6, 3, 1),
    "stride 2 with a last column that no second one follows": (5, 10, 7, 5, 3, 2),
    "a stride as large as the kernel": (3, 6, 8, 7, 3, 3),
    "one tap that skips half of the inputs": (3, 20, 9, 4, 1, 2),
    "an odd number of channels and a map smaller than the kernel": (2, 3, 4, 6, 5, 1),
    "a large kernel and stride 2": (1, 4, 7, 8, 7, 2),
    "one position": (3, 4, 1, 1, 3, 1),
}


@pytest.fixture(scope="module", params=["interpreter", "cuda"])
def kernels(request) -> tuple[ModuleType, str]:
    """The module under test and the device on which its kernels run."""
    if request.param == "cuda":
        if not torch.cuda.is_available():
            pytest.skip("no GPU")
        return position_dependent, "cuda"
    # What is decorated while the variable is set is interpreted for good: in copies of the modules, so that nothing
    # else in this process changes.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        interpreted = copy_of(position_dependent)
        interpreted.loops = copy_of(loops)  # pyright: ignore[reportAttributeAccessIssue]
    return interpreted, "cpu"


def copy_of(module: ModuleType) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"copy_of_{module.__name__}", module.__file__ or "")
    assert spec is not None and spec.loader is not None
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    return copy


@pytest.fixture
def few_images(kernels, monkeypatch) -> None:
    """Two images for each program, so that small batches have several programs and a last one with fewer."""
    monkeypatch.setattr(kernels[0], "_IMAGES", 2)
    monkeypatch.setattr(kernels[0], "_SUMMED_IMAGES", 2)


def inputs(case, device, dtype=torch.float32, weight_dtype=torch.float32):
    """An input, its weights and a gradient of the output."""
    batch, channels, height, width, kernel, stride = case
    generator = torch.Generator().manual_seed(0)
    out_size = -(-height // stride), -(-width // stride)
    x = torch.randn(batch, channels, height, width, generator=generator)
    weight = torch.randn(kernel**2, *out_size, channels, generator=generator)
    grad_out = torch.randn(batch, channels, *out_size, generator=generator)
    x, grad_out = (maps.to(device, dtype).contiguous(memory_format=torch.channels_last) for maps in (x, grad_out))
    return x, weight.to(device, weight_dtype), grad_out


def by_unfolding(x, weight, grad_out, kernel, stride):
    """Output, gradient of the input and gradient of the weights in float64."""
    x, weight = x.double().contiguous().requires_grad_(), weight.double().requires_grad_()
    columns = F.unfold(x, kernel, padding=kernel // 2, stride=stride)
    columns = columns.view(*x.shape[:2], kernel**2, *grad_out.shape[2:])
    out = torch.einsum("bctij,tijc->bcij", columns, weight)
    return out.detach(), *torch.autograd.grad(out, (x, weight), grad_out.double())


def by_kernels(module, x, weight, grad_out, kernel, stride):
    return (
        module.forward(x, weight, stride),
        module.input_gradient(grad_out, weight, stride, tuple(x.shape[2:])),
        module.weight_gradient(x, grad_out, kernel, stride),
    )


def check(module, case, *tensors, dtype=torch.float32):
    mine, expected = by_kernels(module, *tensors, *case[4:]), by_unfolding(*tensors, *case[4:])
    assert [result.dtype for result in mine] == [dtype, dtype, torch.float32]
    assert all(maps.is_contiguous(memory_format=torch.channels_last) for maps in mine[:2])
    for result, reference, rounding in zip(mine, expected, (torch.finfo(dtype).eps,) * 2 + (1e-6,), strict=True):
        tolerance = 2 * rounding + 1e-5
        torch.testing.assert_close(result.double(), reference, rtol=tolerance, atol=tolerance, check_stride=False)


@pytest.mark.usefixtures("few_images")
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_output_and_gradients_are_those_of_the_unfolded_form(kernels, case):
    module, device = kernels
    check(module, case, *inputs(case, device))


@pytest.mark.usefixtures("few_images")
@pytest.mark.parametrize(
    ("dtype", "weight_dtype", "stride"),
    [
        (torch.bfloat16, torch.float32, 1),
        (torch.bfloat16, torch.bfloat16, 2),
        (torch.float16, torch.float16, 1),
    ],
    ids=str,
)
def test_maps_of_two_bytes_are_summed_in_float32(kernels, dtype, weight_dtype, stride):
    module, device = kernels
    case = (3, 12, 4, 5, 3, stride)
    check(module, case, *inputs(case, device, dtype, weight_dtype), dtype=dtype)


@pytest.mark.usefixtures("few_images")
def test_two_runs_give_the_same_bits(kernels):
    module, device = kernels
    tensors = inputs((5, 10, 7, 5, 3, 2), device)
    first, second = (by_kernels(module, *tensors, 3, 2) for _ in range(2))
    assert all(torch.equal(*results) for results in zip(first, second, strict=True))


@pytest.mark.parametrize("stride", [1, 2])
def test_tiles_cover_maps_that_they_do_not_divide(kernels, stride, monkeypatch):
    """5 rows by 2, 4 columns by 3 and 5 channels by 4: the last tile of each axis reaches back."""
    module, device = kernels
    tiling = module._tiling((1, 5, 4, 5), stride, 4)._replace(groups=1, columns=3, channels=4, tiles=3 * 2 * 2)
    monkeypatch.setattr(module, "_tiling", lambda *_, **__: tiling)
    case = (2, 5, 5 * stride, 4 * stride, 1, stride)
    check(module, case, *inputs(case, device))


@pytest.mark.parametrize(("channels", "side"), [(8, 96), (58, 24), (96, 48), (1000, 7), (3, 1)])
@pytest.mark.parametrize("kernel", [1, 3, 7])
@pytest.mark.parametrize("summing", [False, True])
def test_a_tile_is_within_the_map_and_its_lanes_and_tiles_are_as_many_as_cover_the_map(channels, side, kernel, summing):
    tiling = position_dependent._tiling((kernel**2, side, side, channels), 1, 2, summing)
    assert tiling.groups * tiling.columns * tiling.channels <= tiling.lanes
    assert (tiling.rows <= side, tiling.columns <= side, tiling.channels <= channels) == (True,) * 3
    assert (channels % tiling.unit, tiling.channels % tiling.unit) == (0, 0)
    steps = ((side, tiling.groups * tiling.rows), (side, tiling.columns), (channels, tiling.channels))
    assert tiling.tiles == math.prod(len(range(0, length, step)) for length, step in steps)


def test_images_whose_places_do_not_fit_into_32_bits_together_are_split_among_programs(kernels, monkeypatch):
    module, device = kernels
    case = (5, 4, 4, 3, 3, 1)
    x, *others = inputs(case, device)
    monkeypatch.setattr(module, "_MAX_OFFSET", 2 * x[0].numel() + 1)
    assert module._evenly(5, x, x) == 2
    check(module, case, x, *others)


def test_what_is_not_finite_stays_where_the_window_sees_it(kernels):
    module, device = kernels
    x, weight, _ = inputs((2, 4, 6, 7, 3, 1), device)
    x[0, :, 0, 6] = math.inf
    finite = module.forward(x, weight, 1).isfinite().all(dim=1).cpu()
    assert finite[1].all()
    assert (~finite[0]).nonzero().tolist() == [[0, 5], [0, 6], [1, 5], [1, 6]]


def test_an_empty_batch_gives_empty_maps_and_no_gradient(kernels):
    module, device = kernels
    out, grad_x, grad_weight = by_kernels(module, *inputs((0, 4, 5, 4, 3, 2), device), 3, 2)
    assert (out.shape, grad_x.shape) == ((0, 4, 3, 2), (0, 4, 5, 4))
    assert torch.equal(grad_weight.cpu(), torch.zeros(9, 3, 2, 4))


@pytest.mark.parametrize("name", ["forward", "input_gradient", "weight_gradient"])
def test_kernels_compile_for_an_h200_and_load_four_neighbours_at_once(name, tmp_path, monkeypatch):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kernel = getattr(loops, f"{name}_kernel")
    tiling = position_dependent._tiling((9, 48, 48, 96), 1, 2, name == "weight_gradient")
    constants = {"K": 3, "STRIDE": 1, "UNIT": tiling.unit, "ROWS": tiling.rows, "LANES": tiling.lanes}
    tensors = [n for n in kernel.arg_names if n not in constants and n not in loops.SIZES]
    types = {n: "*fp32" if n in ("weight", "sums") else "*bf16" for n in tensors}
    types |= dict.fromkeys(loops.SIZES, "i32") | dict.fromkeys(constants, "constexpr")
    aligned = {(kernel.arg_names.index(n),): [["tt.divisibility", 16]] for n in tensors}
    compiled = triton.compile(
        triton.compiler.ASTSource(kernel, {n: types[n] for n in kernel.arg_names}, constants, aligned),
        target=triton.backends.compiler.GPUTarget("cuda", 90, 32),
        options={"num_warps": tiling.warps, "num_stages": 1, "maxnreg": tiling.registers, "enable_fp_fusion": True},
    )
    assert "ld.global.v2.b32" in compiled.asm["ptx"]
    assert "ld.global.b16" not in compiled.asm["ptx"]
    assert "convert_layout" not in compiled.asm["ttgir"], "threads exchange numbers through shared memory"
