"""Heads with ``sample`` below 1, beside dense heads of the drawn identities."""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from says import refuses

from facerec.config.options import CONFIG_FOLDER
from facerec.heads import AMSoftmax, ArcFace, CosineHead
from facerec.heads.drawn_rows import draw, generator_of

FILES = [file for file in sorted((CONFIG_FOLDER / "head").glob("*.yaml")) if file.stem != "none"]
ALL = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
N, D = 40, 6
EVERY = 0.999  # of so few identities, rounded
SGD = {"lr": 0.5, "momentum": 0.9, "weight_decay": 0.1}


def head_of(file: Path, sample: float, num_identities: int = N) -> CosineHead:
    torch.manual_seed(5)
    return instantiate(OmegaConf.load(file))(num_identities, embedding_dim=D, sample=sample)


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings of 8 images of norms from 5 to 40, of 4 to 8 identities."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.nn.functional.normalize(torch.randn(8, D, generator=generator))
    labels = torch.randint(N, (8,), generator=generator)
    labels[0] = labels[1]
    return (directions * torch.linspace(5, 40, 8)[:, None]).requires_grad_(), labels


def drawn_by(head: CosineHead, optimizer: torch.optim.Optimizer) -> tuple[torch.Tensor, torch.Tensor]:
    """The identities that were drawn since the last step, found by their centres, and the gradient of these."""
    whole = head.weight.detach().flatten(1)
    with head.step_on_drawn(optimizer):
        rows, gradient = head.weight.detach().flatten(1).clone(), head.weight.grad
        assert gradient is not None
    is_row = (rows[:, None] == whole[None]).all(2)
    assert (is_row.sum(1) == 1).all()
    return is_row.nonzero()[:, 1], gradient


def test_all_positives_and_the_fraction_of_the_others_are_drawn():
    positives = torch.tensor([3, 7, 20])
    for fraction, number in ((0.1, 3), (0.5, 14), (1.0, 27), (0.01, 0)):
        index = draw(30, positives, fraction, generator_of((1, 2), positives.device))
        assert len(index) == 3 + number and index.unique().equal(index)
        assert torch.isin(positives, index).all()
    assert len(draw(30, positives[:0], 0.001, generator_of((1,), positives.device))) == 1


def test_another_identity_is_drawn_as_often_as_the_fraction_says():
    """So the sum of the others' exponentials is, in expectation, the fraction of the whole sum."""
    positives, exponentials = torch.tensor([0, 5]), torch.rand(20, generator=torch.Generator().manual_seed(1)).exp()
    counts, sums, times = torch.zeros(20), [], 4000
    for step in range(times):
        index = draw(20, positives, 1 / 3, generator_of((9, step), positives.device))
        counts[index] += 1
        others = index[~torch.isin(index, positives)]
        sums.append(exponentials[others].sum().item())
    others = torch.tensor([row for row in range(20) if row not in (0, 5)])
    assert (counts[positives] == times).all()
    assert (counts[others] / times - 1 / 3).abs().max() < 0.03
    assert sum(sums) / times == pytest.approx(exponentials[others].sum().item() / 3, rel=0.01)


@ALL
def test_the_loss_and_its_gradients_are_those_of_a_dense_head_of_the_drawn_identities(file):
    head, (embeddings, labels) = head_of(file, 0.3), batch()
    dense = head_of(file, 1.0)
    loss = head.loss(embeddings, labels)
    (ours,) = torch.autograd.grad(loss, embeddings, retain_graph=True)
    loss.backward()
    drawn, gradient = drawn_by(head, torch.optim.SGD([head.weight], lr=0.0))
    assert len(drawn) == len(labels.unique()) + round(0.3 * (N - len(labels.unique())))
    few = head_of(file, 1.0, len(drawn))
    few.weight.data = dense.weight.data[drawn]
    theirs = few.loss(embeddings, torch.searchsorted(drawn, labels))
    assert loss.item() == pytest.approx(theirs.item(), rel=1e-5)
    torch.testing.assert_close(ours, torch.autograd.grad(theirs, embeddings, retain_graph=True)[0])
    torch.testing.assert_close(gradient, torch.autograd.grad(theirs, few.weight)[0])
    averages = {name: value for name, value in head.named_buffers() if name != "draws"}
    assert averages == dict(few.named_buffers())


