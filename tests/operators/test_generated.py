"""What is generated from parameters alone, and how often."""

import copy
import pickle

import pytest
import torch
from torch import nn

from facerec.operators.common.generated import Generated
from facerec.operators.tvconv import TVConv


class Counting(nn.Module):
    """x times the square of a parameter, which is squared as seldom as can be."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(3.0))
        self.generated, self.made = Generated(), 0

    def make(self):
        self.made += 1
        return self.factor.square()

    def forward(self, x):
        return x * self.generated.get(self, self.make)


def test_evaluation_makes_it_once_until_a_parameter_changes():
    module = Counting().eval()
    with torch.no_grad():
        assert [module(2.0).item(), module(1.0).item(), module.made] == [18, 9, 1]
        module.factor.mul_(2)
        assert [module(1.0).item(), module(1.0).item(), module.made] == [36, 36, 2]
        module.load_state_dict({"factor": torch.tensor(1.0)})
        assert [module(1.0).item(), module.made] == [1, 3]
        module.load_state_dict({"factor": torch.tensor(5.0)}, assign=True)
        assert [module(1.0).item(), module.made] == [25, 4]
        module.double()
        assert [module(1.0).dtype, module.made] == [torch.float64, 5]


def test_a_step_between_two_evaluations_is_seen():
    module = Counting()
    optimizer = torch.optim.SGD(module.parameters(), 0.5)
    for expected in (9, 0):  # 3 - 0.5 * 2 * 3 = 0
        with torch.no_grad():
            assert module.eval()(1.0).item() == expected
        module.train()(torch.tensor(1.0)).backward()
        optimizer.step()
        optimizer.zero_grad()


def test_with_gradients_it_is_made_anew_each_time():
    for module in (Counting(), Counting().eval()):
        for _ in range(2):
            module(1.0).backward()
        assert module.made == 2
        assert module.factor.grad.item() == 12


def test_a_compiler_sees_the_generator_itself():
    module = Counting().eval()
    with torch.no_grad():
        compiled = torch.compile(module, backend="eager", fullgraph=True)
        assert [compiled(torch.tensor(1.0)).item(), module.generated._cached] == [9, None]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_a_copy_keeps_nothing_of_the_original(copied):
    module = Counting().eval()
    with torch.no_grad():
        module(1.0)
        twin = copied(module)
        twin.factor.fill_(1)
        assert [twin(1.0).item(), module(1.0).item()] == [1, 9]


def test_switching_to_training_forgets_what_a_change_of_data_would_leave():
    torch.manual_seed(0)
    module, x = TVConv(3, 1, (5, 4), generator_channels=4, bias=True).eval(), torch.ones(1, 3, 5, 4)
    with torch.no_grad():
        before = module(x)
        module.affinity_maps.data[:, :2] *= -1
        after = module.train().eval()(x)
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after, copy.deepcopy(module)(x).detach())


def test_buffers_and_autocast_count_as_changes():
    torch.manual_seed(0)
    module = TVConv(3, 1, (6, 6), generator_channels=4, generator_norm="batch").eval()
    x = torch.randn(2, 3, 6, 6)
    with torch.no_grad():
        before = module(x)
        module.weight_generator[1].running_mean.add_(1)
        assert not torch.allclose(module(x), before)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = module._weight.get(module, module.weight)
        exact = module._weight.get(module, module.weight)
    assert (rough.dtype, exact.dtype) == (torch.bfloat16, torch.float32)


def test_training_form_without_gradients_keeps_nothing():
    module = Counting().train()
    with torch.no_grad():
        assert [module(1.0).item(), module(1.0).item(), module.made] == [9, 9, 2]


def test_a_module_that_was_made_in_inference_mode_works():
    with torch.inference_mode():
        module = Counting().eval()
        assert module(1.0).item() == 9
