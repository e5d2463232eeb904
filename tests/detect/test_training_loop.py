"""The loop: it learns, it keeps the best average, it says what is wrong, and its folder is whole at every moment."""

import errno
import json
import math
import sys
import types
from dataclasses import dataclass, replace

import pytest
import torch
import training_tones as tones
from torch import nn

import covoguard.core.wholefile as wholefile
from covoguard.core.errors import CovoguardError, IntegrityError, UsageError
from covoguard.detect.training.batch import Batch
from covoguard.detect.training.draws import draw_mixture, mask_spectra
from covoguard.detect.training.loop import fit
from covoguard.detect.training.recipe import TrainingRecipe
from covoguard.detect.training.state import average_into
from covoguard.detect.training.stopping import EpochRecord, HeldOut, best_epoch, is_stalled

QUICK = TrainingRecipe(epochs=2, learning_rate=1e-2, average_decay=0.5)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def train(folder, recipe=QUICK, source=None, **options):
    return fit(tones.ToneNetwork(), source or tones.ToneSource(), recipe, folder, seed=1, device="cpu", **options)


def same(first, second):
    pairs = zip(first.network.state_dict().values(), second.network.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def journal(folder):
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


def record(epoch, eer, cllr=0.5):
    held_out = None if eer is None else HeldOut(eer, eer, cllr, 10, 10)
    return EpochRecord(epoch, epoch + 1, 0.1, held_out)


# --- learning ----------------------------------------------------------------------------------------------


def test_it_learns_what_can_be_told_apart_and_reports(tmp_path):
    told, source = [], tones.ToneSource(artefact=0.4)
    recipe = replace(QUICK, epochs=4, journal_interval_steps=4)
    fitted = train(tmp_path, recipe, source, progress=lambda *words: told.append(words))
    assert fitted.history[-1].held_out.eer < 0.05
    assert fitted.history[-1].held_out.cllr < fitted.history[0].held_out.cllr
    assert [(done, total) for done, total, _ in told] == [(step, 20) for step in range(1, 21)]
    assert not fitted.network.training
    steps = [line for line in journal(tmp_path) if "losses" in line]
    assert [line["step"] for line in steps] == [4, 8, 12, 16, 20]
    assert steps[-1]["losses"]["class"] < steps[0]["losses"]["class"]
    assert all(line["clips_per_s"] > 0 for line in steps)
    held_out = [line["held_out"] for line in journal(tmp_path) if "held_out" in line]
    assert [each["eer"] for each in held_out] == [each.held_out.eer for each in fitted.history]
    assert (held_out[0]["n_bonafide"], held_out[0]["n_spoof"]) == (24, 24)


def test_the_callers_generator_is_left_alone_and_the_seed_decides(tmp_path):
    before = torch.random.get_rng_state()
    recipe = replace(QUICK, mixup=0.3)
    first = train(tmp_path / "a", recipe)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.randn(3)
    assert same(first, train(tmp_path / "b", recipe))
    other = fit(tones.ToneNetwork(), tones.ToneSource(), recipe, tmp_path / "c", seed=2, device="cpu")
    assert not same(first, other)


def test_bfloat16_learns_too_and_float16_needs_cuda(tmp_path):
    coarse = train(tmp_path / "bf16", replace(QUICK, precision="bfloat16"))
    exact = train(tmp_path / "f32")
    assert not same(coarse, exact)
    assert coarse.history[-1].loss == pytest.approx(exact.history[-1].loss, rel=0.05)
    assert all(value.dtype == torch.float32 for value in coarse.network.state_dict().values())
    with pytest.raises(UsageError, match="float16 needs a CUDA device"):
        train(tmp_path / "f16", replace(QUICK, precision="float16"))


def test_the_average_follows_weights_and_copies_what_batch_norm_counted():
    average, network = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    with torch.no_grad():
        network.weight.fill_(3.0)
        network.running_mean.fill_(7.0)
        network.num_batches_tracked.fill_(5)
    average_into(average, network, 0.75)
    assert average.weight.tolist() == [1.5, 1.5]
    assert average.running_mean.tolist() == [7.0, 7.0]
    assert average.num_batches_tracked == 5


def test_mixing_keeps_the_larger_share_and_leaves_pairs_alone():
    batch = next(tones.ToneSource().epoch(0, rank=0, world=1))
    mixture = draw_mixture(batch, replace(QUICK, mixup=1.0, pair_weight=1.0), 3)
    mixed, paired = mixture.of(batch.samples), batch.pair >= 0
    assert torch.equal(mixed[paired], batch.samples[paired])
    assert not torch.equal(mixed[~paired], batch.samples[~paired])
    assert torch.equal(mixture.of(batch.is_spoof).round(), batch.is_spoof), "the larger share names the class"
    spectra = torch.randn(len(batch.is_spoof), 5, 7)
    row, share = 0, float(mixture.share[0])
    other = spectra[int(mixture.partner[row])]
    torch.testing.assert_close(mixture.of(spectra)[row], share * spectra[row] + (1 - share) * other)
    assert draw_mixture(batch, QUICK, 3) is None


def test_masks_hide_stretches_of_each_axis_and_no_more_than_asked():
    torch.manual_seed(0)
    masked = mask_spectra(torch.ones(200, 30, 40), 6, 9)
    hidden_bands = (masked == 0).all(dim=2).sum(dim=1)
    hidden_frames = (masked == 0).all(dim=1).sum(dim=1)
    assert hidden_bands.max() in range(10, 13)
    assert hidden_frames.max() in range(15, 19)
    assert hidden_bands.min() == hidden_frames.min() == 0
    whole = (masked == 0) == ((masked == 0).all(dim=2)[:, :, None] | (masked == 0).all(dim=1)[:, None, :])
    assert whole.all(), "only whole bands and whole frames are hidden"
    assert torch.equal(mask_spectra(torch.ones(2, 5, 5), 0, 0), torch.ones(2, 5, 5))


def test_masks_are_for_spectra(tmp_path):
    with pytest.raises(UsageError, match="mask_bands"):
        train(tmp_path, replace(QUICK, mask_bands=3))


def test_the_learning_rate_rises_and_falls_as_a_half_cosine():
    recipe = TrainingRecipe(learning_rate=1.0, warm_up=0.1)
    rates = [recipe.learning_rate_at(step, 100) for step in range(100)]
    assert rates.index(max(rates)) == 10
    assert rates[10] == 1.0
    assert 0 < rates[0] < rates[5] < 1.0
    assert rates[55] == pytest.approx(0.5)
    assert 0 < rates[99] < 0.001
    assert TrainingRecipe(learning_rate=1.0, warm_up=0.0).learning_rate_at(0, 10) == 1.0


# --- the best epoch ----------------------------------------------------------------------------------------


def test_the_best_epoch_is_the_first_of_the_best_and_patience_counts_from_it():
    history = [record(0, 0.4), record(1, 0.2, 0.9), record(2, 0.2, 0.8), record(3, 0.2, 0.8), record(4, 0.3)]
    assert best_epoch(history, "eer") == 2
    assert is_stalled(history, "eer", 2)
    assert not is_stalled(history, "eer", 3)
    assert not is_stalled(history, "eer", 0)
    assert best_epoch([record(0, None)], "eer") is None
    assert not is_stalled([record(0, None)], "eer", 1)


def test_a_training_that_gets_worse_ends_early_with_its_best_weights(tmp_path):
    """From the third epoch on the labels are turned round; what was learnt before is what is kept."""
    recipe = replace(QUICK, epochs=12, patience=2, average_decay=0.0)
    fitted = train(tmp_path, recipe, tones.ToneSource(turned_from=2, steps_per_epoch=6))
    assert fitted.stopped_early
    assert fitted.best_epoch == 1
    assert len(fitted.history) == 4
    assert fitted.history[-1].held_out.eer > 0.5
    with torch.no_grad():
        scored = [(fitted.network(each.samples), each.is_spoof) for each in tones.ToneSource().held_out()]
    logits, is_spoof = (torch.cat(each) for each in zip(*scored, strict=True))
    assert logits[is_spoof == 1].mean() > logits[is_spoof == 0].mean()


def test_without_held_out_clips_the_last_average_is_kept(tmp_path):
    fitted = train(tmp_path, replace(QUICK, patience=1), tones.ToneSource(clips_held_out=0))
    assert [each.held_out for each in fitted.history] == [None, None]
    assert fitted.best_epoch == 1
    assert not fitted.stopped_early


# --- the folder --------------------------------------------------------------------------------------------


def test_a_finished_training_is_given_back_without_a_step(tmp_path):
    told = []
    first = train(tmp_path)
    again = train(tmp_path, progress=lambda *words: told.append(words))
    assert told == []
    assert same(first, again)
    assert again.history == first.history
    assert again.best_epoch == first.best_epoch


def test_another_training_in_the_folder_is_refused_and_what_differs_is_named(tmp_path):
    train(tmp_path, about={"manifest": "aa"})
    with pytest.raises(UsageError, match=r"recipe\.epochs \(2 there, 9 now\)"):
        train(tmp_path, replace(QUICK, epochs=9), about={"manifest": "aa"})
    with pytest.raises(UsageError, match=r"about\.manifest \(aa there, bb now\)"):
        train(tmp_path, about={"manifest": "bb"})
    with pytest.raises(UsageError, match=r"data\.steps_per_epoch \(5 there, 6 now\)"):
        train(tmp_path, source=tones.ToneSource(steps_per_epoch=6), about={"manifest": "aa"})
    with pytest.raises(UsageError, match=r"network\.weights_sha256"):
        fit(tones.ToneNetwork(seed=4), tones.ToneSource(), QUICK, tmp_path, seed=1, about={"manifest": "aa"})
    unhurried = replace(QUICK, checkpoint_interval_s=1e9, journal_interval_steps=99)
    train(tmp_path, unhurried, about={"manifest": "aa"})  # neither decides a weight


def test_a_damaged_checkpoint_is_refused(tmp_path):
    train(tmp_path)
    tensors = next(tmp_path.glob("checkpoint-*.safetensors"))
    whole = tensors.read_bytes()
    tensors.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(IntegrityError, match="not the file whose checksum"):
        train(tmp_path)
    tensors.unlink()
    with pytest.raises(IntegrityError, match="is missing"):
        train(tmp_path)
    (tmp_path / "checkpoint.json").write_text("{")
    with pytest.raises(IntegrityError, match=r"checkpoint\.json: damaged"):
        train(tmp_path)


def test_a_full_disk_is_told_and_the_checkpoint_before_it_stays(tmp_path, monkeypatch):
    recipe = replace(QUICK, checkpoint_interval_s=0.0)
    expected = train(tmp_path / "undisturbed", recipe)
    real, done = wholefile.os.fsync, [0]

    def full(descriptor):
        done[0] += 1
        if done[0] == 18:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(wholefile.os, "fsync", full)
    with pytest.raises(CovoguardError, match="No space left on device; make room") as caught:
        train(tmp_path / "full", recipe)
    assert caught.value.code == "output_error"
    assert not list((tmp_path / "full").glob(".*.part"))
    assert 0 < json.loads((tmp_path / "full/checkpoint.json").read_text())["course"]["step"] < 10
    assert same(train(tmp_path / "full", recipe), expected)


def test_one_training_at_a_time(tmp_path):
    @dataclass
    class Meeting(tones.ToneSource):
        def epoch(self, number, *, rank, world):
            with pytest.raises(UsageError, match="another run is writing here"):
                train(tmp_path)
            return super().epoch(number, rank=rank, world=world)

    train(tmp_path, source=Meeting())


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        train(tmp_path / "file" / "folder")


# --- numbers that are none ---------------------------------------------------------------------------------


@dataclass
class Poisoned(tones.ToneSource):
    """Samples of some steps are not numbers."""

    steps: tuple[int, ...] = ()

    def epoch(self, number, *, rank, world):
        for index, batch in enumerate(super().epoch(number, rank=rank, world=world)):
            if number * self.steps_per_epoch + index in self.steps:
                batch = replace(batch, samples=batch.samples * math.nan)
            yield batch


def test_a_few_steps_that_are_not_finite_are_left_out(tmp_path):
    fitted = train(tmp_path, source=Poisoned(steps=(1, 4, 5, 6)))
    assert all(value.isfinite().all() for value in fitted.network.state_dict().values())
    assert all(math.isfinite(each.loss) for each in fitted.history)


def test_more_of_them_end_the_training_and_the_samples_are_named(tmp_path):
    with pytest.raises(UsageError, match=r"step 6: .* 4 steps in a row.*samples that are not finite"):
        train(tmp_path, source=Poisoned(steps=(2, 3, 4, 5)))


def test_a_loss_that_grows_beyond_all_bounds_names_what_to_lower(tmp_path):
    class Exploding(tones.ToneNetwork):
        def classify(self, embedding):
            return super().classify(embedding) * 1e38 * 1e10

    with pytest.raises(UsageError, match=r"step 4: .*lower learning_rate \(now 0\.01\)"):
        fit(Exploding(), tones.ToneSource(), QUICK, tmp_path, seed=1, device="cpu")


def test_held_out_scores_that_are_not_finite_are_told(tmp_path):
    @dataclass
    class Silent(tones.ToneSource):
        def held_out(self):
            for batch in super().held_out():
                yield replace(batch, samples=batch.samples * math.nan)

    with pytest.raises(UsageError, match="48 of 48 held-out scores are not finite"):
        train(tmp_path, source=Silent())


def test_a_source_that_breaks_its_promise_is_not_waited_for(tmp_path):
    @dataclass
    class Short(tones.ToneSource):
        def epoch(self, number, *, rank, world):
            return iter(list(super().epoch(number, rank=rank, world=world))[:3])

    with pytest.raises(ValueError, match="epoch 0 gave fewer batches than its 5 steps"):
        train(tmp_path, source=Short())
    with pytest.raises(UsageError, match="no batch in an epoch"):
        train(tmp_path, source=tones.ToneSource(steps_per_epoch=0))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0), ("learning_rate", 0.0), ("learning_rate", math.nan), ("warm_up", 1.0), ("mixup", -0.1),
        ("label_smoothing", 0.5), ("average_decay", 1.0), ("precision", "float64"), ("criterion", "auc"),
        ("patience", -1), ("pair_weight", math.inf), ("gradient_clip", 0.0),
    ],
)  # fmt: skip
def test_a_number_that_cannot_be_is_named(field, value):
    with pytest.raises(UsageError, match=f"{field} is "):
        TrainingRecipe(**{field: value})


