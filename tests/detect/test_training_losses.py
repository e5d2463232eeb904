"""The class loss and the three auxiliary ones: their values on hand-worked rows, and what they do to a network."""

import math

import pytest
import torch
import training_tones as tones

from covoguard.core.errors import UsageError
from covoguard.detect.training.batch import Batch
from covoguard.detect.training.losses import (
    ADVERSARY_HASTE,
    SourceAdversary,
    TrainingObjective,
    adversary_ramp,
    class_loss,
    pair_loss,
    reverse_gradient,
)
from covoguard.detect.training.recipe import TrainingRecipe


def objective(n_families=2, n_sources=2, **weights):
    torch.manual_seed(1)
    return TrainingObjective(tones.ToneNetwork(), TrainingRecipe(**weights), n_families=n_families, n_sources=n_sources)


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        yield


@pytest.fixture
def batch():
    return next(tones.ToneSource().epoch(0, rank=0, world=1))


def test_the_class_loss_of_hand_worked_rows():
    logits, targets = torch.tensor([0.0, 2.0]), torch.tensor([0.0, 1.0])
    total, count = class_loss(logits, targets, 0.0, 3.0)
    assert float(total) == pytest.approx(math.log(2) + 3 * math.log1p(math.exp(-2)))
    assert float(count) == 4.0
    smoothed, _ = class_loss(logits[1:], targets[1:], 0.1, 1.0)
    assert float(smoothed) == pytest.approx(0.9 * math.log1p(math.exp(-2)) + 0.1 * math.log1p(math.exp(2)))


def test_smoothing_makes_certainty_cost():
    sure, targets = torch.tensor([40.0]), torch.ones(1)
    assert class_loss(sure, targets, 0.05, 1.0)[0] > class_loss(torch.tensor([3.0]), targets, 0.05, 1.0)[0]


def test_the_pair_loss_compares_copies_with_their_own_originals_alone():
    logits = torch.tensor([1.0, 0.0, 5.0, 2.0, -9.0, 9.0])
    is_spoof = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
    total, count = pair_loss(logits, torch.tensor([0, 0, 3, 3, -1, -1]), is_spoof)
    assert float(total) == pytest.approx(math.log1p(math.exp(1)) + math.log1p(math.exp(3)))
    assert float(count) == 2
    assert pair_loss(logits, torch.full((6,), -1), is_spoof)[1] == 0
    two_copies = pair_loss(logits[:3], torch.tensor([4, 4, 4]), torch.tensor([0.0, 1.0, 1.0]))
    assert float(two_copies[0]) == pytest.approx(math.log1p(math.exp(1)) + math.log1p(math.exp(-4)))


def test_the_gradient_turns_round_and_the_values_stay():
    values = torch.tensor([1.0, -2.0], requires_grad=True)
    out = reverse_gradient(values, 0.25)
    assert torch.equal(out, values)
    (out * torch.tensor([4.0, 8.0])).sum().backward()
    assert torch.equal(values.grad, torch.tensor([-1.0, -2.0]))


def test_the_adversary_learns_and_the_embedding_is_led_away(batch):
    """A small step along the head's gradient lowers its loss, one along the embedding's raises it."""
    trained = objective(source_adversary_weight=0.5)
    head = trained.source_head
    embedding = trained.network.embedding(batch.samples).detach().requires_grad_()

    def loss(given, force):
        return torch.nn.functional.cross_entropy(head(given, force), batch.source)

    before = loss(embedding, 0.5)
    before.backward()
    assert loss(embedding - 0.1 * embedding.grad, 0.5) > before
    plain = torch.autograd.grad(loss(embedding, -1.0), embedding)[0]
    torch.testing.assert_close(embedding.grad, -0.5 * plain)
    with torch.no_grad():
        for weight in head.parameters():
            weight -= 0.1 * weight.grad
    assert loss(embedding, 0.5) < before


def test_the_adversary_comes_in_slowly():
    assert adversary_ramp(0.0) == 0.0
    assert adversary_ramp(0.1) == pytest.approx(2 / (1 + math.exp(-1)) - 1)
    assert 0.999 < adversary_ramp(1.0) < 1.0


