"""Pocket tokens to sound: 40 ms each, repeatable, in either voice; whatever is no pocket token is refused."""

import numpy as np
import pytest
import torch
from pocket_model import random_codec

from covoguard.core.errors import UsageError
from covoguard.core.records import Tokens
from covoguard.generate.pocket.acoustics import MEL_BANDS
from covoguard.generate.pocket.decoder import TRACKS, DecoderNetwork
from covoguard.generate.pocket.speech import PocketDecoder, sharpened


@pytest.fixture(scope="module")
def decoder():
    trainer, normalisation = random_codec()
    return PocketDecoder(trainer.decoder, normalisation.mean, normalisation.deviation)


def tokens(ids, codebook_size=1024):
    return Tokens(np.asarray(ids, np.int32), 25, codebook_size)


@pytest.mark.parametrize("n", [1, 2, 3, 50])
def test_every_token_is_forty_milliseconds(decoder, n):
    audio = decoder.decode(tokens(np.arange(n)))
    assert audio.rate_hz == 16_000
    assert audio.samples.shape == (n * 640,)
    assert audio.samples.dtype == np.float32
    assert np.abs(audio.samples).max() == pytest.approx(0.7, rel=1e-4)


def test_no_tokens_are_no_sound(decoder):
    assert decoder.decode(tokens([])).samples.shape == (0,)


def test_seed_voice_and_tokens_decide_and_nothing_else(decoder):
    said = tokens(range(20))
    first = decoder.decode(said, voice="rms", seed=3).samples
    assert np.array_equal(first, decoder.decode(said, voice="rms", seed=3).samples)
    assert not np.array_equal(first, decoder.decode(said, voice="rms", seed=4).samples)
    assert not np.array_equal(first, decoder.decode(said, voice="slt", seed=3).samples)
    assert not np.array_equal(first, decoder.decode(tokens(range(1, 21)), voice="rms", seed=3).samples)


@pytest.mark.parametrize("ids", [[-1], [0, 1024], [5, 2_000_000_000]])
def test_ids_outside_the_codebook_are_refused(decoder, ids):
    with pytest.raises(UsageError, match="between 0 and 1023"):
        decoder.decode(tokens(ids))


def test_tokens_of_another_model_are_refused(decoder):
    with pytest.raises(UsageError, match="not pocket tokens"):
        decoder.decode(tokens([1, 2], codebook_size=16_384))


def test_an_unknown_voice_is_refused_with_the_known_ones(decoder):
    with pytest.raises(UsageError, match=r"no voice 'kal'; its voices are slt, rms"):
        decoder.decode(tokens([1]), voice="kal")


def test_the_network_gives_four_frames_per_token_and_sees_no_farther_than_its_blocks():
    network = DecoderNetwork(width=16, blocks=2).eval()
    ids = torch.arange(40)[None]
    with torch.no_grad():
        plain = network(ids, torch.tensor([0]))
        changed = network(ids.index_fill(1, torch.tensor([20]), 7), torch.tensor([0]))
    assert plain.shape == (1, 160, TRACKS)
    touched = (plain != changed).any(-1)[0].nonzero()[:, 0]
    assert 14 * 4 <= touched.min() <= 20 * 4
    assert 21 * 4 - 1 <= touched.max() < 27 * 4


def test_sharpening_keeps_slopes_and_raises_peaks():
    slope = np.linspace(0, -6, MEL_BANDS, dtype=np.float32)[None]
    assert np.allclose(sharpened(slope)[:, 4:-4], slope[:, 4:-4], atol=1e-5)
    peak = slope.copy()
    peak[0, 30] += 1.0
    assert sharpened(peak)[0, 30] - peak[0, 30] == pytest.approx(0.5 * (1 - 1 / 9), abs=1e-4)
