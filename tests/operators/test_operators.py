"""What every operator in configs/operator has to keep, whatever it computes."""

import copy
import inspect
import pickle

import pytest
import torch
from operator_files import FILES, constructor, operator, read
from random_weights import randomise
from says import refuses

CHANNELS = 16
operators = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
shapes = pytest.mark.parametrize(
    ("in_size", "stride", "out_size"),
    [
        ((6, 6), 1, (6, 6)),
        ((7, 5), 1, (7, 5)),
        ((6, 8), 2, (3, 4)),
        ((7, 5), 2, (4, 3)),
        ((2, 2), 2, (1, 1)),
    ],
    ids=str,
)


def build(file, stride=1, out_size=(6, 6), seed=0):
    torch.manual_seed(seed)
    return operator(file)(CHANNELS, stride=stride, out_size=out_size)


def images(in_size, batch=2, seed=0):
    return torch.randn(batch, CHANNELS, *in_size, generator=torch.Generator().manual_seed(seed))


def assert_same(out, expected, within=1e-4):
    torch.testing.assert_close(out, expected, check_stride=False, rtol=within, atol=within)


def test_there_are_operators():
    assert {"depthwise", "tvconv"} <= {file.stem for file in FILES}


@operators
def test_the_file_holds_the_keyword_arguments_of_a_constructor_which_is_an_operator_or_makes_one(file):
    config, parameters = read(file), inspect.signature(constructor(file)).parameters
    called = parameters if config.get("_partial_") else inspect.signature(operator(file)).parameters
    assert list(called)[:3] == ["channels", "stride", "out_size"]
    keyword_only = {name for name, parameter in parameters.items() if parameter.kind is parameter.KEYWORD_ONLY}
    assert {key for key in config if key[0] != "_"} == keyword_only
    assert not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())


@operators
def test_an_argument_that_does_not_exist_is_refused(file):
    with pytest.raises(TypeError, match="hiden_channels"):
        operator(file, hiden_channels=32)(CHANNELS, stride=1, out_size=(6, 6))


@operators
@shapes
def test_output_has_the_channels_of_the_input_at_the_size_rounded_up(file, in_size, stride, out_size):
    out = build(file, stride, out_size)(images(in_size))
    assert out.shape == (2, CHANNELS, *out_size)
    assert out.isfinite().all()


@operators
@shapes
def test_gradient_reaches_the_input_and_every_parameter(file, in_size, stride, out_size):
    module, x = build(file, stride, out_size), images(in_size, batch=4).requires_grad_()
    module(x).square().sum().backward()
    for name, tensor in [("the input", x), *module.named_parameters()]:
        assert tensor.grad is not None, name
        assert tensor.grad.isfinite().all() and tensor.grad.abs().max() > 0, name


@operators
@shapes
def test_memory_format_does_not_matter(file, in_size, stride, out_size):
    module, x = randomise(build(file, stride, out_size)).eval(), images(in_size)
    expected, x = module(x), x.to(memory_format=torch.channels_last)
    assert_same(module(x), expected)
    assert_same(module.to(memory_format=torch.channels_last)(x), expected)


@operators
@shapes
def test_images_of_a_batch_do_not_influence_each_other(file, in_size, stride, out_size):
    module, x = randomise(build(file, stride, out_size)).eval(), images(in_size, batch=3)
    assert_same(torch.cat([module(image[None]) for image in x]), module(x))


@operators
def test_it_initialises_itself_from_the_seed_and_again_on_request(file):
    one, same, other = build(file, seed=1), build(file, seed=1), build(file, seed=2)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    for module in (one, randomise(other)):
        torch.manual_seed(3)
        module.reset_parameters()
    left = {name for (name, a), b in zip(one.named_parameters(), other.parameters(), strict=True) if not a.equal(b)}
    assert left == set()


