"""Every kind of file that can be made here comes back with its own length and content."""

import numpy as np
import pytest
import sound_files as sounds
from speech_and_model import spoken

from covoguard.core.audio import resample

SECONDS = 1.337

# container, codec, rate, options, exact: (the container tells the encoder's padding, so no sample is added)
ENCODED = [
    ("wav", "pcm_s16le", 16_000, {}, True),
    ("wav", "pcm_s24le", 44_100, {}, True),
    ("wav", "pcm_s32le", 48_000, {}, True),
    ("wav", "pcm_s64le", 16_000, {}, True),
    ("wav", "pcm_f32le", 22_050, {}, True),
    ("wav", "pcm_f64le", 16_000, {}, True),
    ("wav", "pcm_u8", 8_000, {}, True),
    ("wav", "pcm_alaw", 8_000, {}, True),
    ("wav", "pcm_mulaw", 8_000, {}, True),
    ("wav", "adpcm_ima_wav", 44_100, {}, False),
    ("w64", "pcm_s16le", 44_100, {}, False),  # padded to 8 bytes
    ("aiff", "pcm_s16be", 44_100, {}, True),
    ("au", "pcm_mulaw", 8_000, {}, True),
    ("caf", "pcm_s16le", 44_100, {}, True),
    ("caf", "alac", 44_100, {}, True),
    ("flac", "flac", 96_000, {}, True),
    ("wv", "wavpack", 44_100, {}, True),
    ("tta", "tta", 44_100, {}, True),
    ("mp3", "libmp3lame", 44_100, {"bit_rate": 64_000}, True),
    ("mp3", "libmp3lame", 16_000, {"bit_rate": 32_000}, True),
    ("mp3", "libmp3lame", 44_100, {"bit_rate": 64_000, "options": {"write_xing": "0"}}, False),
    ("ipod", "aac", 44_100, {"bit_rate": 64_000}, True),
    ("ipod", "alac", 44_100, {}, True),
    ("mp4", "aac", 16_000, {"bit_rate": 32_000, "options": {"movflags": "faststart"}}, True),
    ("mp4", "aac", 44_100, {"options": {"movflags": "frag_keyframe+empty_moov"}}, False),
    ("mp4", "aac", 48_000, {"with_video": True}, True),
    ("mp4", "libopus", 48_000, {}, True),
    ("mov", "pcm_s16be", 44_100, {}, True),
    ("3gp", "libopencore_amrnb", 8_000, {"bit_rate": 12_200}, True),
    ("amr", "libopencore_amrnb", 8_000, {"bit_rate": 12_200}, False),
    ("adts", "aac", 44_100, {}, False),
    ("ogg", "libopus", 48_000, {"bit_rate": 24_000}, True),
    ("ogg", "flac", 44_100, {}, True),
    ("webm", "libopus", 48_000, {"bit_rate": 24_000}, True),
    ("matroska", "aac", 44_100, {"with_video": True}, False),
    ("matroska", "libmp3lame", 44_100, {}, True),
    ("asf", "wmav2", 44_100, {"bit_rate": 64_000}, False),
    ("avi", "libmp3lame", 44_100, {"with_video": True}, False),
    ("flv", "aac", 44_100, {}, False),
    ("mpegts", "aac", 44_100, {"with_video": True}, False),
    ("mpegts", "mp2", 48_000, {}, False),
]


def _delay_and_match(sound, reference):
    """Samples by which `sound` lags, and the cosine similarity at that lag."""
    size = 1 << (len(sound) + len(reference)).bit_length()
    cross = np.fft.irfft(np.fft.rfft(sound, size) * np.conj(np.fft.rfft(reference, size)), size)
    lag = int(np.argmax(cross))
    lag = lag - size if lag > size // 2 else lag
    a, b = sound[max(lag, 0) :], reference[max(-lag, 0) :]
    n = min(len(a), len(b))
    return lag, float(a[:n] @ b[:n] / np.sqrt((a[:n] @ a[:n]) * (b[:n] @ b[:n])))


@pytest.mark.parametrize(("container", "codec", "rate_hz", "how", "exact"), ENCODED)
def test_length_and_content_survive(read_bytes, container, codec, rate_hz, how, exact):
    sound = spoken(SECONDS, rate_hz=rate_hz)
    is_speech_coder = codec == "libopencore_amrnb"
    decoded = read_bytes(sounds.encode(container, codec, sound, rate_hz, **how))
    facts = decoded.facts
    assert not facts.partial
    assert facts.bad_packets == 0
    assert facts.rate_hz == rate_hz
    assert facts.channels == 1
    assert decoded.audio.rate_hz == 16_000
    reference = resample(sound, rate_hz, 16_000)
    lag, match = _delay_and_match(decoded.audio.samples, reference)
    assert match > (0.85 if is_speech_coder else 0.97)
    if exact:
        assert facts.duration_s == pytest.approx(SECONDS, abs=1.5 / rate_hz)
        assert abs(lag) <= (25 if is_speech_coder else 0)
    else:
        assert facts.duration_s == pytest.approx(SECONDS, abs=0.1)


def test_stereo_of_a_lossy_codec(read_bytes):
    sound = sounds.speech_like(1.0, 44_100)
    data = sounds.encode("mp3", "libmp3lame", np.stack([sound, 0.5 * sound]), 44_100, layout="stereo")
    facts = read_bytes(data).facts
    assert facts.channels == 2
    assert facts.mix == "mean"
    left, right = facts.channel_levels_dbfs
    assert left - right == pytest.approx(6.02, abs=0.2)


