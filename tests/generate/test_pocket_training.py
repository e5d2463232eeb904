"""How the pocket model's parts are trained: labels that fit the sound, codes that follow the data, repeatable steps."""

import numpy as np
import pytest
import torch
from pocket_model import random_codec
from torch import nn

from covoguard.generate.pocket.acoustics import CODEBOOK_SIZE, MEL_BANDS
from covoguard.generate.pocket.decoder import TRACKS
from covoguard.generate.pocket.hearing import BANDS, Hearing
from covoguard.generate.pocket.language_model import (
    MAX_ADVANCE,
    MAX_HELD_STEPS,
    START_TOKEN,
    PocketLanguageModel,
    Shape,
)
from covoguard.generate.pocket.recoverer_network import RecovererNetwork
from covoguard.generate.training import codec as codec_training
from covoguard.generate.training import recoverer as recoverer_training
from covoguard.generate.training.codec import (
    damaged,
    load_codec,
    reconstruction_loss,
    save_codec,
    tokens_of,
    train_codec,
)
from covoguard.generate.training.codec_network import CODE_WIDTH, Codebook
from covoguard.generate.training.corpus import Utterance
from covoguard.generate.training.features import Features
from covoguard.generate.training.language_model import (
    collate,
    losses,
    sequence_of,
    spoken,
    train_language_model,
)
from covoguard.generate.training.recoverer import batch_of, make_pair, train_recoverer

HEARING = Hearing()