def test_nothing_is_built_that_is_off(batch):
    plain = objective()
    assert plain.parts == ("class",)
    assert {name.split(".")[0] for name, _ in plain.named_parameters()} == {"network"}
    full = objective(pair_weight=0.5, family_weight=0.2, source_adversary_weight=0.1)
    assert full.parts == ("class", "pair", "family", "source")
    torch.testing.assert_close(full.part_weights, torch.tensor([1.0, 0.5, 0.2, 1.0]))
    losses = full(batch, None, 0.5)
    assert losses.counts.tolist() == [16, 4, 8, 12], "rows, pairs, generated rows, genuine rows and copies"


def test_rows_of_unknown_family_or_source_do_not_count(batch):
    unknown = torch.full_like(batch.family, -1)
    full = objective(pair_weight=0.5, family_weight=0.2, source_adversary_weight=0.1)
    losses = full(Batch(batch.samples, batch.is_spoof, unknown, unknown, unknown), None, 0.5)
    assert losses.counts.tolist() == [16, 0, 0, 0]
    assert losses.sums[1:].tolist() == [0, 0, 0]
    losses.sums.sum().backward()
    for name, parameter in full.named_parameters():
        assert parameter.grad is not None, f"{name}: several processes wait for every gradient"
        assert parameter.grad.isfinite().all()


@pytest.mark.parametrize(("field", "what"), [("family_weight", "families"), ("source_adversary_weight", "sources")])
def test_one_class_cannot_be_told_apart(field, what):
    with pytest.raises(UsageError, match=f"{field} is set, but the data has 1 .*{what}"):
        objective(1, 1, **{field: 0.1})


# --- what each one does to a network ------------------------------------------------------------------------


def trained_on(source, *, steps=60, classes=True, **weights):
    """The objective after plain descent at full adversarial force, and batches that it has not seen."""
    trained = objective(**weights)
    part_weights = trained.part_weights.clone()
    if not classes:
        part_weights[0] = 0.0
        trained.network.out.weight.data.neg_()  # at random it is right by luck
    optimiser = torch.optim.Adam(trained.parameters(), lr=1e-2)
    batches = tones.ToneSource(steps_per_epoch=steps, **source).epoch(0, rank=0, world=1)
    for batch in batches:
        sums, counts = trained(batch, None, 1.0)
        optimiser.zero_grad()
        ((sums / counts) @ part_weights).backward()
        optimiser.step()
    return trained.eval(), list(tones.ToneSource(steps_per_epoch=12, **source).epoch(99, rank=0, world=1))


def violations(trained, batches):
    """Share of pairs whose copy scores below its original."""
    wrong = total = 0
    for batch in batches:
        logits = trained.network(batch.samples)
        paired = batch.pair >= 0
        genuine, copies = paired & (batch.is_spoof == 0), paired & (batch.is_spoof == 1)
        wrong += int((logits[copies] <= logits[genuine]).sum())
        total += int(copies.sum())
    return wrong / total


def test_the_pair_loss_lowers_violations():
    """Without the loss of the class, pairs alone teach which one is the copy."""
    without, with_pairs = (violations(*trained_on({}, classes=False, pair_weight=weight)) for weight in (0.0, 1.0))
    assert without > 0.2
    assert with_pairs < 0.05


def test_the_family_head_learns_families_on_the_embedding():
    trained, batches = trained_on({}, family_weight=1.0)
    right = [
        (trained.family_head(trained.network.embedding(b.samples)).argmax(1) == b.family)[b.is_spoof == 1].float()
        for b in batches
    ]
    assert float(torch.cat(right).mean()) > 0.9


def test_the_adversary_takes_the_source_out_of_the_embedding():
    """An embedding that shows the source in noise, by a gain that it can choose: it goes down, unless it is helped."""

    def gain_after(force, steps=300):
        gain, head = torch.nn.Parameter(torch.tensor(2.0)), SourceAdversary(1, 2)
        haste = [{"params": head.parameters(), "lr": 1e-2 * ADVERSARY_HASTE}, {"params": [gain], "lr": 1e-2}]
        optimiser = torch.optim.Adam(haste)
        for _ in range(steps):
            source = torch.randint(0, 2, (64,))
            embedding = gain * (2.0 * source - 1.0) + torch.randn(64)
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(head(embedding[:, None], force), source).backward()
            optimiser.step()
        return abs(gain.item())

    assert gain_after(1.0) < 0.5
    assert gain_after(-1.0) > 2.0