def test_ogg_vorbis_from_another_encoder(read_bytes, tmp_path):
    import soundfile

    sound = sounds.speech_like(SECONDS, 44_100)
    soundfile.write(tmp_path / "x.ogg", sound, 44_100, format="OGG", subtype="VORBIS")
    decoded = read_bytes((tmp_path / "x.ogg").read_bytes())
    assert (decoded.facts.container, decoded.facts.codec) == ("ogg", "vorbis")
    assert not decoded.facts.partial
    assert decoded.facts.duration_s == pytest.approx(SECONDS, abs=1e-4)


@pytest.mark.parametrize("bits", [16, 24, 32])
@pytest.mark.parametrize("channels", [1, 2, 6, 8, 12])
def test_extensible_wave_with_many_channels(read_bytes, bits, channels):
    sound = sounds.speech_like(0.5, 48_000)
    gains = 0.9 ** np.arange(channels)
    steps = np.rint(np.outer(sound, gains) * 2.0 ** (bits - 1)).astype("<i4")
    data = steps.reshape(-1).view(np.uint8).reshape(-1, 4)[:, : bits // 8].tobytes()
    decoded = read_bytes(sounds.extensible_wave(data, rate_hz=48_000, channels=channels, bits=bits))
    facts = decoded.facts
    assert facts.channels == channels
    assert facts.bits_per_sample == bits
    level = 10 * np.log10(np.mean(np.square(sound, dtype=np.float64)))
    expected = level + 20 * np.log10(gains)
    assert facts.channel_levels_dbfs == pytest.approx(expected.tolist(), abs=0.01)
    reference = resample((sound * gains.mean()).astype(np.float32), 48_000, 16_000)
    np.testing.assert_allclose(decoded.audio.samples, reference, atol=2e-4)


def test_sixteen_bit_samples_at_16_khz_come_back_bit_for_bit(read_bytes):
    sound = (np.rint(sounds.speech_like(1.0, 16_000) * 32768) / 32768).astype(np.float32)
    for data in (sounds.wave(sounds.pcm16(sound)), sounds.encode("flac", "flac", sound, 16_000)):
        np.testing.assert_array_equal(read_bytes(data).audio.samples, sound)


def test_the_rate_may_change_in_the_middle(read_bytes):
    """Two MPEG streams glued together, as some recorders do at a track change."""
    parts = [
        sounds.encode("adts", "aac", sounds.speech_like(1.0, rate), rate, bit_rate=64_000) for rate in (44_100, 22_050)
    ]
    decoded = read_bytes(parts[0] + parts[1])
    assert decoded.facts.duration_s == pytest.approx(2.0, abs=0.15)
    assert decoded.audio.duration_s == pytest.approx(decoded.facts.duration_s, abs=0.001)


def test_opposite_phase_does_not_vanish(read_bytes):
    sound = sounds.speech_like(1.0, 16_000)
    decoded = read_bytes(sounds.wave(sounds.pcm16(np.stack([0.5 * sound, -sound])), channels=2))
    assert decoded.facts.mix == "mean"  # a quarter of the amplitude is left: enough
    decoded = read_bytes(sounds.wave(sounds.pcm16(np.stack([0.9 * sound, -sound])), channels=2))
    assert decoded.facts.mix == "loudest_channel"
    np.testing.assert_allclose(decoded.audio.samples, -sound, atol=2**-15)


def test_one_silent_channel_is_no_cancellation(read_bytes):
    sound = sounds.speech_like(1.0, 16_000)
    decoded = read_bytes(sounds.wave(sounds.pcm16(np.stack([sound, 0 * sound])), channels=2))
    assert decoded.facts.mix == "mean"
    assert decoded.facts.channel_levels_dbfs[1] is None
    np.testing.assert_allclose(decoded.audio.samples, sound / 2, atol=2**-15)


def test_levels_offset_and_clipping_are_measured_in_the_file(read_bytes):
    sine = 0.5 * np.sin(2 * np.pi * 997 * np.arange(48_000) / 48_000)
    facts = read_bytes(sounds.wave(sounds.pcm16((sine + 0.1).astype(np.float32)), rate_hz=48_000)).facts
    assert facts.dc_offset == pytest.approx(0.1, abs=1e-4)
    assert facts.peak == pytest.approx(0.6, abs=1e-3)
    assert facts.channel_levels_dbfs == pytest.approx([10 * np.log10(0.125 + 0.01)], abs=0.01)
    assert facts.clipping_share == 0
    clipped = np.clip(4 * sine, -1, 1).astype(np.float32)  # |2 sin| >= 0.99 for 67 % of the time
    facts = read_bytes(sounds.wave(sounds.pcm16(clipped), rate_hz=48_000)).facts
    assert facts.clipping_share == pytest.approx(1 - 2 * np.arcsin(0.495) / np.pi, abs=0.02)


def test_values_beyond_full_scale_are_limited_as_a_player_limits_them(read_bytes):
    sound = sounds.speech_like(1.0, 16_000)
    loud = sound.copy()
    loud[8000] = 1e30
    decoded = read_bytes(sounds.wave(loud.astype("<f4").tobytes(), bits=32, tag=3))
    assert not decoded.facts.partial
    assert decoded.facts.peak == pytest.approx(1e30)
    assert np.abs(decoded.audio.samples).max() == 1
    np.testing.assert_array_equal(np.delete(decoded.audio.samples, 8000), np.delete(sound, 8000))
