"""Neural copy-synthesis: one contract for every network; what learns, learns, and what is kept comes back."""

import dataclasses
import importlib
import inspect
import math

import numpy as np
import pytest
import sound_files as sounds

torch = pytest.importorskip("torch")

from covoguard.core.jsonrecord import from_json  # noqa: E402
from covoguard.core.rates import DETECTOR_RATE_HZ  # noqa: E402
from covoguard.datasets.copies.neural import copier, figures, losses, pitch, quantisers, spectra, train  # noqa: E402
from covoguard.datasets.copies.neural.discriminators import Judges, fooling_losses, judges_loss  # noqa: E402
from covoguard.datasets.copies.neural.excitation import ExcitationShape  # noqa: E402
from covoguard.datasets.copies.neural.flow import FlowShape  # noqa: E402
from covoguard.datasets.copies.neural.istft import IstftShape  # noqa: E402
from covoguard.datasets.copies.neural.network import NETWORKS  # noqa: E402
from covoguard.datasets.copies.neural.residual_codec import ResidualCodecShape  # noqa: E402
from covoguard.datasets.copies.neural.scalar_codec import ScalarCodecShape  # noqa: E402
from covoguard.datasets.copies.neural.upsampling import UpsamplingShape  # noqa: E402

TINY = {
    "excitation": ExcitationShape(hop_samples=160, window_samples=640, fmax_hz=7600, width=16, blocks=1),
    "flow": FlowShape(hop_samples=64, window_samples=128, fmax_hz=8000, width=48, blocks=1, steps=2, pulsed=True),
    "istft": IstftShape(hop_samples=160, window_samples=640, fmax_hz=7600, width=16, blocks=1),
    "residual-codec": ResidualCodecShape((4, 5, 4, 2), 4, 16, 16, 3, 1, 640, 1),
    "scalar-codec": ScalarCodecShape(160, 640, 16, 1, 1, 4, 3),
    "upsampling": UpsamplingShape((5, 4, 4, 2), 640, 8000, 16, 4, (3,), True),
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=sorted(TINY))
def network(request):
    return tiny(request.param)