@operators
def test_compiled_it_is_one_graph_with_the_same_output_and_gradient(file):
    module = build(file, 2, (4, 3))
    compiled = torch.compile(copy.deepcopy(module), backend="aot_eager", fullgraph=True)
    found = {}
    for name, run in (("eager", module), ("compiled", compiled)):
        x = images((7, 5), batch=4).requires_grad_()
        out = run(x)
        out.square().sum().backward()
        found[name] = [out, x.grad, *(p.grad for p in run.parameters())]
    for compiled_tensor, tensor in zip(found["compiled"], found["eager"], strict=True):
        assert_same(compiled_tensor, tensor, within=1e-3)  # gradients of sums over the batch, added in another order
    torch.compiler.reset()


@operators
def test_the_gradient_is_that_of_finite_differences(file):
    module = randomise(build(file, 2, (2, 2))).double()
    x = images((3, 3), batch=3).double().requires_grad_()
    weights = torch.randn(3, CHANNELS, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    parameters = [p for p in module.parameters()]
    assert torch.autograd.gradcheck(lambda *_: (module(x) * weights).sum(), (x, *parameters), fast_mode=True, atol=1e-4)


@operators
def test_saved_weights_give_the_same_output(file):
    one, other = randomise(build(file, seed=1)).eval(), build(file, seed=2).eval()
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(images((6, 6))), other(images((6, 6))))


def steps(module, optimizer, first, last):
    """Train on a batch of its own in each step."""
    for step in range(first, last):
        module.on_step(step / 4)
        optimizer.zero_grad()
        module(images((6, 6), batch=4, seed=step)).square().mean().backward()
        optimizer.step()


@operators
def test_training_goes_on_from_a_checkpoint_as_if_it_had_never_stopped(file):
    straight, stopped, resumed = (build(file, 2, (3, 3), seed=seed) for seed in (0, 0, 1))
    straight_sgd, stopped_sgd, resumed_sgd = (
        torch.optim.SGD(module.parameters(), 0.01, momentum=0.9) for module in (straight, stopped, resumed)
    )
    steps(straight, straight_sgd, 0, 4)
    steps(stopped, stopped_sgd, 0, 2)
    resumed.load_state_dict(stopped.state_dict())
    resumed_sgd.load_state_dict(stopped_sgd.state_dict())
    steps(resumed, resumed_sgd, 2, 4)
    assert all(
        torch.equal(a, b) for a, b in zip(straight.state_dict().values(), resumed.state_dict().values(), strict=True)
    )


@pytest.fixture(scope="module")
def process_group(tmp_path_factory):
    """Of this process alone."""
    if not (torch.distributed.is_available() and torch.distributed.is_gloo_available()):
        pytest.skip("needs a PyTorch with gloo")
    store = torch.distributed.FileStore(str(tmp_path_factory.mktemp("store") / "file"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@operators
def test_on_several_devices_no_parameter_is_left_without_a_gradient(file, process_group):
    """It is the second step that would wait for those of the first."""
    module = build(file, 2, (3, 3))
    distributed = torch.nn.parallel.DistributedDataParallel(module)
    for seed in range(2):
        distributed(images((6, 6), batch=4, seed=seed)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


@operators
def test_a_copy_and_a_pickle_are_the_same(file):
    module = randomise(build(file)).eval()
    expected = module(images((6, 6)))
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(other(images((6, 6))), expected)


@operators
def test_bfloat16_autocast_is_close_and_trains_float32_weights(file):
    module, x = build(file), images((6, 6))
    expected = module(x)
    with torch.autocast("cpu", torch.bfloat16):
        out = module(x.bfloat16())
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), expected, atol=0.05 * expected.std().item(), rtol=0.05, check_stride=False)
    out.float().square().sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in module.parameters())


@operators
@pytest.mark.parametrize("kernel_size", [2, 4])
def test_an_even_kernel_is_refused(file, kernel_size):
    names = {"kernel_size", "window"} & read(file).keys()
    if not names:
        pytest.skip("this operator has no kernel")
    for name in names:
        with refuses(name, "odd", str(kernel_size)):
            operator(file, **{name: kernel_size})(CHANNELS, 1, (6, 6))
