import numpy as np
import pytest

from covoguard.core.errors import InputError, UsageError
from covoguard.core.records import Tokens
from covoguard.generate.covo.token2wav.streaming import compare, difference, stream

IDS = np.random.default_rng(0).integers(0, 64, 47).astype(np.int32)


def together(parts):
    return np.concatenate([part.samples for part in parts])


@pytest.mark.parametrize("voice", ["ann", "bob", "eve"])
def test_one_chunk_is_the_whole(make_decoder, voice):
    decoder = make_decoder()
    whole = decoder.decode(Tokens(IDS, 25, 64), voice=voice, seed=3).samples
    (part,) = stream(decoder, iter(IDS.tolist()), voice=voice, seed=3, chunk_tokens=100)
    np.testing.assert_array_equal(part.samples, whole)


@pytest.mark.parametrize(("chunk", "left", "ahead"), [(1, 2, 0), (10, 0, 0), (10, 20, 5), (20, 5, 7)])
@pytest.mark.parametrize("voice", ["ann", "eve"])
def test_parts_are_as_long_as_the_whole(make_decoder, voice, chunk, left, ahead):
    ids = IDS[: 12 if chunk == 1 else None].tolist()
    sizes = {"chunk_tokens": chunk, "left_tokens": left, "ahead_tokens": ahead}
    sound = together(stream(make_decoder(), ids, voice=voice, seed=3, **sizes))
    assert len(sound) == len(ids) * 960
    assert np.isfinite(sound).all()


def test_parts_come_while_tokens_are_still_to_come(make_decoder):
    decoder, given = make_decoder(), []
    _, ahead_frames = decoder.vocoder.reach_frames

    def tokens():
        for token in IDS.tolist():
            given.append(token)
            yield token

    parts = stream(decoder, tokens(), voice="ann", seed=3, chunk_tokens=10, ahead_tokens=5)
    first = next(parts)
    assert len(given) == 15
    # 10 tokens are 40 frames, of which the vocoder holds the last ones back
    assert len(first.samples) == (40 - ahead_frames) * 240
    assert len(next(parts).samples) == 10 * 960
    assert len(given) == 25


def test_what_was_heard_does_not_depend_on_what_follows(make_decoder):
    decoder = make_decoder()
    other = [*IDS[:30].tolist(), *((IDS[30:] + 7) % 64).tolist()]
    sizes = {"voice": "ann", "seed": 3, "chunk_tokens": 10, "ahead_tokens": 5}
    pairs = list(zip(stream(decoder, IDS.tolist(), **sizes), stream(decoder, other, **sizes), strict=True))
    for part, changed in pairs[:2]:
        np.testing.assert_array_equal(part.samples, changed.samples)
    assert np.abs(pairs[-1][0].samples - pairs[-1][1].samples).max() > 1e-3


def test_chunks_join_without_a_seam(make_decoder, monkeypatch):
    """The sound is the vocoder's, of all the latents at once."""
    decoder = make_decoder()
    latents, waveform = [], decoder.waveform
    monkeypatch.setattr(decoder, "waveform", lambda given, *rest: (latents.append(given), waveform(given, *rest))[1])
    sound = together(stream(decoder, IDS.tolist(), voice="ann", seed=3, chunk_tokens=10, left_tokens=15))
    np.testing.assert_allclose(sound[720:], waveform(latents[-1], decoder.voice("ann")), atol=1e-5)


def test_the_difference_from_the_whole_is_measured(make_decoder):
    decoder, tokens = make_decoder(), Tokens(IDS, 25, 64)
    same = difference(decoder, tokens, voice="ann", seed=3, chunk_tokens=100)
    assert (same.snr_db, same.log_spectral_distance_db) == (np.inf, 0)
    other = difference(decoder, tokens, voice="ann", seed=3, chunk_tokens=10, left_tokens=10, ahead_tokens=2)
    assert other.snr_db < 60
    assert other.log_spectral_distance_db > 0


def test_a_difference_is_in_decibels():
    noise = np.random.default_rng(1).standard_normal(4800).astype(np.float32)
    found = compare(noise, noise * np.float32(0.9))
    assert found.snr_db == pytest.approx(20, abs=0.01)
    assert found.log_spectral_distance_db == pytest.approx(20 * np.log10(1 / 0.9), abs=0.01)


def test_wrong_sizes_and_wrong_tokens(make_decoder):
    decoder = make_decoder()
    for wrong in ({"chunk_tokens": 0}, {"left_tokens": -1}, {"ahead_tokens": -1}):
        with pytest.raises(UsageError, match="chunk_tokens"):
            next(stream(decoder, [1], voice="ann", seed=0, **wrong))
    with pytest.raises(InputError, match="no speech tokens"):
        next(stream(decoder, [], voice="ann", seed=0))
    with pytest.raises(InputError, match="64 is no speech token"):
        next(stream(decoder, [1, 64], voice="ann", seed=0))