def tiny(name, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return NETWORKS.get(name)(TINY[name]).eval()


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def speech(seconds=0.5, seed=0):
    return sounds.speech_like(seconds, DETECTOR_RATE_HZ, seed=seed)


def batch(seconds=0.3, rows=2):
    return torch.from_numpy(np.stack([speech(seconds, seed) for seed in range(rows)])) * 0.2


def clips(count=3):
    return [np.rint(speech(0.6, seed) * 32767).astype(np.int16) for seed in range(count)]


def training(name, plan=None, seed=0):
    plan = plan or train.TrainingPlan(minutes=None, steps=40, batch=2, crop_samples=2048, judged_from=1.1)
    return train.CopierTraining(tiny(name, seed), clips(), plan)


# --- every network -----------------------------------------------------------------------------------------


def test_these_are_all():
    assert NETWORKS.names() == sorted(TINY)


def test_networks_say_what_they_are(network):
    module = importlib.import_module(type(network).__module__)
    assert network.kind == ("codec" if module.__name__.endswith("_codec") else "vocoder-copy-synthesis")
    assert network.family.startswith("neural-")
    assert "20" in inspect.getdoc(module), "the source, with its year"
    assert "arXiv" in inspect.getdoc(module)
    shapes = list(network.variants.values())
    assert len(shapes) == len(set(shapes)) >= 2


def test_the_shapes_of_variants_fit_a_card(network):
    for shape in network.variants.values():
        listed = {key: list(v) if isinstance(v, tuple) else v for key, v in dataclasses.asdict(shape).items()}
        assert from_json(network.shape_type, listed) == shape


@pytest.mark.parametrize("count", [1, 159, 160, 161, 1000, 8001])
def test_any_length_gives_a_copy_of_that_length(network, count):
    made = network.copy(batch(0.6)[:, :count], generator())
    assert made.shape == (2, count)
    assert torch.isfinite(made).all()


def test_silence_gives_finite_sound_and_finite_gradients(network):
    rehearsal = network.rehearse(torch.zeros(2, 3000), generator())
    total = rehearsal.loss if rehearsal.sound is None else rehearsal.loss + rehearsal.sound.square().mean()
    total.backward()
    assert all(torch.isfinite(each.grad).all() for each in network.parameters() if each.grad is not None)
    assert torch.isfinite(network.copy(torch.zeros(2, 3000), generator())).all()


def test_gradients_reach_every_weight(network):
    """Also those before a quantiser, whose rounding has no slope of its own."""
    with torch.no_grad():
        for each in network.parameters():
            each.add_(0.01)  # nothing sits on a point without slope
    rehearsal = network.rehearse(batch(), generator())
    loss = rehearsal.loss
    if rehearsal.sound is not None:
        loss = loss + losses.SpectralLoss()(rehearsal.sound, batch())
    loss.backward()
    unreached = [name for name, each in network.named_parameters() if each.grad is None or not each.grad.any()]
    assert unreached == []


def test_a_copy_depends_on_the_recording_and_only_on_generator_beside_it(network):
    sound = 5 * batch()
    for quantiser in (each for each in network.modules() if isinstance(each, quantisers.ResidualQuantiser)):
        quantiser.free_passes = 0
    network.train().rehearse(sound, generator())  # codebooks begin where the first batch lies
    network.eval()
    first = network.copy(sound, generator(1))
    assert torch.equal(first, network.copy(sound, generator(1)))
    assert not torch.allclose(first, network.copy(sound.roll(700, -1), generator(1)))


@pytest.mark.parametrize("name", sorted(TINY))
def test_the_loss_falls(name):
    plan = train.TrainingPlan(minutes=None, steps=30, batch=2, crop_samples=2048, judged_from=1.1, learning_rate=5e-3)
    work = training(name, plan)

    def loss():
        with torch.no_grad():
            rehearsal = work.network.rehearse(batch(), generator())
            return float(rehearsal.loss if name == "flow" else losses.SpectralLoss()(rehearsal.sound, batch()))

    before = loss()
    for _ in range(25 if name == "flow" else 12):
        work.advance()
    assert loss() < (0.99 if name == "flow" else 0.95) * before  # most of a flow's loss is noise that nobody can know


# --- training ----------------------------------------------------------------------------------------------


JUDGED = train.TrainingPlan(minutes=None, steps=4, batch=2, crop_samples=2048, judged_from=0.0)


@pytest.mark.parametrize("name", ["istft", "residual-codec"])
def test_a_training_that_was_stopped_ends_with_the_same_weights(name):
    whole, first = training(name, JUDGED), training(name, JUDGED)
    for _ in range(4):
        whole.advance()
    for _ in range(2):
        first.advance()
    tensors, about = first.state()
    second = training(name, JUDGED, seed=5)
    second.restore(tensors, about)
    while second.done < 1:
        second.advance()
    assert second.step == 4
    kept = second.finished().state_dict()
    assert all(torch.equal(each, kept[key]) for key, each in whole.finished().state_dict().items())


def test_a_state_does_not_change_as_training_goes_on():
    work = training("istft", JUDGED)
    work.advance()
    tensors, _ = work.state()
    before = {name: each.clone() for name, each in tensors.items()}
    work.advance()
    assert all(torch.equal(each, before[name]) for name, each in tensors.items())


def test_the_state_of_another_network_is_refused():
    tensors, about = training("istft").state()
    with pytest.raises(ValueError, match="not the state of this training"):
        training("flow").restore(tensors, about)


def test_minutes_are_counted_over_all_runs():
    plan = train.TrainingPlan(minutes=1.0, batch=2, crop_samples=2048)
    work = training("istft", plan)
    tensors, about = work.state()
    work.restore(tensors, {**about, "seconds": 45.0})
    assert work.done == 0.75
    work.restore(tensors, {**about, "seconds": 99.0})
    assert work.done == 1.0


def test_judges_take_part_only_from_their_share_on():
    work = training("istft", dataclasses.replace(JUDGED, judged_from=0.5))
    for step in range(4):
        work.advance()
        assert ("judges" in work.running) == (step >= 2)


def test_judges_learn_to_tell_copies_and_pass_nothing_to_the_network():
    judges = Judges()
    drawn = judges.drawn(generator())
    genuine = batch(0.2)
    made = torch.randn(genuine.shape, generator=generator()) * 0.1
    made.requires_grad_(True)
    optimiser = torch.optim.Adam([p for judge in drawn for p in judge.parameters()], lr=1e-3)
    values = []
    for _ in range(15):
        optimiser.zero_grad()
        loss = judges_loss(drawn, made, genuine)
        loss.backward()
        optimiser.step()
        values.append(float(loss.detach()))
    assert made.grad is None
    assert values[-1] < 0.9 * values[0]
    fooling, matching = fooling_losses(drawn, made, genuine)
    (fooling + matching).backward()
    assert made.grad.abs().sum() > 0
    assert float(fooling_losses(drawn, genuine, genuine)[1].detach()) == 0


def test_the_spectral_loss_hears_likeness_and_not_phase():
    loss, sound = losses.SpectralLoss(), batch(0.5, rows=1)
    assert float(loss(sound, sound)) == 0
    assert float(loss(-sound, sound)) < 1e-6
    noise = torch.randn(sound.shape, generator=generator()) * 0.1
    assert (
        float(loss(sound + 0.03 * noise, sound)) < float(loss(sound + 0.3 * noise, sound)) < float(loss(noise, sound))
    )


# --- parts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 7, 640, 5001])
def test_spectra_and_sounds_are_inverse(count):
    sound = torch.randn(2, count, generator=generator())
    there = spectra.spectrum_of(sound, 640, 160)
    assert there.shape == (2, 321, count // 160 + 1)
    assert torch.allclose(spectra.sound_of(there, 160, count), sound, atol=1e-5)


@pytest.mark.parametrize("fmax_hz", [7600, 8000])
def test_mel_bands_tell_the_envelope_of_noise(fmax_hz):
    mel = spectra.LogMel(640, 160, fmax_hz)
    assert (mel.filters.sum(1) > 0).all()
    sound = 0.1 * torch.randn(1, 16_000, generator=generator())
    told = mel.envelope(mel(sound)).mean()
    assert float(told / spectra.spectrum_of(sound, 640, 160).abs().mean()) == pytest.approx(1, abs=0.03)


def test_residual_codes_bring_back_what_training_heard():
    quantiser = quantisers.ResidualQuantiser(width=12, codes=16, depth=4).eval()
    frames = torch.randn(3, 9, 12, generator=generator())
    ids = quantiser.encode(frames)
    assert ids.shape == (3, 4, 9)
    assert 0 <= int(ids.min()) <= int(ids.max()) < 16
    for depth in range(1, 5):
        heard, _ = quantiser(frames, torch.full((3,), depth))
        assert torch.allclose(heard, quantiser.decode(ids[:, :depth]), atol=1e-5)


def test_codebooks_begin_where_the_first_batch_lies_and_only_then():
    quantiser = quantisers.ResidualQuantiser(width=12, codes=64, depth=2, free_passes=1)
    frames = 50 + 0.01 * torch.randn(4, 40, 12, generator=generator())
    assert len(quantiser.eval().encode(frames)[:, 0].unique()) < 8
    free, loss = quantiser.train()(frames, torch.full((4,), 2))
    assert float(loss) == 0
    assert len(free.flatten(0, 1).unique(dim=0)) == 160, "not quantised yet"
    quantiser(frames, torch.full((4,), 2))
    begun = [each.detach().clone() for each in quantiser.codebooks]
    assert all(len(ids.unique()) > 24 for ids in quantiser.encode(frames).unbind(1))
    quantiser(-frames, torch.full((4,), 2))
    assert all(torch.equal(a, b) for a, b in zip(begun, quantiser.codebooks, strict=True))


def test_rows_are_quantised_to_their_own_depth():
    quantiser = quantisers.ResidualQuantiser(width=12, codes=16, depth=4).eval()
    frames = torch.randn(2, 5, 12, generator=generator())
    mixed, _ = quantiser(frames, torch.tensor([1, 4]))
    assert torch.allclose(mixed[0], quantiser(frames, torch.tensor([1, 1]))[0][0])
    assert torch.allclose(mixed[1], quantiser(frames, torch.tensor([4, 4]))[0][1])


def test_scalar_codes_bring_back_what_training_heard():
    quantiser = quantisers.ScalarQuantiser(width=12, numbers=6, levels=5)
    frames = 3 * torch.randn(3, 9, 12, generator=generator())
    ids = quantiser.encode(frames)
    assert ids.shape == (3, 9, 6)
    assert set(ids.flatten().tolist()) == set(range(5))
    assert torch.allclose(quantiser(frames), quantiser.decode(ids), atol=1e-6)


@pytest.mark.parametrize("pitch_hz", [70.0, 120.5, 233.0, 390.0])
def test_the_pitch_of_pulses_is_found(pitch_hz):
    sound = pitch.pulses(torch.full((1, 101), pitch_hz), 160, 16_000, generator())
    assert float(sound.square().mean().sqrt()) == pytest.approx(1, abs=0.05)
    found, voiced = pitch.pitch_of(0.1 * sound, 160)
    assert found.shape == voiced.shape == (1, 101)
    assert torch.allclose(found[0, 5:-5], torch.tensor(pitch_hz), rtol=2e-3)
    assert voiced[0, 5:-5].all()


def test_noise_has_no_voice_and_silence_no_trouble():
    noise = 0.1 * torch.randn(1, 16_000, generator=generator())
    assert pitch.pitch_of(noise, 160)[1].mean() < 0.05
    found, voiced = pitch.pitch_of(torch.zeros(1, 4000), 160)
    assert torch.isfinite(found).all()
    assert not voiced.any()


# --- as a method of copy-synthesis -------------------------------------------------------------------------


@pytest.mark.parametrize("level", [1e-4, 1.0])
def test_a_copy_does_not_depend_on_the_level(level):
    sound = speech()
    copied = copier.copy_of(tiny("istft"), sound, 1)
    quiet = copier.copy_of(tiny("istft"), (level * sound).astype(np.float32), 1)
    assert np.allclose(quiet / level, copied, atol=1e-3 * np.abs(copied).max())


def test_long_clips_are_copied_in_pieces_without_a_seam(monkeypatch):
    network, sound = tiny("istft"), speech(2.0)
    whole = copier.copy_of(network, sound, 1)
    monkeypatch.setattr(copier, "_PIECE_SAMPLES", 6400)
    pieces = copier.copy_of(network, sound, 1)
    assert (pieces.dtype, pieces.shape) == (np.float32, sound.shape)
    apart = np.abs(pieces - whole) > 1e-4 * np.abs(whole).max()
    assert 0 < apart.mean() < 0.35, "the two differ near seams alone, where frames lack their neighbours"
    step = np.abs(np.diff(pieces)).max()
    assert step < 1.5 * np.abs(np.diff(whole)).max()


def test_figures_are_best_for_the_recording_itself(monkeypatch):
    sound = speech()
    assert figures.log_mel_distance_db(torch.from_numpy(sound)[None], torch.from_numpy(sound)[None]) == 0
    found = figures.likeness(tiny("istft"), [sound, speech(seed=1)])
    assert found.clips == 2
    assert found.log_mel_distance_db > 1
    assert math.isfinite(found.spectral_loss)
    with pytest.raises(ValueError, match="nothing"):
        figures.likeness(tiny("istft"), [])
