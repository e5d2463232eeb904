import numpy as np
import pytest
import torch

from covoguard.core.errors import InputError, UsageError
from covoguard.core.records import Tokens
from covoguard.generate.covo.token2wav.decoder import VoicePrompt


def tokens(count, seed=0, codes=64):
    return Tokens(np.random.default_rng(seed).integers(0, codes, count).astype(np.int32), 25, codes)


@pytest.mark.parametrize("voice", ["ann", "bob", "eve"])
@pytest.mark.parametrize("count", [1, 12])
def test_every_token_is_960_samples(make_decoder, voice, count):
    audio = make_decoder().decode(tokens(count), voice=voice, seed=1)
    assert (len(audio.samples), audio.rate_hz) == (count * 960, 24_000)
    assert audio.samples.dtype == np.float32
    assert np.abs(audio.samples).max() <= 1
    assert audio.samples.std() > 0


def test_the_sound_is_the_official_one_after_the_surplus_of_the_prompt(make_decoder):
    decoder = make_decoder()
    voice, clip = decoder.voice("ann"), tokens(9)
    latents = decoder.latents(decoder.checked_ids(clip), voice, decoder.noise(4, 6 + 9))
    official = decoder.waveform(latents, voice)
    assert len(official) == (4 * 9 - 3) * 240
    samples = decoder.decode(clip, voice="ann", seed=4).samples
    assert not samples[:720].any()
    np.testing.assert_array_equal(samples[720:], official)


def test_the_seed_and_nothing_else_draws_the_noise(make_decoder):
    decoder = make_decoder()
    first = decoder.decode(tokens(5), voice="bob", seed=1).samples
    torch.manual_seed(77)
    np.testing.assert_array_equal(decoder.decode(tokens(5), voice="bob", seed=1).samples, first)
    assert np.abs(decoder.decode(tokens(5), voice="bob", seed=2).samples - first).max() > 0.01


def test_more_tokens_begin_with_the_same_noise(make_decoder):
    decoder = make_decoder()
    assert torch.equal(decoder.noise(3, 40)[: 4 * 7], decoder.noise(3, 7))
    noise = decoder.noise(3, 2000)
    assert noise.shape == (8000, 8)
    assert abs(noise.mean()) < 0.02
    assert abs(noise.std() - 1) < 0.02


@pytest.mark.parametrize("batch_frames", [1, 100, 10_000])
def test_a_batch_gives_what_each_clip_gives_alone(make_decoder, batch_frames):
    decoder = make_decoder(batch_frames=batch_frames)
    clips = [tokens(count, seed) for seed, count in enumerate([7, 1, 15, 7, 4])]
    voices, seeds = ["ann", "eve", "ann", "bob", "ann"], [5, 6, 7, 8, 5]
    together = decoder.decode_many(clips, voices=voices, seeds=seeds)
    for clip, voice, seed, audio in zip(clips, voices, seeds, together, strict=True):
        alone = decoder.decode(clip, voice=voice, seed=seed)
        np.testing.assert_allclose(audio.samples, alone.samples, atol=1e-5)
    assert decoder.decode_many([], voices=[], seeds=[]) == []


def test_clips_beyond_the_bound_are_worked_on_in_turn(make_decoder, monkeypatch):
    decoder = make_decoder(batch_frames=100)
    sizes, plan = [], decoder.flow.plan
    monkeypatch.setattr(decoder.flow, "plan", lambda clips, *rest: (sizes.append(len(clips)), plan(clips, *rest))[1])
    # with the prompt of 4 tokens: 24, 24, 40, 40 and 400 frames
    clips = [tokens(count) for count in (6, 96, 2, 6, 2)]
    decoder.decode_many(clips, voices=["bob"] * 5, seeds=range(5))
    assert sizes == [3, 1, 1]


def test_what_is_no_token_and_what_no_voice(make_decoder):
    decoder = make_decoder()
    with pytest.raises(InputError, match="no speech tokens"):
        decoder.decode(tokens(0), voice="ann", seed=0)
    for wrong in (64, -2, 2**31 - 1):
        with pytest.raises(InputError, match=rf"{wrong} is no speech token.* 0 and 63"):
            decoder.decode(Tokens(np.array([3, wrong, 5], dtype=np.int32), 25, 64), voice="ann", seed=0)
    with pytest.raises(InputError, match="32 codes; this decoder has 64"):
        decoder.decode(tokens(3, codes=32), voice="ann", seed=0)
    with pytest.raises(UsageError, match="no voice 'zoe'; its voices are ann, bob, eve"):
        decoder.decode(tokens(3), voice="zoe", seed=0)
    for seed in (-1, 2**64):
        with pytest.raises(UsageError, match="seed"):
            decoder.decode(tokens(3), voice="ann", seed=seed)
    with pytest.raises(UsageError, match="2 clips need as many voices"):
        decoder.decode_many([tokens(3)] * 2, voices=["ann"], seeds=[0, 1])


def test_prompts_that_do_not_fit(make_decoder):
    decoder = make_decoder()
    with pytest.raises(InputError, match="tokens and latents, or neither"):
        VoicePrompt(tokens=np.array([1]))
    for frames in (7, 12):
        voice = VoicePrompt(np.array([1, 2]), np.zeros((frames, 8), dtype=np.float32))
        with pytest.raises(InputError, match=f"{frames} latents for 2 tokens"):
            decoder.latents(np.array([1]), voice, torch.zeros(12, 8))


def test_no_token_may_stand_among_the_tokens(make_decoder):
    decoder = make_decoder()
    ids = tokens(4).ids
    changed = ids.copy()
    changed[2] = -1
    sounds = [decoder.decode(Tokens(each, 25, 64), voice="bob", seed=0).samples for each in (ids, changed)]
    assert np.abs(sounds[0] - sounds[1]).max() > 1e-3


def test_how_products_are_rounded_is_set_back(make_decoder):
    before = torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision
    for tf32 in (False, True):
        make_decoder(tf32=tf32).decode(tokens(1), voice="eve", seed=0)
        after = torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision
        assert after == before


def test_bf16_sounds_much_the_same(make_decoder):
    exact = make_decoder().decode(tokens(20), voice="ann", seed=0).samples
    rounded = make_decoder(dtype=torch.bfloat16).decode(tokens(20), voice="ann", seed=0).samples
    assert 0 < np.std(rounded - exact) / np.std(exact) < 0.1