def utterance(seed, *, frames=240):
    """Noise in place of features, eight phones of equal length."""
    rng = np.random.default_rng(seed)
    envelope = (-5 + rng.standard_normal((frames, MEL_BANDS))).astype(np.float32)
    tracks = [np.full(frames, value, np.float32) for value in (4.8, 1, -10)]
    tracks[0] += 0.1 * rng.standard_normal(frames).astype(np.float32)
    tracks[2] += rng.standard_normal(frames).astype(np.float32)
    phones = ("pau", "m", "iy", "t", "uw", "m", "ow", "pau")
    ends_s = tuple(frames / 800 * (k + 1) for k in range(8))
    return Utterance("me too mow", ("slt", "rms")[seed // 4 % 2], Features(envelope, *tracks), phones, ends_s)


@pytest.fixture(scope="module")
def codec():
    return random_codec()


@pytest.fixture(scope="module")
def items():
    starts = [True, True, False, True, False, True, False, False]
    return [spoken(u, list(range(8)), starts, np.array(u.phone_ends_s)) for u in map(utterance, range(6))]


# --- codec -------------------------------------------------------------------------------------------------


def test_a_codebook_starts_on_data_and_follows_it():
    generator = torch.Generator().manual_seed(1)
    centres = 10 * torch.randn(CODEBOOK_SIZE // 2, CODE_WIDTH, generator=generator)
    book = Codebook()
    vectors = centres.repeat(4, 1) + 0.01 * torch.randn(2 * CODEBOOK_SIZE, CODE_WIDTH, generator=generator)
    book.start_from(vectors, generator)
    assert book.distances(centres).min(dim=-1).values.median() < 0.1
    shifted = vectors + 0.5
    before = book.distances(shifted).min(dim=-1).values.median()
    for _ in range(40):
        book.follow(shifted[None], book.nearest(vectors)[None], generator)
    assert book.distances(shifted).min(dim=-1).values.median() < 0.3 * before


def test_codes_out_of_use_are_moved_to_data():
    generator = torch.Generator().manual_seed(2)
    book = Codebook()
    book.vectors.fill_(1e3)
    book.counts.zero_()
    vectors = torch.randn(64, CODE_WIDTH, generator=generator)
    book.follow(vectors[None], torch.zeros(1, 64, dtype=torch.long), generator)
    assert (book.vectors.abs().max(dim=1).values < 10).sum() >= CODEBOOK_SIZE - 1


def test_a_kept_codec_gives_the_same_tokens(codec, tmp_path):
    save_codec(tmp_path / "codec.safetensors", *codec)
    trainer, normalisation = load_codec(tmp_path / "codec.safetensors")
    frames = np.random.default_rng(1).standard_normal((40, TRACKS)).astype(np.float32)
    ids = tokens_of(trainer, normalisation, frames, "rms")
    assert ids.shape == (10,)
    assert ids.dtype == np.int32
    assert np.array_equal(ids, tokens_of(*codec, frames, "rms"))


def test_the_finished_decoder_says_the_codebook(codec):
    trainer, _ = codec
    ids, voice = torch.arange(12)[None], torch.tensor([1])
    with torch.no_grad():
        codes = trainer.embed(trainer.codebook.vectors[ids])
        assert torch.allclose(trainer.decoder(ids, voice), trainer.decoder.from_embeddings(codes, voice), atol=1e-5)


def test_the_loss_is_least_for_a_perfect_copy_and_damage_is_differentiable():
    frames = torch.randn(2, 16, TRACKS, generator=torch.Generator().manual_seed(1))
    frames[..., -2] = (frames[..., -2] > 0).float()
    made = frames.clone()
    made[..., -2] = 40 * (frames[..., -2] - 0.5)
    assert reconstruction_loss(made, frames) < 1e-3
    worse = made.clone().requires_grad_()
    loss = reconstruction_loss(damaged(worse, torch.Generator().manual_seed(2)), frames)
    assert loss > 0.1
    loss.backward()
    assert worse.grad is not None
    assert (worse.grad != 0).any()


def test_training_a_codec_is_repeatable_and_tells_how_it_goes(monkeypatch):
    monkeypatch.setattr(codec_training, "WARM_UP_STEPS", 1)
    whole = codec_training.batch_of
    monkeypatch.setattr(codec_training, "batch_of", lambda u, p, r, *, size=2: whole(u, p, r, size=min(size, 24)))
    utterances = [utterance(seed) for seed in range(8)]
    first, normalisation, names = train_codec(utterances, 3, 1, report=pytest.fail)
    again, _, _ = train_codec(utterances, 3, 1, report=pytest.fail)
    assert names == ("iy", "m", "ow", "pau", "t", "uw")
    assert normalisation.mean.shape == normalisation.deviation.shape == (2, TRACKS)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert all(bool(p.isfinite().all()) for p in first.parameters())
    assert not first.training


# --- language model ----------------------------------------------------------------------------------------


def test_the_pointer_reaches_every_place_in_small_moves(codec, items):
    for seed, item in enumerate(items):
        sequence = sequence_of(item, *codec, np.random.default_rng(seed))
        n = len(sequence.tokens)
        assert sequence.windows.shape == (n, 5)
        assert sequence.held.shape == sequence.advance.shape == (n,)
        assert ((sequence.advance >= 0) & (sequence.advance <= MAX_ADVANCE)).all()
        assert sequence.held.max() <= MAX_HELD_STEPS
        position = np.concatenate([[0], np.cumsum(sequence.advance)[:-1]])
        assert torch.equal(sequence.windows, item.windows[torch.from_numpy(position)])
        assert position[-1] == 7
        assert sequence.advance[-1] == 1, "the last step leaves the last phone"


def test_padding_takes_no_part_in_the_loss(codec, items):
    short, long = (sequence_of(items[k], *codec, np.random.default_rng(k)) for k in (0, 1))
    short = type(short)(short.tokens[:20], short.windows[:20], short.held[:20], short.advance[:20], short.voice)
    torch.manual_seed(1)
    model = PocketLanguageModel(Shape(8, width=32, layers=1, heads=4, key_heads=2, hidden=64)).eval()
    batch = collate([short, long])
    assert batch["previous"][:, 0].tolist() == [START_TOKEN] * 2
    assert torch.equal(batch["previous"][1, 1:], batch["tokens"][1, :-1])
    with torch.no_grad():
        together = [float(loss) for loss in losses(model, batch)]
        alone = [[float(loss) for loss in losses(model, collate([one]))] for one in (short, long)]
    weights = np.array([20, len(long.tokens)]) / (20 + len(long.tokens))
    assert together == pytest.approx(list(weights @ np.array(alone)), rel=1e-4)


def test_training_a_language_model_is_repeatable(codec, items, monkeypatch):
    monkeypatch.setattr("covoguard.generate.training.language_model.BATCH", 1)
    shape = Shape(8, width=32, layers=1, heads=4, key_heads=2, hidden=64)
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        model = PocketLanguageModel(shape)
        trained = train_language_model(items, items[:1], codec, 8, 2, 1, model=model, report=pytest.fail)
        states.append(torch.cat([p.flatten() for p in trained.parameters()]))
    assert torch.equal(*states)


# --- recoverer ---------------------------------------------------------------------------------------------


class AtStart:
    """Draws that put the sound `shift` samples later."""

    def __init__(self, shift):
        self._shift = shift

    def integers(self, low, high):
        assert low <= self._shift < high
        return self._shift


def pair_of(tokens, *, shift=0, speed=1.0, bits=None):
    sound = np.random.default_rng(1).standard_normal(round(len(tokens) * 640 / speed)).astype(np.float32)
    return make_pair(tokens, bits, sound, lambda samples, rng: (samples, speed), HEARING, AtStart(shift))


def test_every_cell_is_labelled_with_the_token_that_sounds_there():
    tokens = np.arange(10, 20, dtype=np.int32)
    bits = np.linspace(0, 9, 10, dtype=np.float32)
    pair = pair_of(tokens, bits=bits)
    assert pair.mel.shape == (40, BANDS)
    assert pair.ids.tolist() == np.repeat(tokens, 2).tolist()
    assert pair.surprisal_bits.tolist() == np.repeat(bits, 2).tolist()
    assert np.isnan(pair_of(tokens).surprisal_bits).all()


def test_labels_follow_a_start_that_is_later_or_cut_off():
    tokens = np.arange(10, 20, dtype=np.int32)
    assert pair_of(tokens, shift=319).ids[:5].tolist() == [-100, 10, 10, 11, 11]
    assert pair_of(tokens, shift=-320).ids[:4].tolist() == [10, 11, 11, 12]


def test_labels_follow_the_speed():
    tokens = np.arange(100, dtype=np.int32)
    ids = pair_of(tokens, speed=1.05).ids
    centres_s = (np.arange(len(ids)) + 0.5) * 0.02
    assert ids.tolist() == (centres_s * 1.05 // 0.04).astype(int).tolist()


def test_a_batch_fills_what_is_short_with_nothing():
    pair = pair_of(np.arange(10, dtype=np.int32), bits=np.ones(10, np.float32))
    mel, ids, bits = batch_of([pair], np.random.default_rng(1), 3)
    assert mel.shape == (3, 256, BANDS)
    assert ids.shape == bits.shape == (3, 128)
    assert (ids[:, 20:] == -100).all()
    assert torch.isnan(bits[:, 20:]).all()
    assert (mel[:, 40:] == 0).all()
    assert ids[0, :20].tolist() == pair.ids.tolist()


def test_losses_ignore_what_has_no_label():
    network = RecovererNetwork(width=16, blocks=1).eval()
    pair = pair_of(np.arange(10, dtype=np.int32))
    with torch.no_grad():
        code, error, right = recoverer_training.losses(network, batch_of([pair], np.random.default_rng(1), 1))
        logits, _ = network(torch.from_numpy(batch_of([pair], np.random.default_rng(1), 1)[0].numpy()))
    expected = nn.functional.cross_entropy(logits[0, :20], torch.from_numpy(pair.ids).long())
    assert float(code) == pytest.approx(float(expected), rel=1e-5)
    assert float(error) == 0.0
    assert 0 <= float(right) <= 1


def test_training_a_recoverer_learns_and_is_repeatable():
    pairs = [pair_of(np.full(64, code, np.int32), bits=np.ones(64, np.float32)) for code in (3, 900)]
    before = []
    states = []
    for _ in range(2):
        torch.manual_seed(1)
        network = RecovererNetwork(width=16, blocks=1)
        with torch.no_grad():
            before.append(recoverer_training.losses(network, batch_of(pairs, np.random.default_rng(2), 2))[0])
        trained = train_recoverer(pairs, pairs, 12, 1, network=network, peak_rate=2e-2, report=pytest.fail)
        states.append(torch.cat([p.flatten() for p in trained.parameters()]))
    with torch.no_grad():
        after = recoverer_training.losses(trained, batch_of(pairs, np.random.default_rng(2), 2))[0]
    assert torch.equal(*states)
    assert after < before[0]