@ALL
@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
def test_a_head_that_draws_all_identities_learns_as_the_dense_one(file, optimizer):
    """Also from steps of two batches each."""
    heads = [head_of(file, sample) for sample in (1.0, EVERY)]
    settings = SGD if optimizer == "SGD" else {"lr": 0.1, "weight_decay": 0.1}
    optimizers = [getattr(torch.optim, optimizer)([head.weight], **settings) for head in heads]
    for step in range(3):
        for head, one in zip(heads, optimizers, strict=True):
            one.zero_grad()
            for part in range(2):
                head.loss(*batch(2 * step + part)).backward()
            with head.step_on_drawn(one):
                one.step()
    dense, sampled = heads
    assert (dense.weight - head_of(file, 1.0).weight).abs().max() > 0.1
    torch.testing.assert_close(sampled.weight, dense.weight)
    for key, value in optimizers[0].state[dense.weight].items():
        torch.testing.assert_close(optimizers[1].state[sampled.weight][key], value)


@ALL
def test_a_step_leaves_other_centres_and_their_momentum_as_they_are(file):
    head = head_of(file, 0.3)
    optimizer = torch.optim.SGD([head.weight], **SGD)
    for step in range(4):
        before = head.weight.detach().clone()
        momentum = optimizer.state[head.weight].get("momentum_buffer", torch.zeros_like(before)).clone()
        head.loss(*batch(step)).backward()
        assert head.weight.grad is None
        with head.step_on_drawn(optimizer):
            rows = len(head.weight)
            optimizer.step()
        moved = (head.weight != before).flatten(1).any(1)
        pushed = (optimizer.state[head.weight]["momentum_buffer"] != momentum).flatten(1).any(1)
        assert head.weight.grad is None and head.weight.shape == before.shape
        assert moved.sum() == rows < N / 2 and pushed.equal(moved)


@ALL
def test_the_state_has_what_the_next_draw_follows_from(file):
    heads = [head_of(file, 0.3), head_of(file, 0.3)]
    optimizers = [torch.optim.SGD([head.weight], lr=0.0) for head in heads]
    drawn = []
    for step in range(3):
        heads[0].loss(*batch(step)).backward()
        drawn.append(drawn_by(heads[0], optimizers[0])[0])
        if step == 1:
            heads[1].load_state_dict(heads[0].state_dict())
    heads[1].loss(*batch(2)).backward()
    assert drawn_by(heads[1], optimizers[1])[0].equal(drawn[2])
    assert heads[0].draws == 3
    heads[0].loss(*batch(2)).backward()  # the same batch again
    assert not drawn_by(heads[0], optimizers[0])[0].equal(drawn[2])


def test_another_seed_draws_others():
    drawn = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        head = AMSoftmax(N, D, sample=0.3)
        head.loss(*batch()).backward()
        drawn.append(set(drawn_by(head, torch.optim.SGD([head.weight], lr=0.0))[0].tolist()))
    assert drawn[0] != drawn[1]


@ALL
def test_in_evaluation_mode_all_identities_are_compared(file):
    head, dense = (head_of(file, sample).eval() for sample in (0.1, 1.0))
    assert torch.equal(head.loss(*batch()), dense.loss(*batch())) and head.draws == 0


def test_a_batch_without_a_gradient_makes_no_step():
    head = ArcFace(N, D, sample=0.3)
    before, optimizer = head.weight.detach().clone(), torch.optim.SGD([head.weight], **SGD)
    with torch.no_grad():
        head.loss(*batch())
    head.loss(*batch())
    with head.step_on_drawn(optimizer):
        optimizer.step()
    assert torch.equal(head.weight, before)


def test_frozen_centres_are_drawn_and_stay():
    head = ArcFace(N, D, sample=0.3)
    head.weight.requires_grad_(False)
    embeddings, labels = batch()
    head.loss(embeddings, labels).backward()
    assert embeddings.grad is not None and embeddings.grad.any() and head.weight.grad is None


def test_an_optimizer_with_state_by_rows_and_columns_is_refused():
    head = ArcFace(N, D, sample=0.3)
    optimizer = torch.optim.Adafactor([head.weight])
    head.loss(*batch()).backward()
    with refuses("Adafactor", "head.sample", "sgd"), head.step_on_drawn(optimizer):
        optimizer.step()
    assert head.weight.shape == (N, D)


@pytest.mark.parametrize("sample", [0.0, -0.1, 1.5, float("nan")])
def test_a_fraction_out_of_range_is_refused(sample):
    with refuses("sample", str(sample), "1 is all"):
        ArcFace(N, D, sample=sample)