# --- TensorBoard -------------------------------------------------------------------------------------------


def test_tensorboard_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UsageError, match="pip install tensorboard"):
        train(tmp_path, tensorboard=True)


def test_tensorboard_gets_what_the_journal_gets(tmp_path, monkeypatch):
    calls = []

    class Writer:
        def __init__(self, folder, purge_step):
            calls.append((folder, purge_step))

        def add_scalar(self, name, value, step):
            calls.append((name, value, step))

        def close(self):
            calls.append("closed")

    stub = types.ModuleType("torch.utils.tensorboard")
    stub.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", stub)
    train(tmp_path, replace(QUICK, journal_interval_steps=5), tensorboard=True)
    assert calls[0] == (str(tmp_path / "tensorboard"), 1)
    assert calls[-1] == "closed"
    scalars = {(name, step): value for name, value, step in calls[1:-1]}
    lines = journal(tmp_path)
    assert scalars["losses/class", 5] == lines[0]["losses"]["class"]
    assert scalars["held_out/eer", 10] == lines[-1]["held_out"]["eer"]
    assert scalars["learning_rate", 5] == lines[0]["learning_rate"]


def test_a_batch_goes_to_another_device_whole():
    batch = next(tones.ToneSource().epoch(0, rank=0, world=1)).to("meta")
    assert isinstance(batch, Batch)
    assert {each.device.type for each in vars(batch).values()} == {"meta"}
